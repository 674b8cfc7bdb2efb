// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Manual pages: one frame for all daemons, and pages of their own for the rest.

use virtus_daemons::options::{self, Argument};
use virtus_daemons::table::{DAEMONS, Daemon, Deployment};

use crate::layout::Layout;
use crate::template::Values;
use crate::tree::{Files, Tree};
use crate::{roff, systemd};

const FRAME: &str = include_str!("../man/daemon.md");

/// The pages that belong to no daemon: package, name, section, text.
const PAGES: &[(&str, &str, u8, &str)] = &[
    ("client", "virt-xml-validate", 1, include_str!("../man/virt-xml-validate.md")),
    ("daemon-common", "virtus", 1, include_str!("../man/virtus.md")),
    ("daemon-common", "libvirt-guests", 8, include_str!("../man/libvirt-guests.md")),
    ("daemon-common", "virt-ssh-helper", 1, include_str!("../man/virt-ssh-helper.md")),
    ("daemon-driver-lxc", "libvirt_lxc", 8, include_str!("../man/libvirt_lxc.md")),
];

/// The page of `daemon`.
pub(crate) fn add(daemon: &Daemon, layout: &Layout, files: &mut Files) {
    let others: Vec<String> = DAEMONS
        .iter()
        .filter(|other| other.name != daemon.name)
        .map(|other| format!("**{}**(8)", other.name))
        .collect();
    let drivers = systemd::has_drivers(daemon);
    let for_users = daemon.drivers.iter().any(|driver| driver.for_users);
    let modular = daemon.deployment == Deployment::Modular;
    let manual = daemon.drivers.iter().find_map(|driver| driver.conf).filter(|_| modular);
    let text = Values::default()
        .set("options", options(daemon))
        .set("manual", manual.map_or("", |manual| manual.file))
        .when("machines", manual.is_some())
        .set("purpose", daemon.purpose)
        .set("others", others.join(", "))
        .set("label", daemon.label)
        .set("socket", daemon.socket)
        .set("name", daemon.name)
        .when("modular", modular)
        .set("sockets", systemd::unix_sockets(daemon, |_| true))
        .when("local", drivers && !daemon.listens_on_ip)
        .when("drivers", drivers)
        .when("keeper", !drivers)
        .when("ip", daemon.listens_on_ip)
        .when("users", for_users)
        .when("root", drivers && !for_users)
        .fill(FRAME);
    page(daemon.name, 8, &text, layout, files);
}

fn options(daemon: &Daemon) -> String {
    let mut text = String::new();
    for known in options::known_to(daemon) {
        let argument = match known.argument {
            Argument::Needed(name) => format!(" *{name}*"),
            Argument::None | Argument::Optional => String::new(),
        };
        let names = format!("**-{}**, **--{}**{argument}", known.short, known.long);
        text.push_str(&format!("- {names}: {}\n", known.manual));
    }
    text
}

fn page(name: &str, section: u8, text: &str, layout: &Layout, files: &mut Files) {
    let path = format!("{}/man{section}/{name}.{section}", layout.mandir);
    files.add("manual", path, roff::page(name, section, text));
}

/// The pages that belong to no daemon.
pub(crate) fn add_common(layout: &Layout, tree: &mut Tree) {
    for (package, name, section, text) in PAGES {
        page(name, *section, text, layout, tree.package(package));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Units: one template for services and one for sockets, and for some daemons extra lines.

use virtus_daemons::table::{DAEMONS, Daemon, Deployment};

use crate::layout::Layout;
use crate::template::Values;
use crate::tree::Files;

const SERVICE: &str = include_str!("../systemd/daemon.service");
const SOCKET: &str = include_str!("../systemd/daemon.socket");

/// What single daemons need beside the template, in sections as they stand there.
const EXTRAS: &[(&str, &str)] = &[
    ("libvirtd", include_str!("../systemd/libvirtd.service.extra")),
    ("virtlockd", include_str!("../systemd/virtlockd.service.extra")),
    ("virtlogd", include_str!("../systemd/virtlogd.service.extra")),
    ("virtlxcd", include_str!("../systemd/virtlxcd.service.extra")),
    ("virtproxyd", include_str!("../systemd/virtproxyd.service.extra")),
    ("virtqemud", include_str!("../systemd/virtqemud.service.extra")),
    ("virtsecretd", include_str!("../systemd/virtsecretd.service.extra")),
];

/// The first release of systemd that knows `Type=notify-reload`, and hears from a service when a reload is over.
pub(crate) const WAITS_FOR_RELOADS: u32 = 253;

/// A kind of socket: what its unit's name ends in, what the description calls it, and how it listens.
pub(crate) struct Kind {
    suffix: &'static str,
    what: &'static str,
    listen: Listen,
}

enum Listen {
    /// The end of a unix socket's name, its mode, and whether the group `libvirt` has it.
    Unix { end: &'static str, mode: &'static str, group: bool },
    /// A port.
    Port(u16),
}

const KINDS: [Kind; 5] = [
    Kind { suffix: "", what: "", listen: Listen::Unix { end: "sock", mode: "0660", group: true } },
    Kind {
        suffix: "-ro",
        what: " read-only",
        listen: Listen::Unix { end: "sock-ro", mode: "0666", group: false },
    },
    Kind {
        suffix: "-admin",
        what: " admin",
        listen: Listen::Unix { end: "admin-sock", mode: "0600", group: false },
    },
    Kind { suffix: "-tcp", what: " TCP", listen: Listen::Port(16509) },
    Kind { suffix: "-tls", what: " TLS", listen: Listen::Port(16514) },
];

impl Kind {
    /// Whether `daemon` has such a socket.
    fn is_of(&self, daemon: &Daemon) -> bool {
        match self.listen {
            Listen::Port(_) => daemon.listens_on_ip,
            Listen::Unix { .. } => self.suffix != "-ro" || has_drivers(daemon),
        }
    }

    fn is_unix(&self) -> bool {
        matches!(self.listen, Listen::Unix { .. })
    }
}

/// Whether clients come to it: keepers serve drivers only.
pub(crate) fn has_drivers(daemon: &Daemon) -> bool {
    daemon.deployment != Deployment::Either
}

/// The service and the sockets of `daemon`.
pub(crate) fn add(daemon: &Daemon, layout: &Layout, files: &mut Files) {
    let name = daemon.name;
    let sockets = unix_sockets(daemon, |_| true);
    let mut service = values(daemon, layout).set("sockets", sockets).fill(SERVICE);
    for (_, extra) in EXTRAS.iter().filter(|(of, _)| *of == name) {
        service = with_extra(&service, extra);
    }
    files.add("unit", format!("{}/{name}.service", layout.unitdir), service);
    for kind in KINDS.iter().filter(|kind| kind.is_of(daemon)) {
        let path = format!("{}/{name}{}.socket", layout.unitdir, kind.suffix);
        files.add("unit", path, socket(daemon, kind, layout));
    }
}

fn values(daemon: &Daemon, layout: &Layout) -> Values {
    layout
        .values()
        .set("name", daemon.name)
        .set("NAME", daemon.name.to_uppercase())
        .set("label", daemon.label)
        .when("ip", daemon.listens_on_ip)
        .when("modular", daemon.deployment == Deployment::Modular)
        .when("drivers", has_drivers(daemon))
        .when("keeper", !has_drivers(daemon))
        .set("reload", if has_drivers(daemon) { "HUP" } else { "USR1" })
        .when("waits", layout.systemd >= WAITS_FOR_RELOADS)
        .when("asks", layout.systemd < WAITS_FOR_RELOADS)
}

/// The units of the unix sockets of `daemon` that are `wanted`.
pub(crate) fn unix_sockets(daemon: &Daemon, wanted: impl Fn(&Kind) -> bool) -> String {
    let units: Vec<String> = KINDS
        .iter()
        .filter(|kind| kind.is_unix() && kind.is_of(daemon) && wanted(kind))
        .map(|kind| format!("{}{}.socket", daemon.name, kind.suffix))
        .collect();
    units.join(" ")
}

fn socket(daemon: &Daemon, kind: &Kind, layout: &Layout) -> String {
    let values = values(daemon, layout)
        .set("kind", kind.suffix)
        .set("what", kind.what)
        .set("others", unix_sockets(daemon, |other| other.suffix != kind.suffix))
        .when("part", !kind.suffix.is_empty())
        .when("rival", daemon.deployment == Deployment::Modular && kind.suffix.is_empty());
    let values = match kind.listen {
        Listen::Unix { end, mode, group } => {
            // Keepers serve root alone.
            let group = group && has_drivers(daemon);
            values
                .set("listen", format!("/run/libvirt/{}-{end}", daemon.socket))
                .set("mode", if has_drivers(daemon) { mode } else { "0600" })
                .when("unix", true)
                .when("group", group)
        }
        Listen::Port(port) => values.set("listen", port.to_string()),
    };
    values.fill(SOCKET)
}

/// The unit with the lines of `extra` at the ends of the sections that they stand in.
fn with_extra(unit: &str, extra: &str) -> String {
    let mut text = String::new();
    for section in unit.split("\n\n") {
        let head = section.lines().next().unwrap_or_default();
        let added = extra.split("\n\n").find_map(|added| added.strip_prefix(head));
        let (section, added) = (section.trim_end(), added.unwrap_or_default().trim_end());
        let gap = if text.is_empty() { "" } else { "\n" };
        text.push_str(&format!("{gap}{section}{added}\n"));
    }
    text
}

/// The units that belong to no daemon.
pub(crate) fn add_common(layout: &Layout, files: &mut Files) {
    let target = include_str!("../systemd/virt-guest-shutdown.target");
    files.add("unit", format!("{}/virt-guest-shutdown.target", layout.unitdir), target);
    let units = |kind: &str| {
        let daemons = DAEMONS.iter().filter(|daemon| has_drivers(daemon));
        daemons.map(|daemon| format!("{}.{kind}", daemon.name)).collect::<Vec<_>>().join(" ")
    };
    let values = layout.values().set("sockets", units("socket")).set("services", units("service"));
    let service = values.fill(include_str!("../systemd/libvirt-guests.service"));
    files.add("unit", format!("{}/libvirt-guests.service", layout.unitdir), service);
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtus_daemons::table::LIBVIRTD;

    fn units(daemon: &Daemon) -> Vec<(String, String)> {
        let mut tree = crate::tree::Tree::default();
        add(daemon, &Layout::default(), tree.package("x"));
        let named = |(path, text): (&str, &str)| {
            (path.rsplit('/').next().unwrap_or_default().to_owned(), text.to_owned())
        };
        tree.texts().map(named).collect()
    }

    #[test]
    fn every_modular_unit_conflicts_with_libvirtds_of_its_kind_and_comes_after_it() {
        let theirs: Vec<String> = units(&LIBVIRTD).into_iter().map(|(name, _)| name).collect();
        for daemon in DAEMONS.iter().filter(|daemon| daemon.deployment == Deployment::Modular) {
            for (name, text) in units(daemon) {
                let other = name.replacen(daemon.name, "libvirtd", 1);
                assert!(theirs.contains(&other), "{name}");
                for line in [format!("\nConflicts={other}\n"), format!("\nAfter={other}\n")] {
                    assert_eq!(text.matches(&line).count(), 1, "{name}: {line}");
                }
            }
        }
    }

    #[test]
    fn libvirtd_conflicts_with_no_unit_of_ours() {
        for (name, text) in units(&LIBVIRTD) {
            assert!(!text.contains("Conflicts=virt"), "{name}");
        }
    }

    #[test]
    fn extra_lines_go_to_their_sections() {
        let text = with_extra("[Unit]\nA=1\n\n[Service]\nB=2\n", "[Service]\nC=3\n");
        assert_eq!(text, "[Unit]\nA=1\n\n[Service]\nB=2\nC=3\n");
    }
}

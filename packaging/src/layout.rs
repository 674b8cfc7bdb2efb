// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where files lie on a host, and the files that belong to no daemon.

use std::path::PathBuf;

use crate::template::Values;
use crate::tree::Tree;
use crate::{manual, systemd};

/// The folders, as a distribution wants them.
pub(crate) struct Layout {
    /// Where everything is written.
    pub(crate) out: PathBuf,
    /// What ends in `share` and `lib` stands below it.
    pub(crate) prefix: String,
    pub(crate) sysconfdir: String,
    pub(crate) bindir: String,
    pub(crate) sbindir: String,
    pub(crate) libexecdir: String,
    pub(crate) unitdir: String,
    pub(crate) mandir: String,
    /// The oldest release of systemd that has to understand the units.
    pub(crate) systemd: u32,
}

impl Default for Layout {
    fn default() -> Self {
        Self::below("/usr")
    }
}

impl Layout {
    fn below(prefix: &str) -> Self {
        Self {
            out: PathBuf::new(),
            prefix: prefix.to_owned(),
            sysconfdir: "/etc".to_owned(),
            bindir: format!("{prefix}/bin"),
            sbindir: format!("{prefix}/sbin"),
            libexecdir: format!("{prefix}/libexec"),
            unitdir: format!("{prefix}/lib/systemd/system"),
            mandir: format!("{prefix}/share/man"),
            systemd: systemd::WAITS_FOR_RELOADS,
        }
    }

    /// Understands the command line; `None` if it is wrong.
    pub(crate) fn read(arguments: &[String]) -> Option<Self> {
        let mut pairs = Vec::new();
        for pair in arguments.chunks(2) {
            let [name, value] = pair else { return None };
            pairs.push((name.strip_prefix("--")?, value.as_str()));
        }
        let prefix = pairs.iter().find(|(name, _)| *name == "prefix");
        let mut layout = Self::below(prefix.map_or("/usr", |(_, prefix)| prefix));
        for (name, value) in pairs {
            let place = match name {
                "out" => {
                    layout.out = PathBuf::from(value);
                    continue;
                }
                "systemd" => {
                    layout.systemd = value.parse().ok()?;
                    continue;
                }
                "prefix" => &mut layout.prefix,
                "sysconfdir" => &mut layout.sysconfdir,
                "bindir" => &mut layout.bindir,
                "sbindir" => &mut layout.sbindir,
                "libexecdir" => &mut layout.libexecdir,
                "unitdir" => &mut layout.unitdir,
                "mandir" => &mut layout.mandir,
                _ => return None,
            };
            value.clone_into(place);
        }
        (!layout.out.as_os_str().is_empty()).then_some(layout)
    }

    /// What templates know of it.
    pub(crate) fn values(&self) -> Values {
        Values::default().set("sbindir", &self.sbindir).set("libexecdir", &self.libexecdir)
    }
}

/// The programs that people run and that belong to no daemon: their package and name.
const TOOLS: [(&str, &str); 2] =
    [("daemon-common", "virt-ssh-helper"), ("client", "virt-xml-validate")];

/// What belongs to no daemon.
pub(crate) fn add_common(layout: &Layout, tree: &mut Tree) {
    for (package, name) in TOOLS {
        tree.package(package).program(&layout.bindir, name);
    }
    tree.package("daemon-driver-lxc").program(&layout.libexecdir, "libvirt_lxc");
    let (prefix, etc) = (&layout.prefix, &layout.sysconfdir);
    tree.package("daemon-plugin-lockd").add(
        "config",
        format!("{etc}/libvirt/qemu-lockd.conf"),
        include_str!("../system/qemu-lockd.conf"),
    );
    let common = tree.package("daemon-common");
    common.program(&layout.bindir, "virtus");
    for (path, text) in [
        (format!("{prefix}/lib/sysusers.d/virtus.conf"), include_str!("../system/sysusers.conf")),
        (format!("{prefix}/lib/tmpfiles.d/virtus.conf"), include_str!("../system/tmpfiles.conf")),
        (
            format!("{prefix}/lib/systemd/system-preset/85-virtus.preset"),
            include_str!("../system/virtus.preset"),
        ),
        (
            format!("{prefix}/share/polkit-1/actions/org.libvirt.api.policy"),
            include_str!("../polkit/org.libvirt.api.policy"),
        ),
        (
            format!("{prefix}/share/polkit-1/actions/org.libvirt.unix.policy"),
            include_str!("../polkit/org.libvirt.unix.policy"),
        ),
        (
            format!("{prefix}/share/polkit-1/rules.d/50-libvirt.rules"),
            include_str!("../polkit/50-libvirt.rules"),
        ),
    ] {
        common.add("data", path, text);
    }
    common.program(&layout.libexecdir, "libvirt-guests");
    let guests = include_str!("../system/libvirt-guests");
    common.add("config", format!("{etc}/default/libvirt-guests"), guests);
    let rotation = include_str!("../system/logrotate.conf");
    common.add("config", format!("{etc}/logrotate.d/libvirt"), rotation);
    systemd::add_common(layout, common);
    manual::add_common(layout, tree);
}

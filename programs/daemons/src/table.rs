// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The table of daemons: one row each, in libvirt's names. A row is all that makes them differ.

use virtus_core::DriverEntry;

/// One daemon.
#[derive(Clone, Copy)]
pub struct Daemon {
    /// Its program, configuration file and PID file.
    pub name: &'static str,
    /// What its sockets' names start with.
    pub socket: &'static str,
    /// What it is, for `--help`.
    pub about: &'static str,
    /// Whether it also answers on TCP when told to.
    pub listens_on_ip: bool,
    /// The drivers in it.
    pub drivers: &'static [DriverEntry],
}

/// Every driver that exists.
const ALL: &[DriverEntry] =
    &[virtus_qemu::DRIVER, virtus_lxc::DRIVER, virtus_test_driver::DRIVER, virtus_secret::DRIVER];

/// Virtual machines under QEMU and KVM.
pub const VIRTQEMUD: Daemon = Daemon {
    name: "virtqemud",
    socket: "virtqemud",
    about: "virtqemud QEMU management daemon",
    listens_on_ip: false,
    drivers: &[virtus_qemu::DRIVER],
};

/// Containers of this host's own kernel.
pub const VIRTLXCD: Daemon = Daemon {
    name: "virtlxcd",
    socket: "virtlxcd",
    about: "virtlxcd LXC management daemon",
    listens_on_ip: false,
    drivers: &[virtus_lxc::DRIVER],
};

/// Secrets that disks, volumes and pools need.
pub const VIRTSECRETD: Daemon = Daemon {
    name: "virtsecretd",
    socket: "virtsecretd",
    about: "virtsecretd secret data management daemon",
    listens_on_ip: false,
    drivers: &[virtus_secret::DRIVER],
};

/// All drivers in one daemon, for hosts that are not modular.
pub const LIBVIRTD: Daemon = Daemon {
    name: "libvirtd",
    socket: "libvirt",
    about: "libvirt management daemon",
    listens_on_ip: true,
    drivers: ALL,
};

/// All of them.
pub const DAEMONS: &[&Daemon] = &[&VIRTQEMUD, &VIRTLXCD, &VIRTSECRETD, &LIBVIRTD];

/// The daemon of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Daemon> {
    DAEMONS.iter().copied().find(|daemon| daemon.name == name)
}

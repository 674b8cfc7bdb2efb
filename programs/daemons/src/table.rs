// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The table of daemons: one row each, in libvirt's names. A row is all that makes them differ; units, configuration
//! files, manual pages and lists of packages follow from it.

use virtus_core::DriverEntry;

use crate::lockd;
use crate::logd;
use crate::own::Own;

/// One daemon.
#[derive(Clone, Copy)]
pub struct Daemon {
    /// Its program, configuration file, PID file and units.
    pub name: &'static str,
    /// What its sockets' names start with.
    pub socket: &'static str,
    /// What it is, for `--help`.
    pub about: &'static str,
    /// What its units are called beside "libvirt".
    pub label: &'static str,
    /// What it is for, as the manual page says it.
    pub purpose: &'static str,
    /// The package that has it, without the prefix that all packages have.
    pub package: &'static str,
    /// In which deployment it runs.
    pub deployment: Deployment,
    /// Whether it also answers on TCP when told to.
    pub listens_on_ip: bool,
    /// Whether it hands clients on to the daemons of drivers that it has not.
    pub forwards: bool,
    /// The drivers in it.
    pub drivers: &'static [DriverEntry],
    /// The program that it serves itself instead of drivers.
    pub own: Option<Own>,
}

/// A host runs one deployment or the other, never both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// One daemon with all drivers.
    Monolithic,
    /// A daemon for each driver.
    Modular,
    /// A keeper of logs or locks, whom the drivers of either need; no client of a driver comes here.
    Either,
}

/// Every driver that exists.
const ALL: &[DriverEntry] =
    &[virtus_qemu::DRIVER, virtus_lxc::DRIVER, virtus_test_driver::DRIVER, virtus_secret::DRIVER];

/// Virtual machines under QEMU and KVM.
pub const VIRTQEMUD: Daemon = Daemon {
    name: "virtqemud",
    socket: "virtqemud",
    about: "virtqemud QEMU management daemon",
    label: "QEMU",
    purpose: "manages the virtual machines that QEMU runs on this host, with KVM or without. It may end and start again at \
              any time: guests run on, and are found again.",
    package: "daemon-driver-qemu",
    deployment: Deployment::Modular,
    listens_on_ip: false,
    forwards: false,
    drivers: &[virtus_qemu::DRIVER],
    own: None,
};

/// Containers of this host's own kernel.
pub const VIRTLXCD: Daemon = Daemon {
    name: "virtlxcd",
    socket: "virtlxcd",
    about: "virtlxcd LXC management daemon",
    label: "LXC",
    purpose: "manages containers, which share the kernel of this host. Each has a controller of its own, the program \
              `libvirt_lxc`; the daemon may end and start again at any time: containers run on, and are found again.",
    package: "daemon-driver-lxc",
    deployment: Deployment::Modular,
    listens_on_ip: false,
    forwards: false,
    drivers: &[virtus_lxc::DRIVER],
    own: None,
};

/// Secrets that disks, volumes and pools need.
pub const VIRTSECRETD: Daemon = Daemon {
    name: "virtsecretd",
    socket: "virtsecretd",
    about: "virtsecretd secret data management daemon",
    label: "secret",
    purpose: "keeps the passphrases and keys that encrypted disks and storage pools need, so that they need not stand in \
              the definitions of guests.",
    package: "daemon-driver-secret",
    deployment: Deployment::Modular,
    listens_on_ip: false,
    forwards: false,
    drivers: &[virtus_secret::DRIVER],
    own: None,
};

/// Keeper of what guests print.
pub const VIRTLOGD: Daemon = Daemon {
    name: "virtlogd",
    socket: "virtlogd",
    about: "libvirt log management daemon",
    label: "log",
    purpose: "keeps what guests print on their consoles, and sees to it that it does not fill the disk. It outlives the \
              daemons that start guests, and SIGUSR1 replaces its program without losing a log.",
    package: "daemon-log",
    deployment: Deployment::Either,
    listens_on_ip: false,
    forwards: false,
    drivers: &[],
    own: Some(logd::OWN),
};

/// Keeper of the locks on guests' disks.
pub const VIRTLOCKD: Daemon = Daemon {
    name: "virtlockd",
    socket: "virtlockd",
    about: "libvirt lock management daemon",
    label: "locking",
    purpose: "holds the locks on disks of guests, so that no two guests write to one, on this host or, on shared storage, on \
              several. It outlives the daemons that start guests, and SIGUSR1 replaces its program without losing a lock.",
    package: "daemon-lock",
    deployment: Deployment::Either,
    listens_on_ip: false,
    forwards: false,
    drivers: &[],
    own: Some(lockd::OWN),
};

/// The way in for other hosts, and for clients that know only the socket of libvirtd.
pub const VIRTPROXYD: Daemon = Daemon {
    name: "virtproxyd",
    socket: "libvirt",
    about: "virtproxyd proxy daemon",
    label: "proxy",
    purpose: "lets clients of other hosts in, by TLS and TCP, and clients that know only the socket of libvirtd. It asks them \
              who they are, and hands each on to the daemon that serves its URI, which learns on whose behalf it works.",
    package: "daemon-proxy",
    deployment: Deployment::Modular,
    listens_on_ip: true,
    forwards: true,
    drivers: &[virtus_test_driver::DRIVER],
    own: None,
};

/// All drivers in one daemon, for hosts that are not modular.
pub const LIBVIRTD: Daemon = Daemon {
    name: "libvirtd",
    socket: "libvirt",
    about: "libvirt management daemon",
    label: "legacy monolithic",
    purpose: "has all drivers in one process, for hosts that have not changed to the modular daemons. It may end and start \
              again at any time: guests run on, and are found again.",
    package: "daemon",
    deployment: Deployment::Monolithic,
    listens_on_ip: true,
    forwards: false,
    drivers: ALL,
    own: None,
};

/// All of them.
pub const DAEMONS: &[&Daemon] =
    &[&VIRTQEMUD, &VIRTLXCD, &VIRTSECRETD, &VIRTLOGD, &VIRTLOCKD, &VIRTPROXYD, &LIBVIRTD];

/// The daemon of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Daemon> {
    DAEMONS.iter().copied().find(|daemon| daemon.name == name)
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Control groups: version 1, version 2, and hosts that have both.
//!
//! A [`Group`] is one name in every hierarchy that the host has; each controller is found where it is
//! mounted. Groups of guests lie below the partition `machine`, which is at the top: beside the daemon's own, so
//! that no limit of the daemon is theirs, and because version 2 hands no controller on from a group that has
//! processes in it. Below a guest's group lie `emulator` and `vcpuN`, groups of threads:
//!
//! ```text
//! machine/qemu-1-vm1.libvirt-qemu/{emulator,vcpu0,…}
//! ```
//! Invariants: a controller that is not there is an error that says so, never a silent success. In version 2, groups
//! that have groups below them have no processes, but for those of threads.

mod detect;
mod devices;
mod group;
mod life;
mod limits;
mod traffic;

use std::path::PathBuf;

use virtus_api::{Error, ErrorCode, ErrorDomain};

pub use detect::Kind;
pub use devices::DeviceRule;
pub use group::Group;
pub use limits::{BlkioDevice, CpuQuota, CpuUsage, UNLIMITED};
pub use traffic::DiskTraffic;

/// What the kernel can account or limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Controller {
    /// Shares and quotas of CPU time.
    Cpu,
    /// Counting CPU time (part of [`Self::Cpu`] in version 2).
    Cpuacct,
    /// Which CPUs and NUMA nodes.
    Cpuset,
    /// Memory.
    Memory,
    /// Which devices may be opened (a controller in version 1, a program of the group in version 2).
    Devices,
    /// Stopping and continuing.
    Freezer,
    /// Disks (`io` in version 2).
    Blkio,
    /// How many processes.
    Pids,
}

impl Controller {
    const ALL: [Self; 8] = [
        Self::Cpu,
        Self::Cpuacct,
        Self::Cpuset,
        Self::Memory,
        Self::Devices,
        Self::Freezer,
        Self::Blkio,
        Self::Pids,
    ];

    /// Its name in version 1 and for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Cpuset => "cpuset",
            Self::Memory => "memory",
            Self::Devices => "devices",
            Self::Freezer => "freezer",
            Self::Blkio => "blkio",
            Self::Pids => "pids",
        }
    }

    /// Its name in version 2; `None` where it is not a controller that can be switched on there.
    fn unified_name(self) -> Option<&'static str> {
        match self {
            Self::Cpu => Some("cpu"),
            Self::Cpuset => Some("cpuset"),
            Self::Memory => Some("memory"),
            Self::Blkio => Some("io"),
            Self::Pids => Some("pids"),
            Self::Cpuacct | Self::Devices | Self::Freezer => None,
        }
    }
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hierarchy {
    /// Version 2.
    unified: bool,
    /// Version 1, for systemd's own use: it has a name instead of controllers.
    named: bool,
    /// The folder of the topmost group that this process sees.
    top: PathBuf,
    controllers: Vec<Controller>,
}

/// The hierarchies of this host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cgroups {
    hierarchies: Vec<Hierarchy>,
}

impl Cgroups {
    /// Whether this controller is to be had.
    #[must_use]
    pub fn has(&self, controller: Controller) -> bool {
        self.hierarchies.iter().any(|hierarchy| hierarchy.controllers.contains(&controller))
    }

    /// The group `path`, such as `machine/qemu-1-vm1.libvirt-qemu`. It need not exist yet.
    #[must_use]
    pub fn group(&self, path: &str) -> Group {
        Group::new(self, path)
    }
}

/// The answer where a controller is not there, in libvirt's words.
fn not_mounted(controller: Controller) -> Error {
    let name = match controller {
        Controller::Cpu => "CPU".to_owned(),
        Controller::Cpuacct => "CPUACCT".to_owned(),
        other => other.name().to_owned(),
    };
    Error::new(ErrorCode::OperationInvalid, format!("cgroup {name} controller is not mounted"))
        .in_domain(ErrorDomain::Cgroup)
        .hint("see which controllers this host has: cat /proc/self/cgroup /sys/fs/cgroup/cgroup.controllers")
}

/// The name of a guest's group: libvirt's, in which the name is kept short and plain.
#[must_use]
pub fn machine_group(driver: &str, id: i32, name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .take(20)
        .collect();
    format!("machine/{driver}-{id}-{plain}.libvirt-{driver}")
}

#[cfg(test)]
mod tests;

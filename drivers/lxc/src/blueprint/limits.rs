// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a container may use of the host.

use serde::{Deserialize, Serialize};
use virtus_host::cgroup::{BlkioDevice, CpuQuota, DeviceRule};

use super::DeviceNode;

/// Limits of a container's control group; `None` leaves one as the host has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The share of CPU time against other groups.
    pub cpu_shares: Option<u64>,
    /// CPU time in each period.
    pub cpu_quota: Option<CpuQuota>,
    /// The CPUs, as a list such as `0-3,8`.
    pub cpus: Option<String>,
    /// The NUMA nodes that memory comes from, as a list.
    pub memory_nodes: Option<String>,
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Memory when the host runs short of it, in bytes.
    pub memory_soft: Option<u64>,
    /// Memory and swap together, in bytes.
    pub memory_and_swap: Option<u64>,
    /// How many processes and threads.
    pub processes: Option<u64>,
    /// The weight of its disk requests.
    pub blkio_weight: Option<u64>,
    /// What it may do with single disks.
    pub blkio_devices: Vec<BlkioDevice>,
    /// The devices that it may use; `None` allows all. Start from [`allowed_devices`].
    pub devices: Option<Vec<DeviceRule>>,
}

/// The device files `nodes`, and pseudo terminals.
#[must_use]
pub fn allowed_devices(nodes: &[DeviceNode]) -> Vec<DeviceRule> {
    let rule = |block, major, minor, write| DeviceRule {
        block,
        major: Some(major),
        minor,
        read: true,
        write,
        make: true,
    };
    let of_node =
        |node: &DeviceNode| rule(node.block, node.major, Some(node.minor), !node.read_only);
    // The multiplexer, and the terminals that it makes.
    nodes
        .iter()
        .map(of_node)
        .chain([rule(false, 5, Some(2), true), rule(false, 136, None, true)])
        .collect()
}

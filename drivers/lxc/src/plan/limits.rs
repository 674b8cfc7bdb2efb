// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a container may use of the host, as its definition says.

use virtus_host::cgroup::CpuQuota;
use virtus_xml::Domain;
use virtus_xml::domain::memory::Memtune;
use virtus_xml::units::Kib;

use crate::blueprint::{DeviceNode, Limits, allowed_devices};

/// The limits of a definition.
pub(super) fn limits(def: &Domain) -> Limits {
    let tune = &def.cputune;
    let memory = def.memtune.as_ref();
    let bytes = |limit: fn(&Memtune) -> &Option<Kib>| {
        memory.and_then(|tune| limit(tune).as_ref()).map(|limit| limit.0.saturating_mul(1024))
    };
    let nodes = def.numatune.as_ref().and_then(|tune| tune.memory.as_ref()?.nodeset.as_ref());
    Limits {
        cpu_shares: tune.shares,
        cpu_quota: CpuQuota::of(tune.period, tune.quota)
            .or_else(|| CpuQuota::of(tune.global_period, tune.global_quota)),
        cpus: def.vcpu.as_ref().and_then(|vcpu| vcpu.cpuset.as_ref()).map(ToString::to_string),
        memory_nodes: nodes.map(ToString::to_string),
        memory: bytes(|tune| &tune.hard_limit)
            .or_else(|| Some(def.memory.kib.saturating_mul(1024))),
        memory_soft: bytes(|tune| &tune.soft_limit),
        memory_and_swap: bytes(|tune| &tune.swap_hard_limit),
        processes: None,
        blkio_weight: def.blkiotune.as_ref().and_then(|tune| tune.weight).map(u64::from),
        blkio_devices: Vec::new(),
        devices: Some(allowed_devices(&DeviceNode::standard())),
    }
}

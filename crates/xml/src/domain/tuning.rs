// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How the guest shares the host: `<vcpu>`, `<iothreads>`, `<cputune>`, `<blkiotune>`.

use std::collections::BTreeSet;

use super::Body;
use super::disk::Iotune;
use super::memory::Placement;
use crate::cpuset::CpuSet;
use crate::value::YesNo;

element! {
    /// `<vcpu>`: how many CPUs the guest can have.
    pub struct Vcpu {
        attr placement: Placement = "placement",
        attr cpuset: Option<CpuSet> = "cpuset",
        attr current: Option<u32> = "current",
        text max: u32
    }
}

element! {
    /// `<vcpus>`: the CPUs one by one.
    pub struct Vcpus { child vcpus: Vec<OneVcpu> = "vcpu" }
}

element! {
    /// One CPU.
    pub struct OneVcpu {
        required id: u32 = "id",
        attr enabled: Option<YesNo> = "enabled",
        attr hotpluggable: Option<YesNo> = "hotpluggable",
        attr order: Option<u32> = "order"
    }
}

element! {
    /// `<iothreadids>`.
    pub struct IothreadIds { child iothreads: Vec<Iothread> = "iothread" }
}

element! {
    /// One I/O thread.
    pub struct Iothread {
        required id: u32 = "id",
        attr thread_pool_min: Option<i32> = "thread_pool_min",
        attr thread_pool_max: Option<i32> = "thread_pool_max",
        child poll: Option<Poll> = "poll"
    }
}

impl Body {
    /// The I/O threads: those that are listed, and for the rest of their number the lowest free ones.
    #[must_use]
    pub fn all_iothreads(&self) -> Vec<Iothread> {
        let mut all = self.iothreadids.as_ref().map_or_else(Vec::new, |ids| ids.iothreads.clone());
        let taken: BTreeSet<u32> = all.iter().map(|thread| thread.id).collect();
        let missing = (self.iothreads.unwrap_or_default() as usize).saturating_sub(all.len());
        let free = (1..).filter(|id| !taken.contains(id)).take(missing);
        all.extend(free.map(|id| Iothread { id, ..Iothread::default() }));
        all
    }
}

element! {
    /// `<poll>`: how long a thread spins before it sleeps.
    pub struct Poll {
        attr max: Option<u64> = "max",
        attr grow: Option<u64> = "grow",
        attr shrink: Option<u64> = "shrink"
    }
}

element! {
    /// `<defaultiothread>`.
    pub struct DefaultIothread {
        attr thread_pool_min: Option<i32> = "thread_pool_min",
        attr thread_pool_max: Option<i32> = "thread_pool_max"
    }
}

element! {
    /// `<cputune>`.
    pub struct Cputune {
        leaf shares: Option<u64> = "shares",
        leaf period: Option<u64> = "period",
        leaf quota: Option<i64> = "quota",
        leaf global_period: Option<u64> = "global_period",
        leaf global_quota: Option<i64> = "global_quota",
        leaf emulator_period: Option<u64> = "emulator_period",
        leaf emulator_quota: Option<i64> = "emulator_quota",
        leaf iothread_period: Option<u64> = "iothread_period",
        leaf iothread_quota: Option<i64> = "iothread_quota",
        child vcpupins: Vec<VcpuPin> = "vcpupin",
        child emulatorpin: Option<EmulatorPin> = "emulatorpin",
        child iothreadpins: Vec<IothreadPin> = "iothreadpin",
        child emulatorsched: Option<Sched> = "emulatorsched",
        child vcpuscheds: Vec<VcpuSched> = "vcpusched",
        child iothreadscheds: Vec<IothreadSched> = "iothreadsched",
        child cachetunes: Vec<CacheTune> = "cachetune",
        child memorytunes: Vec<MemoryTune> = "memorytune"
    }
}

element! {
    /// `<vcpupin>`.
    pub struct VcpuPin {
        required vcpu: u32 = "vcpu",
        required cpuset: CpuSet = "cpuset"
    }
}

element! {
    /// `<emulatorpin>`.
    pub struct EmulatorPin { required cpuset: CpuSet = "cpuset" }
}

element! {
    /// `<iothreadpin>`.
    pub struct IothreadPin {
        required iothread: u32 = "iothread",
        required cpuset: CpuSet = "cpuset"
    }
}

element! {
    /// `<vcpusched>`.
    pub struct VcpuSched {
        required vcpus: CpuSet = "vcpus",
        part sched: Sched
    }
}

element! {
    /// `<iothreadsched>`.
    pub struct IothreadSched {
        required iothreads: CpuSet = "iothreads",
        part sched: Sched
    }
    schema {
        attr CpuSet = "iothreads"
    }
}

element! {
    /// How a thread is scheduled.
    pub struct Sched {
        required scheduler: Scheduler = "scheduler",
        attr priority: Option<i32> = "priority"
    }
}

spellings! {
    /// Linux' scheduling classes.
    pub enum Scheduler { Batch = "batch", Idle = "idle", Fifo = "fifo", Rr = "rr" }
}

element! {
    /// `<cachetune>`: a share of the host's caches.
    pub struct CacheTune {
        required vcpus: CpuSet = "vcpus",
        attr id: Option<String> = "id",
        child caches: Vec<CacheShare> = "cache",
        child monitors: Vec<ResourceMonitor> = "monitor"
    }
}

element! {
    /// `<cache>` of a share.
    pub struct CacheShare {
        required id: u32 = "id",
        required level: u32 = "level",
        required kind: CacheKind = "type",
        required size: u64 = "size",
        attr unit: Option<String> = "unit"
    }
}

spellings! {
    /// What a cache holds.
    pub enum CacheKind { Both = "both", Code = "code", Data = "data" }
}

element! {
    /// `<monitor>`: CPUs whose use is watched.
    pub struct ResourceMonitor {
        attr level: Option<u32> = "level",
        required vcpus: CpuSet = "vcpus"
    }
}

element! {
    /// `<memorytune>`: a share of the host's memory bandwidth.
    pub struct MemoryTune {
        required vcpus: CpuSet = "vcpus",
        attr id: Option<String> = "id",
        child nodes: Vec<MemoryShare> = "node",
        child monitors: Vec<ResourceMonitor> = "monitor"
    }
}

element! {
    /// `<node>` of a share.
    pub struct MemoryShare {
        required id: u32 = "id",
        required bandwidth: u32 = "bandwidth"
    }
}

element! {
    /// `<blkiotune>`.
    pub struct Blkiotune {
        leaf weight: Option<u32> = "weight",
        child devices: Vec<BlkioDevice> = "device"
    }
}

element! {
    /// One host device's share.
    pub struct BlkioDevice {
        leaf path: String = "path",
        leaf weight: Option<u32> = "weight",
        leaf read_iops_sec: Option<u32> = "read_iops_sec",
        leaf write_iops_sec: Option<u32> = "write_iops_sec",
        leaf read_bytes_sec: Option<u64> = "read_bytes_sec",
        leaf write_bytes_sec: Option<u64> = "write_bytes_sec"
    }
}

impl BlkioDevice {
    /// Whether anything is said of the device but which it is.
    pub(crate) fn says_something(&self) -> bool {
        *self != Self { path: self.path.clone(), ..Self::default() }
    }
}

element! {
    /// `<throttlegroups>`.
    pub struct ThrottleGroups { child groups: Vec<Iotune> = "throttlegroup" }
}

element! {
    /// `<resource>`.
    pub struct Resource {
        leaf partition: Option<String> = "partition",
        child fibrechannel: Option<FibreChannel> = "fibrechannel"
    }
}

element! {
    /// `<fibrechannel appid='…'/>`.
    pub struct FibreChannel { required appid: String = "appid" }
}

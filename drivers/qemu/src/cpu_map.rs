// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Threads of this host that are bound to a set of its CPUs.

use rustix::process::Pid;
use rustix::thread::{sched_getaffinity, sched_setaffinity};
use virtus_api::{Error, Result};
pub(crate) use virtus_domain::cpu_map::{all, check_room, to_map};
use virtus_xml::cpuset::CpuSet;

/// Lets a thread run on these CPUs only.
pub(crate) fn pin(tid: u32, set: &CpuSet) -> Result<()> {
    let mut mask = rustix::thread::CpuSet::new();
    let most = rustix::thread::CpuSet::MAX_CPU;
    for cpu in set.iter().filter_map(|cpu| usize::try_from(cpu).ok()).filter(|cpu| *cpu < most) {
        mask.set(cpu);
    }
    let pid = i32::try_from(tid).ok().and_then(Pid::from_raw);
    sched_setaffinity(pid, &mask).map_err(|cause| {
        Error::system(format!("cannot pin thread {tid} to CPUs '{set}'"), &cause.into())
    })
}

/// The CPUs that a thread may run on; none if it has ended.
pub(crate) fn of_thread(tid: u32) -> Option<CpuSet> {
    let pid = i32::try_from(tid).ok().and_then(Pid::from_raw)?;
    let mask = sched_getaffinity(Some(pid)).ok()?;
    let most = u32::try_from(rustix::thread::CpuSet::MAX_CPU).unwrap_or_default();
    let is_set = |cpu: &u32| usize::try_from(*cpu).is_ok_and(|cpu| mask.is_set(cpu));
    Some(CpuSet::of((0..most).filter(is_set)))
}

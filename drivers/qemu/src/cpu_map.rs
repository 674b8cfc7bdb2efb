// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sets of host CPUs as bitmaps, the lowest bit of the first byte being CPU 0; and threads that are bound to
//! a set.

use rustix::process::Pid;
use rustix::thread::{sched_getaffinity, sched_setaffinity};
use virtus_api::{Error, Result};
use virtus_xml::cpuset::CpuSet;

/// Reads a bitmap.
pub(crate) fn from_map(map: &[u8]) -> CpuSet {
    CpuSet::of((0..).zip(map).flat_map(|(at, byte)| {
        (0..8).filter(move |bit| byte & (1 << bit) != 0).map(move |bit| at * 8 + bit)
    }))
}

/// The bitmap of the first `cpus` CPUs, in `length` bytes.
pub(crate) fn to_map(set: &CpuSet, cpus: usize, length: usize) -> Vec<u8> {
    let mut map = vec![0; length];
    for cpu in set.iter().filter_map(|cpu| usize::try_from(cpu).ok()) {
        if cpu < cpus && cpu / 8 < length {
            map[cpu / 8] |= 1 << (cpu % 8);
        }
    }
    map
}

/// Every CPU of a host that has `cpus`.
pub(crate) fn all(cpus: usize) -> CpuSet {
    let mut set = CpuSet::default();
    if let Some(last) = u32::try_from(cpus).ok().and_then(|cpus| cpus.checked_sub(1)) {
        set.insert(0, last);
    }
    set
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_maps_mean_the_same() {
        let set = from_map(&[0b1011, 1]);
        assert_eq!(set.to_string(), "0-1,3,8");
        assert_eq!(to_map(&set, 16, 2), [0b1011, 1]);
        assert_eq!(to_map(&set, 4, 3), [0b1011, 0, 0]);
        assert_eq!(to_map(&all(9), 9, 2), [0xff, 1]);
    }
}

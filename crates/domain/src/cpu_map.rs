// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sets of host CPUs as bitmaps, the lowest bit of the first byte being CPU 0.

use virtus_xml::cpuset::CpuSet;

/// Reads a bitmap.
#[must_use]
pub fn from_map(map: &[u8]) -> CpuSet {
    CpuSet::of((0..).zip(map).flat_map(|(at, byte)| {
        (0..8).filter(move |bit| byte & (1 << bit) != 0).map(move |bit| at * 8 + bit)
    }))
}

/// The bitmap of the first `cpus` CPUs, in `length` bytes.
#[must_use]
pub fn to_map(set: &CpuSet, cpus: usize, length: usize) -> Vec<u8> {
    let mut map = vec![0; length];
    for cpu in set.iter().filter_map(|cpu| usize::try_from(cpu).ok()) {
        if cpu < cpus && cpu / 8 < length {
            map[cpu / 8] |= 1 << (cpu % 8);
        }
    }
    map
}

/// Every CPU of a host that has `cpus`.
#[must_use]
pub fn all(cpus: usize) -> CpuSet {
    let mut set = CpuSet::default();
    if let Some(last) = u32::try_from(cpus).ok().and_then(|cpus| cpus.checked_sub(1)) {
        set.insert(0, last);
    }
    set
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

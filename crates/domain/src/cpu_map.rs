// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sets of host CPUs as bitmaps, the lowest bit of the first byte being CPU 0.

use virtus_api::limits::{CPUMAPS_MAX, VCPUINFO_MAX};
use virtus_api::{Error, ErrorCode, Result};
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
    let room = cpus.min(length.saturating_mul(8));
    // A set may name far more CPUs than there is room for.
    for cpu in set.iter().map_while(|cpu| usize::try_from(cpu).ok()).take_while(|&cpu| cpu < room) {
        map[cpu / 8] |= 1 << (cpu % 8);
    }
    map
}

/// Refuses to make more maps of a length, in bytes, than an answer holds: both numbers are the client's.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG`.
pub fn check_room(count: i32, length: i32) -> Result<()> {
    let [count, length] = [count, length].map(|number| usize::try_from(number).unwrap_or_default());
    if count <= VCPUINFO_MAX && count.saturating_mul(length) <= CPUMAPS_MAX {
        return Ok(());
    }
    let text = format!(
        "{count} maps of {length} bytes are more than the {CPUMAPS_MAX} bytes that an answer holds"
    );
    Err(Error::new(ErrorCode::InvalidArg, text).hint("ask for fewer or shorter maps"))
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
        assert_eq!(to_map(&all(u32::MAX as usize), 9, 1), [0xff]);
    }

    #[test]
    fn an_answer_holds_so_many_maps() {
        assert!(check_room(16384, 512).is_ok());
        assert!(check_room(16384, 513).is_err());
        assert!(check_room(16385, 0).is_err());
        assert!(check_room(1, i32::MAX).is_err());
        assert!(check_room(-1, -1).is_ok());
    }
}

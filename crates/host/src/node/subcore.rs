// SPDX-License-Identifier: Apache-2.0 OR MIT
//! POWER's cores, which KVM divides: of each part the host sees one thread, guests see all.

/// How many threads each part of a core has; 0 where cores have no parts.
#[cfg(not(target_arch = "powerpc64"))]
pub(super) fn threads() -> u32 {
    0
}

/// How many threads each part of a core has; 0 where cores have no parts.
#[cfg(target_arch = "powerpc64")]
#[expect(unsafe_code, reason = "KVM's questions have no safe wrapper")]
pub(super) fn threads() -> u32 {
    use std::os::fd::AsRawFd;
    const CHECK_EXTENSION: libc::c_ulong = 0x2000_ae03;
    const PPC_SMT: libc::c_int = 64;
    let Ok(kvm) = std::fs::File::open("/dev/kvm") else { return 0 };
    // SAFETY: this request takes a number, reads no memory of ours, and the descriptor is open.
    let threads = unsafe { libc::ioctl(kvm.as_raw_fd(), CHECK_EXTENSION, PPC_SMT) };
    u32::try_from(threads).unwrap_or_default()
}

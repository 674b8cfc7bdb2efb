// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How the C library's allocator is to behave in a program that lives for months.

/// Keeps the heap together: without this glibc gives each thread an arena of its own, and what a start or a burst
/// of work has freed in one of them is neither given back nor used by the others. Measured on a daemon that has
/// just started: 37 MiB resident with an arena per thread, 13 MiB with a single one.
///
/// Large buffers (data of streams) go back to the kernel as soon as they are freed: left to itself, glibc takes
/// them from the heap after the first time, and keeps them.
///
/// To be called before there are threads. Does nothing with another C library.
#[cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "the allocator's settings have no safe wrapper")
)]
pub fn keep_together() {
    #[cfg(target_env = "gnu")]
    {
        /// One for the runtime's threads, one for those that wait for files.
        const ARENAS: libc::c_int = 2;
        /// Bytes from which on a buffer is large; where glibc begins, too.
        const LARGE: libc::c_int = 128 * 1024;
        for (setting, value) in [(libc::M_ARENA_MAX, ARENAS), (libc::M_MMAP_THRESHOLD, LARGE)] {
            // SAFETY: `mallopt` only sets a number in the allocator, which it guards itself.
            let _taken = unsafe { libc::mallopt(setting, value) };
        }
    }
}

/// Gives back to the kernel what a burst of work has freed: left to itself, glibc gives back only what lies behind the
/// last thing in use. Takes about a millisecond for each ten MiB that go; whoever allocates meanwhile waits for it.
/// Does nothing with another C library.
#[cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "the allocator's order has no safe wrapper")
)]
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    {
        /// What the heap keeps at its end.
        const NOTHING: libc::size_t = 0;
        // SAFETY: `malloc_trim` only unmaps pages of which nothing is in use, and takes the allocator's own locks.
        let _released = unsafe { libc::malloc_trim(NOTHING) };
    }
}

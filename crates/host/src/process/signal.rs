// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sending signals by number, which rustix knows by name only, and not being ended by some.
#![expect(
    unsafe_code,
    reason = "pidfd_send_signal() has no safe form that takes any number, signal() has none at all"
)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

pub(super) fn send(process: &OwnedFd, number: i32) -> io::Result<()> {
    let info: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: the descriptor is open during the call, and without an info the kernel reads no memory of ours.
    let answer = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), number, info, 0_u32)
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Signals that ask a daemon for something, a reload or to make room for another program, do nothing from now on, here
/// and in a program that this one becomes, until it listens for them.
pub fn ignore_requests() {
    for signal in [libc::SIGHUP, libc::SIGUSR1] {
        // SAFETY: a signal is ignored, which needs no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Descriptors that the runtime watches.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Lets the runtime tell when `fd`, which must not block, is ready.
///
/// # Errors
/// The kernel's, if it cannot watch such a descriptor, or no more of them.
#[expect(unsafe_code, reason = "the runtime cannot know that a descriptor stays the same one")]
pub fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` always names the same open descriptor, until the `AsyncFd` drops it.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(io::Error::from)
}

/// Takes a descriptor that this process has from before it became this program; from now on exec closes it.
///
/// # Errors
/// `EBADF` if there is none of this number, or if it is one of this program's own.
#[expect(unsafe_code, reason = "a number becomes a descriptor")]
pub fn inherit(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: it is borrowed for this function, which closes nothing; the kernel refuses a number that is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    // All that this program opens has the mark: without it a descriptor is inherited, and nobody has taken it yet.
    if fcntl_getfd(borrowed)?.contains(FdFlags::CLOEXEC) {
        return Err(Errno::BADF.into());
    }
    fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    // SAFETY: it is open, and nobody else in this program has it: nothing of it had the number before.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Descriptors that the runtime watches.

use std::io;
use std::os::fd::OwnedFd;

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

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Locks of fcntl on the first byte of a file, as libvirt's daemons take them: ours and libvirt's refuse each other, on
//! shared storage also those of different hosts.
//!
//! A lock belongs to the open file, not to the process, since the other kind is lost as soon as any part of the process
//! opens the file a second time and closes it. It stays over an exec of the process if the descriptor does.
#![expect(unsafe_code, reason = "locks that belong to an open file have no safe wrapper yet")]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Whom a lock keeps out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Everybody.
    Exclusive,
    /// Those who want it for themselves alone.
    Shared,
}

/// Locks the open file at once, or changes the lock that it has.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] or [`io::ErrorKind::PermissionDenied`] if somebody else has it locked; others where
/// the file system cannot lock, or the file is not open for what the lock takes.
pub fn lock(file: impl AsFd, how: Lock) -> io::Result<()> {
    let kind = match how {
        Lock::Exclusive => libc::F_WRLCK,
        Lock::Shared => libc::F_RDLCK,
    };
    set(file, libc::F_OFD_SETLK, kind)
}

/// Makes a lock that the process has on the file into one of the open file. For a file that libvirt's daemon has locked
/// before this program took its process over.
///
/// # Errors
/// As [`lock`].
pub fn take_over(file: impl AsFd, how: Lock) -> io::Result<()> {
    set(file.as_fd(), libc::F_SETLK, libc::F_UNLCK)?;
    lock(file, how)
}

fn set(file: impl AsFd, command: c_int, kind: c_int) -> io::Result<()> {
    let lock = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 1,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open, and the kernel only reads the structure.
    let status = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), command, &raw const lock) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Loop devices: files as disks. Each goes with its last user, which is the mount.
#![expect(unsafe_code, reason = "loop devices are configured by ioctl, which has no safe form")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::failure::{Attempt, Failure, Step};

const GET_FREE: libc::c_ulong = 0x4c82;
const CONFIGURE: libc::c_ulong = 0x4c0a;
const READ_ONLY: u32 = 1;
const AUTOCLEAR: u32 = 4;

/// A loop device in use; it is free again when this and all mounts of it are gone.
pub(super) struct LoopDevice {
    number: i32,
    _open: File,
}

impl LoopDevice {
    pub(super) fn path(&self) -> PathBuf {
        format!("/dev/loop{}", self.number).into()
    }
}

/// The kernel's `loop_config`: descriptor, block size, `loop_info64`, reserved.
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    numbers: [u64; 5],
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    names: [u8; 64 + 64 + 32],
    init: [u64; 2],
    reserved: [u64; 8],
}

/// Makes a disk of the file at `path`.
pub(super) fn attach(path: &Path, read_only: bool) -> Step<LoopDevice> {
    let file = OpenOptions::new()
        .read(true)
        .write(!read_only)
        .open(path)
        .attempt(|| format!("open the image '{}'", path.display()))?;
    let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control");
    let control = control.attempt(|| "open '/dev/loop-control'")?;
    // Another process may take the free device between the two calls.
    for _ in 0..64 {
        // SAFETY: this request takes nothing and gives a number.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), GET_FREE as _, 0) };
        if number < 0 {
            return Err(io::Error::last_os_error()).attempt(|| "find a free loop device");
        }
        let device = OpenOptions::new()
            .read(true)
            .write(!read_only)
            .custom_flags(libc::O_CLOEXEC)
            .open(format!("/dev/loop{number}"))
            .attempt(|| format!("open '/dev/loop{number}'"))?;
        match configure(&device, &file, read_only) {
            Ok(()) => return Ok(LoopDevice { number, _open: device }),
            Err(cause) if cause.raw_os_error() == Some(libc::EBUSY) => {}
            Err(cause) => {
                return Err(cause).attempt(|| format!("make a disk of '{}'", path.display()));
            }
        }
    }
    Err(Failure::refused("other programs take each loop device that is free"))
}

fn configure(device: &File, file: &File, read_only: bool) -> io::Result<()> {
    let config = Config {
        fd: file.as_raw_fd().cast_unsigned(),
        block_size: 0,
        numbers: [0; 5],
        number: 0,
        encryption: [0; 2],
        flags: AUTOCLEAR | if read_only { READ_ONLY } else { 0 },
        names: [0; 160],
        init: [0; 2],
        reserved: [0; 8],
    };
    // SAFETY: this request reads a structure of this layout, which lives here.
    let status = unsafe { libc::ioctl(device.as_raw_fd(), CONFIGURE as _, &raw const config) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

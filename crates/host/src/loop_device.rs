// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Loop devices: files as disks. Each goes with its last user.
#![expect(unsafe_code, reason = "loop devices are configured by ioctl, which has no safe form")]

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorCode, Result};

const GET_FREE: libc::c_ulong = 0x4c82;
const CONFIGURE: libc::c_ulong = 0x4c0a;
const GET_STATUS: libc::c_ulong = 0x4c05;
const CLEAR: libc::c_ulong = 0x4c01;
const READ_ONLY: u32 = 1;
const AUTOCLEAR: u32 = 4;

/// A loop device in use; it is free again when this and all other users of it are gone.
#[derive(Debug)]
pub struct LoopDevice {
    path: PathBuf,
    _open: File,
}

/// The kernel's `loop_config`.
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// The kernel's `loop_info64`.
#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    numbers: [u64; 3],
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    names: [u8; 64 + 64 + 32],
    init: [u64; 2],
}

impl Info {
    fn with(flags: u32) -> Self {
        Self {
            device: 0,
            inode: 0,
            numbers: [0; 3],
            number: 0,
            encryption: [0; 2],
            flags,
            names: [0; 160],
            init: [0; 2],
        }
    }

    fn is_of(&self, file: &Metadata) -> bool {
        (self.device, self.inode) == (file.dev(), file.ino())
    }
}

impl LoopDevice {
    /// Makes a disk of the file at `path`.
    ///
    /// # Errors
    /// Where the file cannot be opened, or the kernel has no loop devices or no file system that can do this.
    pub fn attach(path: &Path, read_only: bool) -> Result<Self> {
        let open = |path: &Path, what: &str| {
            // A pipe would wait for its other end.
            let flags = libc::O_NONBLOCK;
            let file =
                OpenOptions::new().read(true).write(!read_only).custom_flags(flags).open(path);
            file.map_err(|cause| {
                Error::system(format!("cannot open {what} '{}'", path.display()), &cause)
            })
        };
        let file = open(path, "the image")?;
        let control = File::open("/dev/loop-control")
            .map_err(|cause| Error::system("cannot open '/dev/loop-control'", &cause))?;
        // Another process may take the free device between the two calls.
        for _ in 0..64 {
            // SAFETY: this request takes nothing and gives a number.
            let number = unsafe { libc::ioctl(control.as_raw_fd(), GET_FREE as _, 0) };
            if number < 0 {
                let cause = io::Error::last_os_error();
                return Err(Error::system("cannot find a free loop device", &cause));
            }
            let device = PathBuf::from(format!("/dev/loop{number}"));
            let opened = open(&device, "the loop device")?;
            match configure(&opened, &file, read_only) {
                Ok(()) => return Ok(Self { path: device, _open: opened }),
                Err(cause) if cause.raw_os_error() == Some(libc::EBUSY) => {}
                Err(cause) => {
                    let attempt = format!("cannot make a disk of '{}'", path.display());
                    return Err(Error::system(attempt, &cause));
                }
            }
        }
        let text = "other programs take each loop device that is free";
        Err(Error::new(ErrorCode::OperationFailed, text))
    }

    /// Its device file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Frees the loop device at `device` once its last user is gone, if it is still that of `file`: whoever may write
    /// to a loop device can also have it stay.
    ///
    /// # Errors
    /// Those of the kernel. What is free already is none.
    pub fn free(device: &Path, file: &Path) -> io::Result<()> {
        let open = File::open(device)?;
        let mut info = Info::with(0);
        // SAFETY: this request fills in a structure of this layout, which lives here.
        let status = unsafe { libc::ioctl(open.as_raw_fd(), GET_STATUS as _, &raw mut info) };
        if status < 0 {
            let cause = io::Error::last_os_error();
            return if cause.raw_os_error() == Some(libc::ENXIO) { Ok(()) } else { Err(cause) };
        }
        if !info.is_of(&file.metadata()?) {
            return Ok(());
        }
        // SAFETY: this request takes nothing.
        let status = unsafe { libc::ioctl(open.as_raw_fd(), CLEAR as _, 0) };
        if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

fn configure(device: &File, file: &File, read_only: bool) -> io::Result<()> {
    let config = Config {
        fd: file.as_raw_fd().cast_unsigned(),
        block_size: 0,
        info: Info::with(AUTOCLEAR | if read_only { READ_ONLY } else { 0 }),
        reserved: [0; 8],
    };
    // SAFETY: this request reads a structure of this layout, which lives here.
    let status = unsafe { libc::ioctl(device.as_raw_fd(), CONFIGURE as _, &raw const config) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let path = std::env::temp_dir().join(format!("virtus-pipe-{}", std::process::id()));
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let refused = LoopDevice::attach(&path, true);
        std::fs::remove_file(&path).unwrap();
        refused.unwrap_err();
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Asks a container's init over its own pipe, as System V's does.
//!
//! The pipe is looked for in the container's file system, where everything is the container's to choose: no
//! link is followed, what is no pipe is not opened, and the host's own pipe is left alone.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2, stat};
use virtus_api::{Error, Result};

/// Where the pipe may be.
const PIPES: [&str; 3] = ["run/initctl", "dev/initctl", "etc/.initctl"];
/// The length of a request.
const REQUEST: usize = 384;
/// What every request begins with.
const MAGIC: u32 = 0x0309_1969;
/// The request for another run level.
const RUN_LEVEL: u32 = 1;

/// The run level of a host that is off.
pub(crate) const POWER_OFF: u8 = b'0';
/// The run level of a host that restarts.
pub(crate) const REBOOT: u8 = b'6';

/// Asks the container of the process `init` for a run level; whether it has a pipe that is read.
///
/// # Errors
/// Where the container's files cannot be reached, or its init does not take the request.
pub(crate) fn ask(init: u32, level: u8) -> Result<bool> {
    let Some(mut pipe) = find(init)? else { return Ok(false) };
    pipe.write_all(&request(level))
        .map(|()| true)
        .map_err(|cause| Error::system("cannot write to the container's initctl pipe", &cause))
}

fn request(level: u8) -> [u8; REQUEST] {
    let mut request = [0; REQUEST];
    let words = [MAGIC, RUN_LEVEL, u32::from(level), 0];
    for (place, word) in request.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    request
}

fn find(init: u32) -> Result<Option<File>> {
    let path = format!("/proc/{init}/root");
    let root = open(&path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|cause| Error::system(format!("cannot open '{path}'"), &cause.into()))?;
    Ok(PIPES.iter().find_map(|name| pipe(&root, name)))
}

/// The pipe `name` below `root`, if it is one, is not the host's, and somebody reads it.
fn pipe(root: &OwnedFd, name: &str) -> Option<File> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let found = openat2(root, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve).ok()?;
    let facts = fstat(&found).ok()?;
    let of_host = stat(format!("/{name}"));
    let same = of_host.is_ok_and(|host| (host.st_dev, host.st_ino) == (facts.st_dev, facts.st_ino));
    if same || FileType::from_raw_mode(facts.st_mode) != FileType::Fifo {
        return None;
    }
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open(again, flags, Mode::empty()).ok().map(File::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_form_that_init_reads() {
        let request = request(REBOOT);
        assert_eq!(request[..4], 0x0309_1969_u32.to_ne_bytes());
        assert_eq!(request[4..8], 1_u32.to_ne_bytes());
        assert_eq!(request[8], b'6');
        assert!(request[9..].iter().all(|byte| *byte == 0));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! User namespaces: who the container's users are outside.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::sys;
use crate::blueprint::{IdMap, IdRange};
use crate::failure::{Attempt, Step};

/// Writes the maps of a process in a new user namespace.
pub(super) fn map(pid: Pid, ids: &IdMap) -> Step<()> {
    for (name, ranges) in [("gid_map", &ids.groups), ("uid_map", &ids.users)] {
        let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
        // The kernel takes it as one write.
        OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut file| file.write_all(lines(ranges).as_bytes()))
            .attempt(|| format!("write the container's id map to '{path}'"))
            .map_err(|failure| {
                failure.hint("ranges must not overlap, and at most 340 are allowed")
            })?;
    }
    Ok(())
}

fn lines(ranges: &[IdRange]) -> String {
    let line = |range: &IdRange| format!("{} {} {}\n", range.inside, range.outside, range.count);
    ranges.iter().map(line).collect()
}

/// A user namespace with these ids and nobody in it, for id-mapped mounts.
pub(super) fn namespace(ids: &IdMap) -> Step<OwnedFd> {
    let child = sys::clone(libc::CLONE_NEWUSER, None).attempt(|| "make a user namespace")?;
    let Some(child) = child else {
        // Also where the controller is killed before it does that.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        loop {
            // Until the controller kills it.
            let _ = rustix::event::poll(&mut [], None);
        }
    };
    let opened = map(child.pid, ids).and_then(|()| {
        let path = format!("/proc/{}/ns/user", child.pid.as_raw_nonzero());
        File::open(&path).attempt(|| format!("open '{path}'"))
    });
    let ended = pidfd_send_signal(&child.pidfd, Signal::KILL)
        .and_then(|()| waitid(WaitId::Pid(child.pid), WaitIdOptions::EXITED));
    ended.map_err(io::Error::from).attempt(|| "end the keeper of a user namespace")?;
    Ok(opened?.into())
}

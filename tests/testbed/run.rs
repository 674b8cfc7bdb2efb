// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Running a program to its end, with a deadline and its output kept.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::Outcome;

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Done {
    /// None: it was killed.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Done {
    pub fn ok(&self) -> bool {
        self.code == Some(0)
    }
}

/// Runs `command` with an empty input; it is killed at the deadline, which is an error.
pub(crate) fn run(command: &mut Command, deadline: Duration) -> Outcome<Done> {
    let (mut out, mut err) = (store()?, store()?);
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(err.try_clone()?)
        .spawn()
        .map_err(|cause| format!("cannot run {command:?}: {cause}"))?;
    let ended = ends_within(child.id(), deadline)?;
    if !ended {
        child.kill()?;
    }
    let status = child.wait()?;
    let took = begin.elapsed();
    let (out, err) = (text(&mut out)?, text(&mut err)?);
    if !ended {
        let said = format!("stdout: {out}\nstderr: {err}");
        return Err(format!("no end of {command:?} after {deadline:?}\n{said}").into());
    }
    Ok(Done { code: status.code(), out, err, took })
}

/// Whether the child process ends in time; it is not reaped here.
pub(crate) fn ends_within(child: u32, deadline: Duration) -> Outcome<bool> {
    let pid = i32::try_from(child).ok().and_then(Pid::from_raw).ok_or("no process number")?;
    let handle = pidfd_open(pid, PidfdFlags::empty())?;
    let end = Instant::now() + deadline;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left)?;
        match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&left)) {
            Ok(count) => return Ok(count > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(cause) => return Err(cause.into()),
        }
    }
}

/// A file in memory: unlike a pipe it never makes the writer wait, and nobody must read it meanwhile.
fn store() -> Outcome<File> {
    Ok(memfd_create("output", MemfdFlags::CLOEXEC)?.into())
}

fn text(file: &mut File) -> Outcome<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

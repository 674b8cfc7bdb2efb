// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Processes that the daemons start or find again: guests, their helpers, short tools.
//!
//! A process is held by a descriptor (pidfd), never by its number alone, so that a number that the
//! kernel gave to somebody else is never signalled. Invariant: nothing here blocks a thread for longer
//! than a fork takes.

mod child;
mod program;
mod replace;
mod run;
mod signal;
mod spawn;
mod stat;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, waitid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use virtus_api::{Error, Result};

use crate::descriptor::watch;

pub use program::find_program;
pub use replace::replace;
pub use run::{Output, Run};
pub use signal::ignore_requests;
pub use spawn::{Limit, Spawn, Stdio};
pub use stat::{Stat, Status, ThreadStat};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It was not our child, so nobody told us.
    Unknown,
}

impl Exit {
    /// Whether it ended by itself and said that all went well.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::Unknown => f.write_str("ended"),
        }
    }
}

/// One process, a child of ours or not.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    start_time: u64,
    fd: Option<AsyncFd<OwnedFd>>,
    child: bool,
    exit: Mutex<Option<Exit>>,
}

impl Process {
    /// Finds a process again, such as a guest after the daemon was restarted. `start_time` (see
    /// [`Stat::start_time`]) tells it from a later one with the same number; `None` takes whatever has
    /// the number now. `Ok(None)` says that it has ended.
    ///
    /// # Errors
    /// Where the kernel refuses a descriptor for a reason other than the process being gone.
    pub fn open(pid: u32, start_time: Option<u64>) -> Result<Option<Self>> {
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let fd = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
            Err(cause) => {
                return Err(Error::system(format!("cannot watch process {pid}"), &cause.into()));
            }
        };
        // Read after the descriptor was got: if the times agree, the descriptor is of that process.
        let Some(stat) = Stat::read(pid) else { return Ok(None) };
        if stat.is_dead() || start_time.is_some_and(|expected| expected != stat.start_time) {
            return Ok(None);
        }
        Self::hold(number, stat.start_time, fd, false).map(Some)
    }

    /// Holds a child that was just forked.
    fn of_child(pid: Pid) -> Result<Self> {
        let fd = pidfd_open(pid, PidfdFlags::empty()).map_err(|cause| {
            Error::system(format!("cannot watch process {}", pid.as_raw_nonzero()), &cause.into())
        })?;
        // A child that has ended stays readable until it is reaped, which only we do.
        let start_time = Stat::read(raw(pid)).map_or(0, |stat| stat.start_time);
        Self::hold(pid, start_time, fd, true)
    }

    fn hold(pid: Pid, start_time: u64, fd: OwnedFd, child: bool) -> Result<Self> {
        let fd = watch(fd, Interest::READABLE)
            .map_err(|cause| Error::system(format!("cannot watch process {}", raw(pid)), &cause))?;
        Ok(Self { pid, start_time, fd: Some(fd), child, exit: Mutex::new(None) })
    }

    /// The process's number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        raw(self.pid)
    }

    /// When it was started, in clock ticks since the host did; with the number it names the process.
    #[must_use]
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// Waits for the end, reaps it if it is a child, and says how it was. Safe to cancel and to call
    /// from several tasks.
    pub async fn exited(&self) -> Exit {
        loop {
            if let Some(exit) = self.try_exited() {
                return exit;
            }
            let Some(fd) = &self.fd else { return Exit::Unknown };
            match fd.readable().await {
                Ok(mut ready) if self.try_exited().is_none() => ready.clear_ready(),
                Ok(_) => {}
                // The runtime is going down, and with it everybody who could want to know.
                Err(_) => return Exit::Unknown,
            }
        }
    }

    /// How it ended, if it has.
    pub fn try_exited(&self) -> Option<Exit> {
        let mut known = self.exit.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = self.fd.as_ref().and_then(|fd| poll_exit(fd.get_ref(), self.child));
        }
        *known
    }

    /// Sends a signal. A process that has ended already is no error.
    ///
    /// # Errors
    /// Where we may not signal it.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.signal_number(signal.as_raw())
    }

    /// The same by the kernel's number: real-time signals, which some programs listen to, have no names.
    ///
    /// # Errors
    /// Where there is no such signal, or we may not send it.
    pub fn signal_number(&self, number: i32) -> Result<()> {
        let Some(fd) = &self.fd else { return Ok(()) };
        match signal::send(fd.get_ref(), number) {
            Err(cause) if cause.raw_os_error() != Some(libc::ESRCH) => Err(Error::system(
                format!("cannot send signal {number} to process {}", self.pid()),
                &cause,
            )),
            _ => Ok(()),
        }
    }

    /// What the kernel counts of it; `None` once it has ended.
    #[must_use]
    pub fn stat(&self) -> Option<Stat> {
        Stat::read(self.pid()).filter(|stat| stat.start_time == self.start_time && !stat.is_dead())
    }

    /// Its threads, with their names and times; empty once it has ended.
    #[must_use]
    pub fn threads(&self) -> Vec<ThreadStat> {
        if self.stat().is_some() { ThreadStat::of_process(self.pid()) } else { Vec::new() }
    }
}

impl Drop for Process {
    /// A child that nobody waits for any more is still reaped, so that no zombie stays.
    fn drop(&mut self) {
        let exited = self.exit.get_mut().unwrap_or_else(PoisonError::into_inner).is_some();
        let Some(fd) = self.fd.take().filter(|_| self.child && !exited) else { return };
        if poll_exit(fd.get_ref(), true).is_some() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                while poll_exit(fd.get_ref(), true).is_none() {
                    match fd.readable().await {
                        Ok(mut ready) => ready.clear_ready(),
                        Err(_) => break,
                    }
                }
            });
        }
    }
}

/// How the process ended, if it has; reaps it if it is a child.
fn poll_exit(fd: &OwnedFd, child: bool) -> Option<Exit> {
    if child {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        return match waitid(WaitId::PidFd(fd.as_fd()), options) {
            Ok(None) => None,
            Ok(Some(status)) => Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Exit::Code(code),
                (None, Some(signal)) => Exit::Signal(signal),
                (None, None) => Exit::Unknown,
            }),
            Err(_) => Some(Exit::Unknown),
        };
    }
    is_readable(fd).then_some(Exit::Unknown)
}

/// Whether the descriptor of a process says that it has ended; true even while it waits to be reaped.
fn is_readable(fd: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&now)), Ok(count) if count > 0)
}

fn raw(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

/// A pipe that programs we start do not inherit.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

#[cfg(test)]
mod tests;

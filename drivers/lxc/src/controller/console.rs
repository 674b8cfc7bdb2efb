// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Joins a terminal of the host with one of the container.
//!
//! Both are watched for edges only: a terminal that nobody has open at its other end would be "readable" without
//! end. So a console is pumped, on any edge of either side, until both sides have nothing more to give or to take.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};

use super::dev::Console;
use super::sys;
use crate::failure::{Attempt, Step};

/// Both directions of one console.
pub(super) struct Pump {
    host: OwnedFd,
    container: OwnedFd,
    inward: Pipe,
    outward: Pipe,
}

impl Pump {
    /// Joins the two ends.
    pub(super) fn new(console: Console) -> Step<Self> {
        // Each boot has its own copy: the blueprint's descriptor stays for the next.
        let host = sys::inherited(console.host).and_then(|host| host.try_clone_to_owned());
        let host = host.attempt(|| "open the host's end of a console")?;
        // Only a terminal whose other end was closed says that nobody has it open.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        drop(ioctl_tiocgptpeer(&host, flags).attempt(|| "open the host's end of a console")?);
        rustix::io::ioctl_fionbio(&host, true).attempt(|| "prepare the host's end of a console")?;
        Ok(Self {
            host,
            container: console.container,
            inward: Pipe::default(),
            outward: Pipe::default(),
        })
    }

    /// What is to be watched.
    pub(super) fn ends(&self) -> [BorrowedFd<'_>; 2] {
        [self.host.as_fd(), self.container.as_fd()]
    }

    /// Moves all that can be moved now. Output that nobody on the host has a terminal open for is dropped, so that
    /// the container never waits for a reader.
    pub(super) fn flow(&mut self) {
        self.inward.flow(self.host.as_fd(), self.container.as_fd());
        if nobody_listens(self.host.as_fd()) {
            self.outward.drain(self.container.as_fd());
        } else {
            self.outward.flow(self.container.as_fd(), self.host.as_fd());
        }
    }
}

/// Whether no process has the other end of this terminal open.
fn nobody_listens(master: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(master, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().contains(PollFlags::HUP)
}

/// What was read and not yet written.
struct Pipe {
    bytes: [u8; 1024],
    from: usize,
    to: usize,
}

impl Default for Pipe {
    fn default() -> Self {
        Self { bytes: [0; 1024], from: 0, to: 0 }
    }
}

impl Pipe {
    fn flow(&mut self, source: BorrowedFd<'_>, target: BorrowedFd<'_>) {
        while self.from < self.to || self.fill(source) {
            match rustix::io::write(target, &self.bytes[self.from..self.to]) {
                Ok(count) => self.from += count,
                Err(Errno::INTR) => {}
                // The next edge goes on from here.
                Err(_) => return,
            }
        }
    }

    fn drain(&mut self, source: BorrowedFd<'_>) {
        while self.fill(source) {}
        self.from = self.to;
    }

    /// Whether there is something new. No reader at the other end reads like nothing.
    fn fill(&mut self, source: BorrowedFd<'_>) -> bool {
        loop {
            match rustix::io::read(source, &mut self.bytes[..]) {
                Ok(count) => {
                    (self.from, self.to) = (0, count);
                    return count > 0;
                }
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }
}

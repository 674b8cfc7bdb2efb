// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The socket where daemons find the controller: each that connects is told which process is init, and what
//! comes after, and can give orders. None can hold the controller up: what is not there yet is not waited for.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::failure::{Attempt, Failure, Step};
use crate::monitor::{self, HEAD, News, ORDER, REPLY};
use crate::orders::{LONGEST, Order};

/// More than these are let go again, the oldest first: one daemon is usual, with a connection for its orders, and
/// two while one replaces another.
const MOST: usize = 8;

/// The listening socket and who is connected. Its file is removed with this.
pub(super) struct Daemons {
    /// Readable when any of the sockets is.
    poll: OwnedFd,
    listener: UnixListener,
    path: PathBuf,
    connected: Vec<Daemon>,
}

/// One connection, and what it has sent so far of an order.
struct Daemon {
    stream: UnixStream,
    inbox: Vec<u8>,
}

impl Daemons {
    /// Listens at `path`, in place of a controller that is gone.
    pub(super) fn listen(path: &Path) -> Step<Self> {
        let attempt = || format!("listen at '{}'", path.display());
        if UnixStream::connect(path).is_ok() {
            return Err(Failure::refused(format!("cannot {}: another controller does", attempt()))
                .hint("is a container of this name running already?"));
        }
        match std::fs::remove_file(path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(cause).attempt(attempt);
            }
            _ => {}
        }
        let poll = epoll::create(CreateFlags::CLOEXEC).attempt(attempt)?;
        let listener = UnixListener::bind(path).attempt(attempt)?;
        let daemons = Self { poll, listener, path: path.to_owned(), connected: Vec::new() };
        daemons.listener.set_nonblocking(true).attempt(attempt)?;
        daemons.watch(&daemons.listener).attempt(attempt)?;
        let owner_only = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(path, owner_only).attempt(attempt)?;
        Ok(daemons)
    }

    fn watch(&self, socket: impl AsFd) -> rustix::io::Result<()> {
        epoll::add(&self.poll, socket, EventData::new_u64(0), EventFlags::IN)
    }

    /// Takes in who waits at the door, reads what is there, and has `obey` carry out each order that is whole.
    pub(super) fn attend(&mut self, init: u32, mut obey: impl FnMut(Order) -> Step<()>) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let welcome = stream.set_nonblocking(true).is_ok()
                && self.watch(&stream).is_ok()
                && send(&mut stream, &News::Init(init.into()).encode());
            if welcome {
                self.connected.push(Daemon { stream, inbox: Vec::new() });
                self.connected.drain(..self.connected.len().saturating_sub(MOST));
            }
        }
        self.connected.retain_mut(|daemon| daemon.attend(&mut obey).is_ok());
    }

    /// Tells all of them. Who has left, or does not read, is let go.
    pub(super) fn tell(&mut self, news: News) {
        self.connected.retain_mut(|daemon| send(&mut daemon.stream, &news.encode()));
    }
}

impl AsFd for Daemons {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.as_fd()
    }
}

impl Daemon {
    /// An error means that it is to be let go.
    fn attend(&mut self, obey: &mut impl FnMut(Order) -> Step<()>) -> io::Result<()> {
        let mut bytes = [0; 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.inbox.extend_from_slice(&bytes[..count]),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
            while let Some(message) = take_message(&mut self.inbox)? {
                let answer = order(&message).and_then(&mut *obey);
                let (status, body) = match answer {
                    Ok(()) => (0, Vec::new()),
                    Err(failure) => (1, serde_json::to_vec(&failure)?),
                };
                if !send(&mut self.stream, &monitor::frame(ORDER, REPLY, status, &body)) {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            }
        }
    }
}

/// The first message without its length, if it is whole.
fn take_message(inbox: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let Some(length) = inbox.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if !(HEAD..=HEAD + LONGEST).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if inbox.len() < length {
        return Ok(None);
    }
    Ok(Some(inbox.drain(..length).skip(4).collect()))
}

fn order(message: &[u8]) -> Step<Order> {
    if monitor::procedure(message) != Some(ORDER) {
        return Err(Failure::refused("this controller does not know that procedure"));
    }
    serde_json::from_slice(&message[HEAD - 4..])
        .map_err(|cause| Failure::refused(format!("the order cannot be read: {cause}")))
}

fn send(stream: &mut UnixStream, message: &[u8]) -> bool {
    stream.write_all(message).is_ok()
}

impl Drop for Daemons {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = std::fs::remove_file(&self.path);
    }
}

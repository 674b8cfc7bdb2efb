// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bytes and descriptors in and out of a unix socket, never blocking.
//!
//! Descriptors come one per byte after the frame they belong to. A plain read would swallow that
//! byte and lose the descriptor, so every read here takes what comes along.
//!
//! The runtime watches for bytes only, and for room once there was none: the kernel would tell of room after every
//! message that the peer has read, and wake a thread for nothing.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::buffer::spare_capacity;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, send, sendmsg,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::net::unix::UCred;
use virtus_host::descriptor::watch;

/// More descriptors than this never belong to one message.
pub(crate) const MAX_FDS: usize = 32;

const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// A connected unix socket.
pub struct UnixSocket {
    /// Who is at the other end, as the kernel knows it.
    pub(crate) peer: UCred,
    socket: AsyncFd<OwnedFd>,
    /// The last read may have left something behind.
    more: AtomicBool,
    /// The last write found no room, and none was seen since.
    full: AtomicBool,
    /// The socket again, watched for room; there from the first time that it is waited for.
    room: OnceLock<AsyncFd<OwnedFd>>,
}

impl TryFrom<UnixStream> for UnixSocket {
    type Error = io::Error;

    fn try_from(stream: UnixStream) -> io::Result<Self> {
        let peer = stream.peer_cred()?;
        let socket = watch(stream.into_std()?.into(), Interest::READABLE)?;
        Ok(Self {
            peer,
            socket,
            more: AtomicBool::new(false),
            full: AtomicBool::new(false),
            room: OnceLock::new(),
        })
    }
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

impl UnixSocket {
    /// Resolves when there may be something to read. Whoever waited reads next: what came before is not told again.
    /// Only one task may wait.
    pub(super) async fn readable(&self) -> io::Result<()> {
        if !self.more.load(Ordering::Relaxed) {
            poll_fn(|context| self.socket.poll_read_ready(context)).await?.clear_ready();
        }
        Ok(())
    }

    /// Resolves when there may be room to write. Whoever waited writes next.
    pub(super) async fn writable(&self) -> io::Result<()> {
        let room = match self.room.get() {
            Some(room) => room,
            None => {
                let again = self.socket.get_ref().try_clone()?;
                let watched = watch(again, Interest::WRITABLE)?;
                self.room.get_or_init(|| watched)
            }
        };
        room.writable().await?.clear_ready();
        self.full.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Reads into `buffer`, and descriptors into `fds`.
    pub(super) fn receive(
        &self,
        buffer: &mut [u8],
        fds: &mut VecDeque<OwnedFd>,
    ) -> io::Result<usize> {
        let (size, before) = (buffer.len(), fds.len());
        let received = self.receive_into(buffer, fds);
        // A read ends early where descriptors were, and else only if nothing is left.
        let more = received.as_ref().is_ok_and(|length| *length == size || fds.len() > before);
        self.more.store(more, Ordering::Relaxed);
        received
    }

    fn receive_into(&self, buffer: &mut [u8], fds: &mut VecDeque<OwnedFd>) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let mut buffers = [IoSliceMut::new(buffer)];
        let message = loop {
            match recvmsg(self, &mut buffers, &mut control, flags) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other?,
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(more) = message {
                fds.extend(more);
            }
        }
        Ok(message.bytes)
    }

    /// Reads as much as `input` has memory for, among which is no descriptor.
    pub(super) fn fill(&self, input: &mut Vec<u8>) -> io::Result<usize> {
        let received = recv(self, spare_capacity(input), RecvFlags::DONTWAIT);
        self.more.store(received.is_ok() && input.len() == input.capacity(), Ordering::Relaxed);
        Ok(received?.0)
    }

    /// Writes some of `slices`.
    pub(super) fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.unless_full(|| match slices {
            [one] => send(self, one, SEND),
            _ => sendmsg(self, slices, &mut SendAncillaryBuffer::default(), SEND),
        })
    }

    /// Sends the byte that carries `fd`.
    pub(super) fn send_fd(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let fds = [fd];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let byte = [IoSlice::new(&[0])];
        self.unless_full(|| sendmsg(self, &byte, &mut control, SEND)).map(drop)
    }

    fn unless_full(&self, send: impl FnOnce() -> rustix::io::Result<usize>) -> io::Result<usize> {
        if self.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let sent = send();
        if sent == Err(rustix::io::Errno::AGAIN) {
            self.full.store(true, Ordering::Relaxed);
        }
        Ok(sent?)
    }
}

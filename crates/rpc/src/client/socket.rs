// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bytes and descriptors in and out of a unix socket, never blocking.
//!
//! Descriptors come one per byte after the frame they belong to. A plain read would swallow that
//! byte and lose the descriptor, so every read here takes what comes along.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::outbox::{Outbox, Outgoing};

/// More descriptors than this never belong to one message.
pub(crate) const MAX_FDS: usize = 32;

/// Bytes asked for in one read.
const CHUNK: usize = 64 * 1024;

/// Frames written by one system call at most.
const BATCH: usize = 16;

/// Why reading ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Something was read.
    Data,
    /// Nothing is there now.
    Nothing,
    /// The peer closed, or the connection broke.
    End,
}

thread_local! {
    /// One read buffer per worker thread, so that an idle client owns none.
    static SCRATCH: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; CHUNK]);
}

/// Appends what is there to `input`, and descriptors to `fds`.
pub(super) fn receive(
    socket: &UnixStream,
    input: &mut Vec<u8>,
    fds: &mut VecDeque<OwnedFd>,
) -> Received {
    let received = SCRATCH.with_borrow_mut(|scratch| {
        let length = socket.try_io(Interest::READABLE, || receive_into(socket, scratch, fds))?;
        input.extend_from_slice(&scratch[..length]);
        Ok::<_, io::Error>(length)
    });
    match received {
        Ok(0) => Received::End,
        Ok(_) => Received::Data,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Received::Nothing,
        Err(_) => Received::End,
    }
}

fn receive_into(
    socket: &UnixStream,
    buffer: &mut [u8],
    fds: &mut VecDeque<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let mut buffers = [IoSliceMut::new(buffer)];
    let message = loop {
        match recvmsg(socket.as_fd(), &mut buffers, &mut control, flags) {
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

/// Whether the peer is gone, even if there is data of it that is not read yet.
pub(super) fn has_hung_up(socket: &UnixStream) -> bool {
    let mut look = [PollFd::new(socket, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut look, Some(&now)).is_ok_and(|found| found > 0)
}

/// What is being written to one client.
#[derive(Default)]
pub(super) struct Writing {
    frames: VecDeque<Outgoing>,
    /// Bytes of the first frame that are written already.
    offset: usize,
    /// Descriptors of the first frame that are sent already.
    fds_sent: usize,
}

impl Writing {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Writes what `outbox` holds until the socket is full. Whether something was written.
    pub(super) fn flush(&mut self, socket: &UnixStream, outbox: &Outbox) -> io::Result<bool> {
        let mut progress = false;
        loop {
            outbox.take(&mut self.frames);
            let Some(first) = self.frames.front() else { return Ok(progress) };
            let step = if self.offset < first.bytes.len() {
                self.write_bytes(socket, outbox)
            } else {
                self.send_fd(socket, outbox)
            };
            match step {
                Ok(()) => progress = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(progress),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn write_bytes(&mut self, socket: &UnixStream, outbox: &Outbox) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); BATCH];
        let mut used = 0;
        for (slice, frame) in slices.iter_mut().zip(&self.frames) {
            *slice = IoSlice::new(&frame.bytes[if used == 0 { self.offset } else { 0 }..]);
            used += 1;
            if !frame.fds.is_empty() {
                break;
            }
        }
        let mut written = socket.try_write_vectored(&slices[..used])?;
        while written > 0 {
            let Some(first) = self.frames.front() else { break };
            let rest = first.bytes.len() - self.offset;
            if written < rest || !first.fds.is_empty() {
                self.offset += written.min(rest);
                return Ok(());
            }
            written -= rest;
            self.finish_first(outbox);
        }
        Ok(())
    }

    /// One byte carries one descriptor.
    fn send_fd(&mut self, socket: &UnixStream, outbox: &Outbox) -> io::Result<()> {
        let Some(first) = self.frames.front() else { return Ok(()) };
        if let Some(fd) = first.fds.get(self.fds_sent) {
            let fds = [fd.as_fd()];
            socket.try_io(Interest::WRITABLE, || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                control.push(SendAncillaryMessage::ScmRights(&fds));
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                sendmsg(socket.as_fd(), &[IoSlice::new(&[0])], &mut control, flags)?;
                Ok(())
            })?;
            self.fds_sent += 1;
        }
        if self.fds_sent >= first.fds.len() {
            self.finish_first(outbox);
        }
        Ok(())
    }

    fn finish_first(&mut self, outbox: &Outbox) {
        if let Some(frame) = self.frames.pop_front() {
            outbox.written(&frame);
        }
        self.offset = 0;
        self.fds_sent = 0;
    }
}

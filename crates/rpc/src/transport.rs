// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The bytes of one connection, whatever carries them. Nothing here blocks or waits: the task of the
//! connection asks when something can be read or written, and then takes or gives as much as goes at once.
//!
//! Descriptors travel on unix sockets only.

mod sealed;
mod tls;
mod unix;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use bytes::BufMut;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::{TcpStream, UnixStream};
use virtus_api::ClientTransport;

use crate::sasl::Seal;
use sealed::SealedStream;
pub use tls::TlsStream;
pub(crate) use tls::{Admitted, Refused, accept, welcomed};
pub(crate) use unix::MAX_FDS;
pub use unix::UnixSocket;

/// Bytes asked for in one read.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Bytes asked for in one read of what belongs to a large frame: nobody gets more memory by announcing more.
const LARGE_CHUNK: usize = 1024 * 1024;

/// Why reading ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
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

/// What carries the bytes between a client and a daemon.
pub enum Transport {
    Unix(Arc<UnixSocket>),
    Tcp(Arc<TcpStream>),
    /// Boxed, because the many others are small.
    Sealed(Box<SealedStream>),
    Tls(Box<TlsStream>),
}

impl TryFrom<UnixStream> for Transport {
    type Error = io::Error;

    fn try_from(socket: UnixStream) -> io::Result<Self> {
        Ok(Self::Unix(Arc::new(socket.try_into()?)))
    }
}

impl From<TcpStream> for Transport {
    fn from(socket: TcpStream) -> Self {
        Self::Tcp(Arc::new(socket))
    }
}

impl From<TlsStream> for Transport {
    fn from(stream: TlsStream) -> Self {
        Self::Tls(Box::new(stream))
    }
}

/// A socket that anybody may write to who knows that nothing waits before.
pub(crate) enum Direct {
    Unix(Arc<UnixSocket>),
    Tcp(Arc<TcpStream>),
}

impl Direct {
    /// Writes as much of `bytes` as goes at once.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.write(&[IoSlice::new(bytes)]),
            Self::Tcp(socket) => socket.try_write(bytes),
        }
    }
}

impl Transport {
    /// The way past the connection's task; none if what is written depends on what was.
    pub(crate) fn direct(&self) -> Option<Direct> {
        match self {
            Self::Unix(socket) => Some(Direct::Unix(socket.clone())),
            Self::Tcp(socket) => Some(Direct::Tcp(socket.clone())),
            Self::Sealed(_) | Self::Tls(_) => None,
        }
    }

    /// How administrators know it, and the address of the other end if it is in a network.
    pub(crate) fn remote(&self) -> (ClientTransport, Option<String>) {
        match self {
            Self::Unix(_) => (ClientTransport::Unix, None),
            Self::Tcp(socket) => (ClientTransport::Tcp, address(socket)),
            Self::Sealed(stream) => (ClientTransport::Tcp, address(&stream.socket)),
            Self::Tls(stream) => (ClientTransport::Tls, address(&stream.socket)),
        }
    }

    /// Whether nobody on the way can read along.
    pub(crate) fn is_secure(&self) -> bool {
        !matches!(self, Self::Tcp(_))
    }

    /// Seals all that is read and written from now on, where others could read along.
    pub(crate) fn seal(&mut self, seal: Seal) {
        if let Self::Tcp(socket) = self {
            *self = Self::Sealed(Box::new(SealedStream::new(socket.clone(), seal)));
        }
    }

    /// Whether descriptors can travel beside the bytes.
    pub(crate) fn passes_fds(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Resolves when there may be something to read, or the peer is gone.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.readable().await,
            Self::Tcp(socket) => socket.readable().await,
            Self::Sealed(stream) => stream.socket.readable().await,
            Self::Tls(stream) => stream.socket.readable().await,
        }
    }

    /// Resolves when there may be room to write.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.writable().await,
            Self::Tcp(socket) => socket.writable().await,
            Self::Sealed(stream) => stream.socket.writable().await,
            Self::Tls(stream) => stream.socket.writable().await,
        }
    }

    /// Appends what is there to `input`, and descriptors to `fds`.
    pub(crate) fn receive(&mut self, input: &mut Vec<u8>, fds: &mut VecDeque<OwnedFd>) -> Received {
        self.receive_some(input, fds, CHUNK)
    }

    /// The same into `memory` instead of behind its old content, as far as that goes, and without a copy on the way
    /// where that can be.
    pub(crate) fn receive_first(
        &mut self,
        memory: &mut Vec<u8>,
        fds: &mut VecDeque<OwnedFd>,
    ) -> Received {
        let Self::Unix(socket) = self else {
            memory.clear();
            return self.receive(memory, fds);
        };
        let received = socket.receive(memory, fds);
        if let Ok(length) = received {
            memory.truncate(length);
        }
        told(&received)
    }

    /// Appends at most the next `rest` bytes, among which is no descriptor, to `input`, without a copy on the way
    /// where that can be.
    pub(crate) fn receive_rest(
        &mut self,
        input: &mut Vec<u8>,
        fds: &mut VecDeque<OwnedFd>,
        rest: usize,
    ) -> Received {
        let rest = rest.min(LARGE_CHUNK);
        input.reserve_exact(rest);
        match self {
            Self::Unix(socket) if input.capacity() - input.len() == rest => {
                told(&socket.fill(input))
            }
            Self::Tcp(socket) => told(&socket.try_read_buf(&mut (&mut *input).limit(rest))),
            Self::Unix(_) | Self::Sealed(_) | Self::Tls(_) => {
                self.receive_some(input, fds, rest.min(CHUNK))
            }
        }
    }

    /// Appends at most `limit` bytes, by way of memory that all clients share.
    fn receive_some(
        &mut self,
        input: &mut Vec<u8>,
        fds: &mut VecDeque<OwnedFd>,
        limit: usize,
    ) -> Received {
        let received = SCRATCH.with_borrow_mut(|scratch| {
            let scratch = &mut scratch[..limit];
            let length = match self {
                Self::Unix(socket) => socket.receive(scratch, fds)?,
                Self::Tcp(socket) => socket.try_read(scratch)?,
                Self::Sealed(stream) => return stream.receive(scratch, input),
                Self::Tls(stream) => return stream.receive(scratch, input),
            };
            input.extend_from_slice(&scratch[..length]);
            Ok::<_, io::Error>(length)
        });
        told(&received)
    }

    /// Whether the peer is gone, even if there is data of it that is not read yet.
    pub(crate) fn has_hung_up(&self) -> bool {
        let (socket, signs) = match self {
            Self::Unix(socket) => (socket.as_fd(), PollFlags::empty()),
            // The kernel calls it a hang-up only when both directions are closed.
            Self::Tcp(socket) => (socket.as_fd(), PollFlags::RDHUP),
            Self::Sealed(stream) => (stream.socket.as_fd(), PollFlags::RDHUP),
            Self::Tls(stream) => (stream.socket.as_fd(), PollFlags::RDHUP),
        };
        let mut look = [PollFd::from_borrowed_fd(socket, signs)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut look, Some(&now)).is_ok_and(|found| found > 0)
    }

    /// Whether each write should be of one frame. libvirt's library waits for the socket alone, and does not see a second
    /// frame that came in a TLS record with the end of the first.
    pub(crate) fn wants_single_frames(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Writes some of `slices`; `WouldBlock` if nothing goes now.
    pub(crate) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.write(slices),
            Self::Tcp(socket) => socket.try_write_vectored(slices),
            Self::Sealed(stream) => stream.write(slices),
            Self::Tls(stream) => stream.write(slices),
        }
    }

    /// Sends the byte that carries `fd`.
    pub(crate) fn send_fd(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.send_fd(fd),
            Self::Tcp(_) | Self::Sealed(_) | Self::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Whether bytes that were written wait here for the kernel.
    pub(crate) fn holds_bytes(&self) -> bool {
        match self {
            Self::Unix(_) | Self::Tcp(_) => false,
            Self::Sealed(stream) => stream.holds_bytes(),
            Self::Tls(stream) => stream.holds_bytes(),
        }
    }

    /// Hands such bytes to the kernel. Whether some of them went.
    pub(crate) fn push(&mut self) -> io::Result<bool> {
        match self {
            Self::Unix(_) | Self::Tcp(_) => Ok(false),
            Self::Sealed(stream) => stream.push(),
            Self::Tls(stream) => stream.push(),
        }
    }

    /// Says that no more will come, where the protocol has a word for that.
    pub(crate) fn farewell(&mut self) {
        if let Self::Tls(stream) = self {
            stream.farewell();
        }
    }
}

fn told(received: &io::Result<usize>) -> Received {
    match received {
        Ok(0) => Received::End,
        Ok(_) => Received::Data,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Received::Nothing,
        Err(_) => Received::End,
    }
}

fn address(socket: &TcpStream) -> Option<String> {
    socket.peer_addr().ok().map(|address| address.to_string())
}

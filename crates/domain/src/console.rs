// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Connects a client's stream with a console or a channel of a guest.
//!
//! Invariants: one client at a time has a device, whatever name it used for it; who forces its way in ends
//! the other's stream; the guest's output is not read faster than the client takes it.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf, pipe};
use tokio::sync::oneshot;
use tokio::time::timeout;
use virtus_api::{Error, ErrorCode, Result};
use virtus_core::stream::{Packet, Receiver, Sender, Stream};
use virtus_xml::Domain;
use virtus_xml::domain::chardev::Chardev;

/// How much of the guest's output is sent at once.
const PIECE: usize = 16 << 10;
/// How long a socket may take to be connected.
const CONNECT: Duration = Duration::from_secs(5);

/// Who has which device of a guest open.
#[derive(Debug, Default)]
pub struct Consoles(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// By path: a console and the serial port that it is are the same device.
    open: HashMap<String, Holder>,
}

#[derive(Debug)]
struct Holder {
    number: u64,
    /// Dropped when another takes the device away.
    _lease: oneshot::Sender<()>,
}

/// A client's hold on a device, until it is dropped.
struct Lease {
    consoles: Arc<Consoles>,
    path: String,
    number: u64,
    lost: oneshot::Receiver<()>,
}

/// What a client connects to.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// How errors name it.
    pub what: &'a str,
    /// The host's end.
    pub path: &'a str,
    /// Whether that is a terminal; otherwise a socket.
    pub terminal: bool,
    /// The refusal while another client has it.
    pub busy: &'static str,
}

impl Consoles {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries bytes between the device and the stream from now on, until either ends or `gone` says that the
    /// guest did. `force` takes the device from another client.
    ///
    /// # Errors
    /// Where another client has it, or it cannot be opened.
    pub async fn connect(
        self: &Arc<Self>,
        end: End<'_>,
        stream: Stream,
        force: bool,
        gone: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let End { what, path, terminal, busy } = end;
        let lease = Lease::take(self, path, force).ok_or_else(|| {
            Error::new(ErrorCode::OperationFailed, busy)
                .hint("end the other session, or take the device over: 'virsh console --force'")
        })?;
        let explain = |cause| Error::system(format!("cannot open {what} at '{path}'"), &cause);
        if terminal {
            let (input, output) = self::terminal(path).map_err(explain)?;
            tokio::spawn(serve(input, output, stream, lease, gone));
        } else {
            let (input, output) = socket(path.as_ref()).await.map_err(explain)?;
            tokio::spawn(serve(input, output, stream, lease, gone));
        }
        Ok(())
    }
}

/// The device that a client means: by alias, or the first console.
#[must_use]
pub fn console<'a>(def: &'a Domain, name: Option<&str>) -> Option<&'a Chardev> {
    let devices = &def.devices;
    let mut all = devices.consoles.iter().chain(&devices.serials).chain(&devices.parallels);
    match name {
        None => all.next(),
        Some(name) => all.find(|device| device.info.alias.as_deref() == Some(name)),
    }
}

impl Lease {
    /// Takes the device; from another only by force.
    fn take(consoles: &Arc<Consoles>, path: &str, force: bool) -> Option<Self> {
        let mut table = consoles.table();
        if table.open.contains_key(path) && !force {
            return None;
        }
        let (lease, lost) = oneshot::channel();
        let number = table.next;
        table.next += 1;
        table.open.insert(path.to_owned(), Holder { number, _lease: lease });
        Some(Self { consoles: consoles.clone(), path: path.to_owned(), number, lost })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut table = self.consoles.table();
        if table.open.get(&self.path).is_some_and(|holder| holder.number == self.number) {
            table.open.remove(&self.path);
        }
    }
}

/// A terminal's two directions: what the runtime needs of a pipe's ends, these have too.
fn terminal(path: &str) -> io::Result<(pipe::Receiver, pipe::Sender)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let terminal = open(path, flags, Mode::empty())?;
    let input = pipe::Receiver::from_owned_fd_unchecked(terminal.try_clone()?)?;
    Ok((input, pipe::Sender::from_owned_fd_unchecked(terminal)?))
}

async fn socket(path: &Path) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    let connected = timeout(CONNECT, UnixStream::connect(path)).await;
    let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(stream.into_split())
}

/// Carries bytes both ways until either side ends, the guest ends, or another takes the device.
async fn serve(
    mut input: impl AsyncRead + Unpin + Send,
    mut output: impl AsyncWrite + Unpin + Send,
    stream: Stream,
    mut lease: Lease,
    gone: impl Future<Output = ()> + Send,
) {
    let Stream { sender, mut receiver } = stream;
    let end = tokio::select! {
        end = to_client(&mut input, &sender) => end,
        end = from_client(&mut output, &mut receiver) => end,
        () = sender.closed() => None,
        () = gone => Some(Packet::Finish),
        _ = &mut lease.lost => Some(Packet::Abort(Some(Error::new(
            ErrorCode::OperationAborted,
            "another client has taken this device over",
        )))),
    };
    drop(lease);
    if let Some(end) = end {
        // A client that is gone needs no end mark.
        let _gone = sender.send(end).await;
    }
}

/// What the guest writes. Resolves to how the stream ends; to nothing if the client is gone.
async fn to_client(input: &mut (impl AsyncRead + Unpin), sender: &Sender) -> Option<Packet> {
    let mut buffer = vec![0; PIECE];
    loop {
        match input.read(&mut buffer).await {
            Ok(0) => return Some(Packet::Finish),
            Ok(length) => {
                let data = Bytes::copy_from_slice(&buffer[..length]);
                if sender.send(Packet::Data(data)).await.is_err() {
                    return None;
                }
            }
            // The other end of a terminal was closed: the guest has ended or the device was removed.
            Err(cause) if cause.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                return Some(Packet::Finish);
            }
            Err(cause) => return Some(broken("read from", &cause)),
        }
    }
}

/// What the client types.
async fn from_client(
    output: &mut (impl AsyncWrite + Unpin),
    receiver: &mut Receiver,
) -> Option<Packet> {
    loop {
        match receiver.recv().await {
            Packet::Data(data) => {
                if let Err(cause) = output.write_all(&data).await {
                    return Some(broken("write to", &cause));
                }
            }
            Packet::Hole(_) => {}
            Packet::Finish => return Some(Packet::Finish),
            Packet::Abort(_) => return None,
        }
    }
}

fn broken(attempt: &str, cause: &io::Error) -> Packet {
    Packet::Abort(Some(Error::system(format!("cannot {attempt} the guest's device"), cause)))
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Connects a client's stream with a console or a channel of a guest.
//!
//! Invariants: one client at a time has a device, whatever name it used for it; who forces its way in ends
//! the other's stream; the guest's output is not read faster than the client takes it.

use std::collections::HashMap;
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
use virtus_api::{
    DomainChannelFlags, DomainConsoleFlags, DomainOpenChannel, DomainOpenConsole, Error, ErrorCode,
    Result,
};
use virtus_core::stream::{Packet, Receiver, Sender, Stream};
use virtus_core::{Call, Routes};
use virtus_domain::routes::check_flags;
use virtus_xml::Domain;
use virtus_xml::domain::chardev::{Chardev, ChardevTargetType, ChardevType};

use super::{by, running};
use crate::driver::QemuDriver;
use crate::guest::Guest;

/// How much of the guest's output is sent at once.
const PIECE: usize = 16 << 10;
/// How long a socket may take to be connected.
const CONNECT: Duration = Duration::from_secs(5);

/// Who has which device of a guest open.
#[derive(Default)]
pub(crate) struct Consoles(Mutex<Table>);

#[derive(Default)]
struct Table {
    next: u64,
    /// By path: a console and the serial port that it is are the same device.
    open: HashMap<String, Holder>,
}

struct Holder {
    number: u64,
    /// Dropped when another takes the device away.
    _lease: oneshot::Sender<()>,
}

/// A client's hold on a device, until it is dropped.
struct Lease {
    guest: Arc<Guest>,
    path: String,
    number: u64,
    lost: oneshot::Receiver<()>,
}

impl Consoles {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Takes the device; from another only by force.
    fn take(guest: &Arc<Guest>, path: &str, force: bool) -> Option<Self> {
        let mut table = guest.consoles.table();
        if table.open.contains_key(path) && !force {
            return None;
        }
        let (lease, lost) = oneshot::channel();
        let number = table.next;
        table.next += 1;
        table.open.insert(path.to_owned(), Holder { number, _lease: lease });
        Some(Self { guest: guest.clone(), path: path.to_owned(), number, lost })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut table = self.guest.consoles.table();
        if table.open.get(&self.path).is_some_and(|holder| holder.number == self.number) {
            table.open.remove(&self.path);
        }
    }
}

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(open_console)).on(by(open_channel))
}

/// The stream of a call that opens one.
pub(super) fn stream_of(call: &mut Call) -> Result<Stream> {
    call.stream.take().ok_or_else(|| {
        Error::new(ErrorCode::InvalidArg, "this call needs a stream, and none came with it")
    })
}

async fn open_console(
    driver: Arc<QemuDriver>,
    mut call: Call,
    request: DomainOpenConsole,
) -> Result<()> {
    check_flags(request.flags, DomainConsoleFlags::all().bits(), "virDomainOpenConsole")?;
    let (guest, snapshot) = running(&driver, &request.dom)?;
    let name = request.dev_name.as_deref();
    let device = console(snapshot.live()?, name).ok_or_else(|| {
        let text = format!("cannot find console device '{}'", name.unwrap_or("default"));
        Error::new(ErrorCode::InvalidArg, text)
            .hint("the aliases of the devices are in 'virsh dumpxml'")
    })?;
    let what = format!("character device {}", shown(device, name));
    if !matches!(device.kind, ChardevType::Pty | ChardevType::Unix) {
        let text = format!("{what} is not using a PTY or UNIX socket");
        return Err(Error::new(ErrorCode::OperationUnsupported, text));
    }
    let force = request.flags & DomainConsoleFlags::FORCE.bits() != 0;
    connect(
        &guest,
        device,
        &what,
        force,
        &mut call,
        "Active console session exists for this domain",
    )
    .await
}

async fn open_channel(
    driver: Arc<QemuDriver>,
    mut call: Call,
    request: DomainOpenChannel,
) -> Result<()> {
    check_flags(request.flags, DomainChannelFlags::all().bits(), "virDomainOpenChannel")?;
    let (guest, snapshot) = running(&driver, &request.dom)?;
    let name = request.name.as_deref();
    let device = channel(snapshot.live()?, name).ok_or_else(|| {
        let text = format!("cannot find channel {}", name.unwrap_or("default"));
        Error::new(ErrorCode::InvalidArg, text)
            .hint("a channel is named by its alias or by the name of its target")
    })?;
    let what = format!("channel {}", shown(device, name));
    if device.kind != ChardevType::Unix {
        let text = format!("{what} is not using a UNIX socket");
        return Err(Error::new(ErrorCode::OperationUnsupported, text));
    }
    let force = request.flags & DomainChannelFlags::FORCE.bits() != 0;
    connect(&guest, device, &what, force, &mut call, "Active channel stream exists for this domain")
        .await
}

fn shown<'a>(device: &'a Chardev, name: Option<&'a str>) -> &'a str {
    name.or(device.info.alias.as_deref()).unwrap_or("default")
}

/// The device that a client means: by alias, or the first console.
fn console<'a>(def: &'a Domain, name: Option<&str>) -> Option<&'a Chardev> {
    let devices = &def.devices;
    let mut all = devices.consoles.iter().chain(&devices.serials).chain(&devices.parallels);
    match name {
        None => all.next(),
        Some(name) => all.find(|device| device.info.alias.as_deref() == Some(name)),
    }
}

/// The channel that a client means: by alias or target, or the first one.
fn channel<'a>(def: &'a Domain, name: Option<&str>) -> Option<&'a Chardev> {
    let mut all = def.devices.channels.iter();
    let Some(name) = name else { return all.next() };
    all.find(|device| {
        let target = device.target.as_ref();
        let virtio = target.is_some_and(|t| t.kind == Some(ChardevTargetType::Virtio));
        device.info.alias.as_deref() == Some(name)
            || (virtio && target.and_then(|target| target.name.as_deref()) == Some(name))
    })
}

async fn connect(
    guest: &Arc<Guest>,
    device: &Chardev,
    what: &str,
    force: bool,
    call: &mut Call,
    busy: &'static str,
) -> Result<()> {
    let source = device.source().and_then(|source| source.path.as_deref());
    let path = source.or(device.tty.as_deref()).ok_or_else(|| {
        let text = format!("{what} of {} is not open yet", guest.subject());
        Error::new(ErrorCode::OperationInvalid, text).hint("try again when the guest has started")
    })?;
    let stream = stream_of(call)?;
    let lease = Lease::take(guest, path, force).ok_or_else(|| {
        Error::new(ErrorCode::OperationFailed, busy)
            .hint("end the other session, or take the device over: 'virsh console --force'")
    })?;
    let explain = |cause| Error::system(format!("cannot open {what} at '{path}'"), &cause);
    if device.kind == ChardevType::Pty {
        let (input, output) = terminal(path).map_err(explain)?;
        tokio::spawn(serve(input, output, stream, lease));
    } else {
        let (input, output) = socket(path.as_ref()).await.map_err(explain)?;
        tokio::spawn(serve(input, output, stream, lease));
    }
    Ok(())
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
) {
    let Stream { sender, mut receiver } = stream;
    let guest = lease.guest.clone();
    let end = tokio::select! {
        end = to_client(&mut input, &sender) => end,
        end = from_client(&mut output, &mut receiver) => end,
        () = sender.closed() => None,
        _ = guest.process.exited() => Some(Packet::Finish),
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
            // The other end of a terminal was closed: QEMU has ended or the device was removed.
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

#[cfg(test)]
mod tests {
    use virtus_xml::ParseFlags;

    use super::*;

    const DOMAIN: &str = "<domain type='qemu'><name>a</name><memory>1</memory><os><type>hvm</type></os>\
        <devices><serial type='pty'><alias name='serial0'/></serial>\
        <console type='pty'><alias name='console0'/></console>\
        <channel type='unix'><target type='virtio' name='org.a'/><alias name='channel0'/></channel>\
        <channel type='unix'><target type='virtio' name='org.b'/><alias name='channel1'/></channel>\
        </devices></domain>";

    #[test]
    fn devices_are_found_by_alias_or_target() {
        let def = Domain::parse(DOMAIN, ParseFlags::RAW).unwrap().value;
        let alias = |device: Option<&Chardev>| device.and_then(|d| d.info.alias.clone());
        assert_eq!(alias(console(&def, None)).as_deref(), Some("console0"));
        assert_eq!(alias(console(&def, Some("serial0"))).as_deref(), Some("serial0"));
        assert_eq!(alias(console(&def, Some("channel0"))), None);
        assert_eq!(alias(channel(&def, None)).as_deref(), Some("channel0"));
        assert_eq!(alias(channel(&def, Some("org.b"))).as_deref(), Some("channel1"));
        assert_eq!(alias(channel(&def, Some("channel1"))).as_deref(), Some("channel1"));
    }
}

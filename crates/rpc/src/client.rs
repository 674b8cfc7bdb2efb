// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One client: a task that reads frames, starts calls, and writes what its outbox holds.
//!
//! ```text
//! stranger ─ AUTH_SASL_… ─▶ allowed ─ CONNECT_OPEN ─▶ open
//!    │ wrong password,         │ 30 s without          │ CONNECT_CLOSE, hang-up, broken frame,
//!    │ 2 minutes               │ opening, kicked       │ keepalive lost, not reading, kicked
//!    └─────────────────────────┴───────────────────────┴──────▶ closed: drivers are told
//! ```
//! A client begins as a stranger where its socket asks for authentication, and else as allowed. Clients
//! of the daemon's own program (admin) are open from the start.
//!
//! A call is polled once as it comes; most answer at once, and their reply goes out in the same turn. The
//! rest are polled here too, beside the reading: a call that only asks somebody else (an actor) wakes no thread
//! on the way. Nothing further is read while `max_client_requests` calls are in
//! flight, while [`outbox::HIGH_WATER`] bytes wait to be written, or while the stream data that
//! drivers have not taken exceeds its window; keepalive rests meanwhile.

mod authentication;
mod behind;
mod calls;
mod handover;
mod handshake;
mod large;
mod outbox;
mod sasl;
mod streams;
mod timing;
mod writing;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tracing::debug;
use virtus_core::{Connection, Identity};
use virtus_wire::frame::{
    Frame, FrameError, Header, MessageKind, Status, encode_raw, frame_length,
};
use virtus_wire::program::{Address, KEEPALIVE, KEEPALIVE_PING, KEEPALIVE_PONG, KEEPALIVE_VERSION};

use crate::bell::Bell;
use crate::keepalive::Keepalive;
use crate::sasl::Seal;
use crate::server::{Access, Newcomer, Place, Server};
use crate::transport::{MAX_FDS, Received, Transport};
pub use authentication::Authentication;
use behind::Behind;
use calls::Calls;
pub(crate) use outbox::Outbox;
use outbox::Outgoing;
use sasl::Exchange;
use streams::Streams;
use timing::run_out;
use writing::Writing;

/// A client that has not opened a connection by then is disconnected.
pub(crate) const SILENT_LIMIT: Duration = Duration::from_secs(30);

/// The same for one that has begun to authenticate: somebody may have to type a password.
const TYPING_LIMIT: Duration = Duration::from_secs(120);

/// The longest message of a client that has not opened a connection: a URI and some room. Strangers
/// cannot fill the memory with large messages that never become whole.
const GREETING: usize = 64 * 1024;

/// How long a client's calls may be answered in one go.
const SLICE: Duration = Duration::from_micros(500);

/// What an idle client's input buffer may keep.
const IDLE_INPUT: usize = 1024;

/// Why a client was disconnected, for the log.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("it closed the connection")]
    Closed,
    #[error("it hung up")]
    HungUp,
    #[error("it sent a broken message: {0}")]
    Broken(#[from] FrameError),
    #[error("it sent a message of {0} bytes before it opened a connection")]
    LongGreeting(usize),
    #[error("it sent descriptors that belong to no message")]
    StrayDescriptors,
    #[error("it sent a hole on a stream that has none")]
    StrayHole,
    #[error("it did not wait until all is sealed")]
    Unsealed,
    #[error("it does not answer pings")]
    Dead,
    #[error("it does not read what is sent to it")]
    NotReading,
    #[error("it did not open a connection in time")]
    Silent,
    #[error("it had to make room, an administrator ended it, or the daemon stops")]
    Kicked,
    #[error("the daemon behind us does not answer pings")]
    BehindDead,
    #[error("writing failed: {0}")]
    Write(#[from] std::io::Error),
}

/// What is allowed to the client by now.
enum Phase {
    /// Has to authenticate, and may have begun to.
    Stranger(Option<Box<Exchange>>),
    /// May open.
    Allowed,
    /// May call.
    Open(Connection),
    /// May call, and another daemon answers.
    Forwarded(Box<Behind>),
}

pub(crate) struct Client {
    server: Arc<Server>,
    place: Place,
    id: u64,
    bell: Arc<Bell>,
    transport: Transport,
    /// What seals the transport as soon as the client was told that it is known.
    seal: Option<Seal>,
    access: Access,
    identity: Identity,
    phase: Phase,
    close_callback: bool,
    input: Vec<u8>,
    /// The length of the last frame, if it was a large one of a stream.
    large: Option<usize>,
    fds: VecDeque<OwnedFd>,
    outbox: Arc<Outbox>,
    writing: Writing,
    /// When the oldest unwritten byte began to wait, or the last one was written.
    write_since: Option<Instant>,
    calls: Calls,
    max_calls: usize,
    streams: Streams,
    keepalive: Option<Keepalive>,
    /// When it came, or was known.
    born: Instant,
    /// It asked to close: ends as soon as everything is written.
    closing: bool,
}

impl Client {
    /// A client that has said `input` already.
    pub(crate) fn new(
        newcomer: Newcomer,
        transport: Transport,
        identity: Identity,
        input: Vec<u8>,
    ) -> Self {
        let Newcomer { server, place, id, bell, access, opened } = newcomer;
        let outbox = Arc::new(Outbox::new(bell.clone(), transport.direct()));
        let phase = match server.serving().open_at_once(&identity, &outbox, server.workers()) {
            Some(connection) => {
                place.opened();
                if let Some(opened) = opened {
                    opened(connection.session());
                }
                Phase::Open(connection)
            }
            None if access.authentication == Authentication::None => Phase::Allowed,
            None => Phase::Stranger(None),
        };
        Self {
            place,
            id,
            bell,
            transport,
            seal: None,
            access,
            identity,
            phase,
            close_callback: false,
            input,
            large: None,
            fds: VecDeque::new(),
            streams: Streams::new(outbox.clone()),
            outbox,
            writing: Writing::default(),
            write_since: None,
            calls: Calls::default(),
            max_calls: server.limits().max_client_requests.max(1),
            server,
            keepalive: None,
            born: Instant::now(),
            closing: false,
        }
    }

    pub(crate) async fn run(mut self) {
        let served = self.serve().await;
        if served.is_ok() && !self.closing && self.hand_over() {
            return self.outbox.close();
        }
        let end = served.err().unwrap_or(End::Closed);
        debug!("client {} disconnected: {end}", self.id);
        self.outbox.close();
        self.transport.farewell();
        self.end_session();
    }

    /// Ends what the client has begun, and tells drivers. Who was told that it is closed finds nothing of it.
    fn end_session(&mut self) {
        self.streams.abort_all();
        self.calls.finish_alone();
        if let Phase::Open(connection) = &self.phase {
            connection.close();
            self.phase = Phase::Allowed;
        }
    }

    async fn serve(&mut self) -> Result<(), End> {
        let bell = self.bell.clone();
        let mut stop = false;
        let budget = self.streams.budget();
        let mut timer = pin!(None);
        loop {
            self.turn().await?;
            if (self.closing || (stop && self.calls.is_empty())) && !self.unwritten() {
                return Ok(());
            }
            let may_take = self.may_take();
            self.set_timer(timer.as_mut(), may_take);
            let may_read = may_take && !stop;
            let may_pass = self.may_pass();
            let stalled = self.streams.stalled();
            tokio::select! {
                biased;
                at_once = bell.end(!stop) => {
                    if at_once {
                        return Err(End::Kicked);
                    }
                    stop = true;
                }
                answered = self.calls.next() => self.answer(answered),
                ready = self.transport.readable(), if may_read => { ready?; self.read()?; }
                ready = self.transport.writable(), if self.unwritten() => ready?,
                ready = behind::ready(&self.phase, may_pass), if self.behind().is_some() => { ready?; self.pass()?; }
                () = bell.output() => {}
                () = budget.available(stalled.unwrap_or(0)), if stalled.is_some() => self.streams.resume(),
                () = run_out(timer.as_mut()) => {
                    timer.set(None);
                    self.on_time()?;
                }
            }
        }
    }

    /// Takes what can be taken, and writes what can be written, until neither goes on.
    async fn turn(&mut self) -> Result<(), End> {
        loop {
            let more = self.take_frames().await?;
            self.flush()?;
            if !(more && self.may_take()) {
                return Ok(());
            }
            // Whoever has sent so much can wait a little: others have a turn now.
            tokio::task::yield_now().await;
        }
    }

    /// Whether another frame may be taken from the input.
    fn may_take(&self) -> bool {
        !self.closing
            && self.seal.is_none()
            && self.calls.len() < self.max_calls
            && self.streams.stalled().is_none()
            && !self.outbox.is_high()
            && !self.behind().is_some_and(Behind::is_high)
    }

    fn read(&mut self) -> Result<(), End> {
        match self.receive() {
            Received::Nothing => {}
            Received::End => return Err(End::HungUp),
            Received::Data => {
                if self.fds.len() > 2 * MAX_FDS {
                    return Err(End::StrayDescriptors);
                }
                self.heard();
            }
        }
        Ok(())
    }

    /// Whether something for the client is not with the kernel yet.
    fn unwritten(&self) -> bool {
        !self.writing.is_empty() || self.transport.holds_bytes()
    }

    fn heard(&mut self) {
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.heard(Instant::now().into_std());
        }
    }

    fn flush(&mut self) -> Result<(), End> {
        if self.outbox.overflowed() {
            return Err(End::NotReading);
        }
        self.flush_behind();
        let pushed = self.transport.push()?;
        let progress = self.writing.flush(&mut self.transport, &self.outbox)? || pushed;
        if self.writing.is_empty()
            && let Some(seal) = self.seal.take()
        {
            // Anybody could have sent that, and it would be taken for the client's.
            if !self.input.is_empty() {
                return Err(End::Unsealed);
            }
            self.transport.seal(seal);
            self.outbox.bypass(self.transport.direct());
        }
        if !self.unwritten() {
            self.write_since = None;
        } else if progress || self.write_since.is_none() {
            self.write_since = Some(Instant::now());
        }
        Ok(())
    }

    /// Handles whole frames while that is allowed, but not longer than [`SLICE`]. Whether a whole
    /// one is left.
    async fn take_frames(&mut self) -> Result<bool, End> {
        if self.holds_large() {
            return self.take_large();
        }
        let input = std::mem::take(&mut self.input);
        let mut taken = 0;
        let mut more = false;
        // The machine's time, not the runtime's: what counts is how long others wait for this thread.
        let mut start = None;
        while let Some((length, frame)) = self.whole(&input[taken..])? {
            more = true;
            let spent =
                (taken > 0).then(|| start.get_or_insert_with(std::time::Instant::now).elapsed());
            if !self.may_take() || spent.is_some_and(|spent| spent >= SLICE) {
                break;
            }
            self.large = None;
            let bytes = &input[taken..taken + length];
            let fds = self.fds.drain(..frame.fds).collect();
            if !self.frame(bytes, frame, fds).await? {
                break;
            }
            taken += length + frame.fds;
            more = false;
        }
        self.keep(input, taken);
        Ok(more)
    }

    /// The frame that `input` starts with and its length, if all of it and of its descriptors is there.
    fn whole<'a>(&self, input: &'a [u8]) -> Result<Option<(usize, Frame<'a>)>, End> {
        let Some(length) = frame_length(input)? else { return Ok(None) };
        if length > GREETING && !self.is_open() {
            return Err(End::LongGreeting(length));
        }
        if input.len() < length {
            return Ok(None);
        }
        let frame = Frame::decode(&input[..length])?;
        if input.len() < length + frame.fds {
            return Ok(None);
        }
        if self.fds.len() < frame.fds {
            return Err(End::StrayDescriptors);
        }
        Ok(Some((length, frame)))
    }

    /// Keeps the unhandled rest, in little memory if there is none.
    fn keep(&mut self, mut input: Vec<u8>, taken: usize) {
        input.drain(..taken);
        if input.is_empty() {
            // Descriptors without a message that asked for them are closed.
            self.fds.clear();
            if input.capacity() > IDLE_INPUT {
                input = Vec::new();
            }
        }
        self.input = input;
    }

    /// Handles one frame. `false`: it cannot be handled yet and stays.
    async fn frame(
        &mut self,
        bytes: &[u8],
        frame: Frame<'_>,
        fds: Vec<OwnedFd>,
    ) -> Result<bool, End> {
        let header = frame.header;
        let Some(fds) = self.forward(bytes, &frame, fds) else { return Ok(true) };
        match header.kind {
            _ if header.program == KEEPALIVE => self.keepalive_message(header),
            MessageKind::Call | MessageKind::CallWithFds => {
                self.call(header, frame.body, fds).await;
            }
            MessageKind::Stream | MessageKind::StreamHole => {
                return self.streams.packet(header, Bytes::copy_from_slice(frame.body));
            }
            // A client has no business to send these; stock daemons ignore them too.
            MessageKind::Reply | MessageKind::ReplyWithFds | MessageKind::Message => {}
        }
        Ok(true)
    }

    fn keepalive_message(&mut self, header: Header) {
        if header.procedure == KEEPALIVE_PING {
            self.send_keepalive(KEEPALIVE_PONG);
        }
    }

    fn send_keepalive(&mut self, procedure: i32) {
        let to = Address { program: KEEPALIVE, version: KEEPALIVE_VERSION, procedure };
        let header = Header { serial: 0, ..Header::event(to) };
        send(&self.outbox, &header, &[]);
    }
}

/// Queues a frame with a body that is there already.
fn send(outbox: &Outbox, header: &Header, body: &[u8]) {
    let mut bytes = Vec::with_capacity(virtus_wire::frame::MIN_FRAME + body.len());
    match encode_raw(header, body, &mut bytes) {
        Ok(()) => outbox.push(Outgoing::frame(bytes)),
        Err(error) => debug!("a message was not sent: {error}"),
    }
}

/// Queues an error as the answer to a call, or as the end of a stream.
fn send_error(outbox: &Outbox, header: &Header, kind: MessageKind, error: &virtus_api::Error) {
    let mut body = Vec::new();
    match virtus_wire::error_body::encode(error, &mut body) {
        Ok(()) => send(outbox, &header.answer(kind, Status::Error), &body),
        Err(cause) => debug!("the error '{error}' was not sent: {cause}"),
    }
}

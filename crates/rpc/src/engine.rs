// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The protocol as a client speaks it: bytes in, arrivals out; requests in, bytes out. No I/O, no
//! clock, no runtime, so that any event loop can drive it.
//!
//! ```text
//! request ─▶ Engine::call ─▶ serial          Engine::receive ◀─ bytes, descriptors
//!            Engine::output ─▶ bytes         Engine::poll    ─▶ reply | event | packet | fault
//! ```
//! Whoever drives it does three things: it writes what [`Engine::output`] shows and says how much went
//! ([`Engine::sent`]); it hands over what it reads ([`Engine::receive`]) and then takes every
//! [`Arrival`] ([`Engine::poll`]); it calls [`Engine::on_time`] when [`Engine::deadline`] has come.
//! [`Greeting`] is the conversation that opens a connection.
//!
//! Invariants: no bytes make it panic; what it keeps is at most one frame of input, one entry per
//! unanswered call or open stream (both are bounded), and what the caller has queued for sending.

mod fault;
mod greeting;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use virtus_api::{AnyReply, AnyRequest, CallId, Error, NetError, Result};
use virtus_core::stream::Packet;
use virtus_wire::events::{self, Received};
use virtus_wire::frame::{Frame, Header, MAX_FDS, MessageKind, Status, encode_frame, frame_length};
use virtus_wire::program::{self, Address, KEEPALIVE, KEEPALIVE_PING, KEEPALIVE_PONG};
use virtus_wire::{codec, error_body};

use crate::KeepalivePolicy;
use crate::errors;
use crate::keepalive::{Due, Keepalive};
pub use fault::Fault;
pub use greeting::{Abilities, Authentication, Greeting, Sasl, Step};
use streams::Streams;

/// Calls that may be without an answer at a time.
pub const MAX_CALLS: usize = 1024;

/// Small frames are joined until a piece of output has this many bytes.
const PIECE: usize = 64 * 1024;

/// Pings are not answered while so many bytes wait: a daemon that does not read needs no proof of life.
const CONGESTED: usize = 1024 * 1024;

/// How a call ended: its reply, or the daemon's refusal with all that it said.
pub type Outcome = std::result::Result<AnyReply, Box<NetError>>;

/// Something that the daemon said.
#[derive(Debug)]
pub enum Arrival {
    /// The answer to a call.
    Reply {
        /// What [`Engine::call`] answered.
        serial: u32,
        /// What became of it; [`refusal`] makes an [`Error`] of a refusal.
        outcome: Outcome,
        /// Descriptors that came with the reply.
        fds: Vec<OwnedFd>,
    },
    /// An event that was registered for.
    Event(Received),
    /// A packet of the stream that a call has opened. May come before the call's reply. After
    /// [`Packet::Abort`] nothing follows; [`Packet::Finish`] says that no more data comes.
    Packet {
        /// What [`Engine::call`] answered.
        serial: u32,
        /// What came.
        packet: Packet,
    },
}

/// One connection to a daemon.
#[derive(Default)]
pub struct Engine {
    input: Vec<u8>,
    /// Bytes of `input` that are done with.
    taken: usize,
    fds: VecDeque<OwnedFd>,
    output: VecDeque<Piece>,
    /// Bytes of the first piece that are sent.
    sent: usize,
    waiting: usize,
    next_serial: u32,
    calls: HashMap<u32, CallId>,
    streams: Streams,
    keepalive: Option<Keepalive>,
}

/// Bytes to be written, and the descriptor that goes with the first of them.
struct Piece {
    bytes: Vec<u8>,
    fd: Option<OwnedFd>,
}

impl Engine {
    /// A connection on which nothing has been said.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Queues a call with its descriptors; answers the serial that its reply will have.
    ///
    /// # Errors
    /// `VIR_ERR_RPC` if the arguments exceed what the protocol can carry,
    /// `VIR_ERR_OPERATION_FAILED` if [`MAX_CALLS`] calls or 64 streams wait already.
    pub fn call(&mut self, request: &AnyRequest, fds: Vec<OwnedFd>) -> Result<u32> {
        if self.calls.len() >= MAX_CALLS {
            return Err(errors::too_many_calls(MAX_CALLS));
        }
        let call = request.call();
        let serial = self.free_serial();
        let mut header = Header::call(program::address(call), serial);
        if !fds.is_empty() {
            header.kind = MessageKind::CallWithFds;
        }
        let mut bytes = Vec::with_capacity(128);
        encode_frame(&header, fds.len(), &mut bytes, |out| {
            codec::encode_any_request(request, out)
        })?;
        if call.meta().stream.is_some() {
            self.streams.open(header, request)?;
        }
        self.push(bytes);
        for fd in fds {
            self.waiting += 1;
            self.output.push_back(Piece { bytes: vec![0], fd: Some(fd) });
        }
        self.calls.insert(serial, call);
        self.next_serial = serial.wrapping_add(1);
        Ok(serial)
    }

    /// Queues a packet of a stream; data is cut into messages of the usual size. `false`: the stream
    /// has ended, or was not opened for holes, and the packet is dropped.
    pub fn send(&mut self, serial: u32, packet: Packet) -> bool {
        let Some(frames) = self.streams.send(serial, packet) else { return false };
        for frame in frames {
            self.push(frame);
        }
        true
    }

    /// Takes what was read from the daemon. Take every arrival before handing over more.
    pub fn receive(&mut self, bytes: &[u8], fds: impl IntoIterator<Item = OwnedFd>, now: Instant) {
        self.input.drain(..std::mem::take(&mut self.taken));
        self.input.extend_from_slice(bytes);
        self.fds.extend(fds);
        self.heard(now);
    }

    /// Says that silence until `now` proves nothing: nobody has read.
    pub fn heard(&mut self, now: Instant) {
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.heard(now);
        }
    }

    /// What the daemon has said next; `None` until more is received.
    ///
    /// # Errors
    /// The [`Fault`] for which this connection cannot go on.
    pub fn poll(&mut self) -> std::result::Result<Option<Arrival>, Fault> {
        loop {
            let Some(length) = frame_length(&self.input[self.taken..])? else {
                return self.idle();
            };
            let Some(whole) = self.input[self.taken..].get(..length) else { return self.idle() };
            let markers = Frame::decode(whole)?.fds;
            // Each descriptor came with a byte of its own behind the frame.
            if self.input.len() - self.taken < length + markers {
                return self.idle();
            }
            if self.fds.len() < markers {
                return Err(Fault::StrayDescriptors);
            }
            let fds = self.fds.drain(..markers).collect();
            let start = self.taken;
            self.taken += length + markers;
            let input = std::mem::take(&mut self.input);
            let arrival = match Frame::decode(&input[start..start + length]) {
                Ok(frame) => self.frame(&frame, fds),
                Err(error) => Err(error.into()),
            };
            self.input = input;
            if let Some(arrival) = arrival? {
                return Ok(Some(arrival));
            }
        }
    }

    /// Bytes that should be written, and the descriptor that must go with them.
    #[must_use]
    pub fn output(&self) -> Option<(&[u8], Option<BorrowedFd<'_>>)> {
        let piece = self.output.front()?;
        Some((&piece.bytes[self.sent..], piece.fd.as_ref().map(AsFd::as_fd)))
    }

    /// Says that so many bytes of [`Engine::output`] are written, with their descriptor.
    pub fn sent(&mut self, count: usize) {
        let Some(piece) = self.output.front() else { return };
        let count = count.min(piece.bytes.len() - self.sent);
        self.sent += count;
        self.waiting -= count;
        if self.sent == piece.bytes.len() {
            self.output.pop_front();
            self.sent = 0;
        }
    }

    /// Bytes that wait to be written. Who queues should rest while these are many.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Begins to ping the daemon when it is silent. Only for daemons that have
    /// [`Abilities::keepalive`].
    pub fn start_keepalive(&mut self, policy: KeepalivePolicy, now: Instant) {
        self.keepalive = Some(Keepalive::new(policy, now));
    }

    /// When [`Engine::on_time`] should be called next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.keepalive.as_ref().map(Keepalive::deadline)
    }

    /// Pings a silent daemon.
    ///
    /// # Errors
    /// [`Fault::Silent`] once it has left all pings unanswered.
    pub fn on_time(&mut self, now: Instant) -> std::result::Result<(), Fault> {
        match self.keepalive.as_mut().and_then(|keepalive| keepalive.due(now)) {
            Some(Due::Dead) => Err(Fault::Silent),
            Some(Due::Ping) => {
                self.ping();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Shows the daemon that we live.
    pub fn ping(&mut self) {
        self.push_keepalive(KEEPALIVE_PING);
    }

    /// A serial that no unanswered call and no open stream has.
    fn free_serial(&self) -> u32 {
        let mut serial = self.next_serial;
        while self.calls.contains_key(&serial) || self.streams.has(serial) {
            serial = serial.wrapping_add(1);
        }
        serial
    }

    fn push(&mut self, bytes: Vec<u8>) {
        self.waiting += bytes.len();
        match self.output.back_mut() {
            Some(last) if last.fd.is_none() && last.bytes.len() + bytes.len() <= PIECE => {
                last.bytes.extend_from_slice(&bytes);
            }
            _ => self.output.push_back(Piece { bytes, fd: None }),
        }
    }

    fn push_keepalive(&mut self, procedure: i32) {
        if self.waiting > CONGESTED {
            return;
        }
        let to = Address { program: KEEPALIVE, version: program::KEEPALIVE_VERSION, procedure };
        let header = Header { serial: 0, ..Header::event(to) };
        if let Some(frame) = streams::raw(&header, &[]) {
            self.push(frame);
        }
    }

    /// Nothing more can be taken now.
    fn idle(&mut self) -> std::result::Result<Option<Arrival>, Fault> {
        if self.fds.len() > MAX_FDS {
            return Err(Fault::StrayDescriptors);
        }
        if self.taken == self.input.len() {
            // Descriptors without a message that announced them are closed.
            self.fds.clear();
            self.input.clear();
            self.input.shrink_to(PIECE);
            self.taken = 0;
        }
        Ok(None)
    }

    /// Understands one frame; `None` if it is nothing to tell of.
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        fds: Vec<OwnedFd>,
    ) -> std::result::Result<Option<Arrival>, Fault> {
        let header = frame.header;
        match header.kind {
            MessageKind::Call | MessageKind::CallWithFds => Err(Fault::Call(header.procedure)),
            MessageKind::Message => self.message(header, frame.body),
            MessageKind::Reply | MessageKind::ReplyWithFds => {
                self.reply(header, frame.body, fds).map(Some)
            }
            MessageKind::Stream | MessageKind::StreamHole => {
                let (packet, answer) = self.streams.packet(header, frame.body);
                if let Some(answer) = answer {
                    self.push(answer);
                }
                Ok(packet.map(|packet| Arrival::Packet { serial: header.serial, packet }))
            }
        }
    }

    fn message(
        &mut self,
        header: Header,
        body: &[u8],
    ) -> std::result::Result<Option<Arrival>, Fault> {
        if header.program == KEEPALIVE {
            if header.procedure == KEEPALIVE_PING {
                self.push_keepalive(KEEPALIVE_PONG);
            }
            return Ok(None);
        }
        if program::from_number(header.program).is_none() {
            return Err(Fault::UnknownProgram(header.program));
        }
        match events::decode(header.program, header.procedure, body) {
            Some(Ok(event)) => Ok(Some(Arrival::Event(event))),
            Some(Err(error)) => {
                tracing::debug!("event {} cannot be read: {error}", header.procedure);
                Ok(None)
            }
            None => Ok(None),
        }
    }

    fn reply(
        &mut self,
        header: Header,
        body: &[u8],
        fds: Vec<OwnedFd>,
    ) -> std::result::Result<Arrival, Fault> {
        let serial = header.serial;
        let known = self.calls.remove(&serial).filter(|call| {
            let Address { program, version, procedure } = program::address(*call);
            (program, version, procedure) == (header.program, header.version, header.procedure)
        });
        let call = known.ok_or(Fault::UnknownReply(serial))?;
        let outcome = match header.status {
            Status::Ok => codec::decode_any_reply(call, body)
                .map_err(|cause| error_body::to_body(&errors::undecodable(cause))),
            _ => match error_body::decode_body(body) {
                Ok(refusal) => Err(refusal),
                Err(cause) => Err(error_body::to_body(&errors::undecodable(cause))),
            },
        };
        if outcome.is_err() {
            self.streams.forget(serial);
        }
        Ok(Arrival::Reply { serial, outcome: outcome.map_err(Box::new), fds })
    }
}

/// The daemon's refusal of `call` as an [`Error`]. A daemon that does not know the call does not
/// support it.
#[must_use]
pub fn refusal(body: NetError, call: CallId) -> Error {
    let error = error_body::from_body(body);
    if errors::is_unknown_procedure(&error) {
        return Error::no_support(call.meta().shown()).in_domain(error.domain());
    }
    error
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The daemon behind a proxy, for one client.
//!
//! The proxy opens the connection there as the client asked, and says on whose behalf. From then on frames go through
//! as they are, with their descriptors, both ways: replies, events and streams are nobody's business here. What stays
//! the proxy's are pings, whom a client claims to be, and whether descriptors can reach it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UnixStream;
use tokio::time::timeout;
use virtus_api::{
    AuthList, AuthType, CallId, ConnectOpen, ConnectSupportsFeature, Error, Request, Result,
};
use virtus_core::Identity;
use virtus_wire::codec;
use virtus_wire::frame::{
    Frame, FrameError, Header, MessageKind, Status, encode_frame, frame_length,
};
use virtus_wire::program::{
    Address, KEEPALIVE, KEEPALIVE_PING, KEEPALIVE_VERSION, address, lookup,
};

use super::handshake::{FEATURE_FD_PASSING, FEATURE_KEEPALIVE};
use super::outbox::{Outbox, Outgoing};
use super::writing::Writing;
use super::{Client, End, Phase, send};
use crate::behalf::on_behalf_of;
use crate::errors;
use crate::keepalive::{Due, Keepalive, Policy};
use crate::server::Destination;
use crate::transport::{MAX_FDS, Received, Transport};

/// How long the daemon behind may take until it has opened the connection: systemd may have to start it first.
const OPEN_LIMIT: Duration = Duration::from_secs(60);

/// The connection to it.
pub(super) struct Behind {
    transport: Transport,
    /// What is on its way there.
    outbox: Arc<Outbox>,
    writing: Writing,
    input: Vec<u8>,
    fds: VecDeque<OwnedFd>,
    keepalive: Option<Keepalive>,
}

impl Behind {
    /// Opens `destination` for a client.
    pub(super) async fn open(
        destination: &Destination,
        read_only: bool,
        identity: &Identity,
        pings: Option<Policy>,
    ) -> Result<Self> {
        let opening = Self::greet(destination, read_only, identity);
        let opened = timeout(OPEN_LIMIT, opening).await;
        let mut behind = opened.unwrap_or_else(|_| Err(errors::slow_daemon(destination)))?;
        behind.keepalive = pings.map(|policy| Keepalive::new(policy, Instant::now()));
        Ok(behind)
    }

    async fn greet(
        destination: &Destination,
        read_only: bool,
        identity: &Identity,
    ) -> Result<Self> {
        let absent = |cause: io::Error| errors::absent_daemon(destination, &cause);
        let socket = UnixStream::connect(&destination.socket).await.map_err(absent)?;
        let mut behind = Self {
            transport: socket.try_into().map_err(absent)?,
            outbox: Arc::default(),
            writing: Writing::default(),
            input: Vec::new(),
            fds: VecDeque::new(),
            keepalive: None,
        };
        let offered = behind.ask(AuthList, &destination.socket).await?;
        if !offered.is_empty() && !offered.contains(&AuthType::None) {
            return Err(errors::daemon_asks(destination));
        }
        let open = ConnectOpen { name: Some(destination.uri.clone()), flags: read_only.into() };
        behind.ask(open, &destination.socket).await?;
        // Only root may speak for others; a user's own daemon knows its user.
        if rustix::process::geteuid().is_root() {
            behind.ask(on_behalf_of(identity), &destination.socket).await?;
        }
        Ok(behind)
    }

    /// A call of our own, before the client's begin.
    async fn ask<R: Request>(&mut self, request: R, socket: &Path) -> Result<R::Reply> {
        let lost = |cause: io::Error| {
            Error::system(format!("the daemon at '{}' hung up", socket.display()), &cause)
        };
        let header = Header::call(address(R::CALL), 0);
        let mut bytes = Vec::new();
        encode_frame(&header, 0, &mut bytes, |out| codec::encode_request(&request, out))
            .map_err(|cause| errors::unencodable(R::CALL.meta().name, cause))?;
        self.outbox.push(Outgoing::frame(bytes));
        loop {
            self.writing.flush(&mut self.transport, &self.outbox).map_err(lost)?;
            if let Some(length) = self.whole().map_err(errors::undecodable)? {
                let frame = Frame::decode(&self.input[..length]).map_err(errors::undecodable)?;
                let reply = match frame.header.status {
                    Status::Error => Err(virtus_wire::error_body::decode(frame.body)
                        .unwrap_or_else(errors::undecodable)),
                    _ => codec::decode_reply::<R>(frame.body).map_err(errors::undecodable),
                };
                self.input.drain(..length);
                return reply;
            }
            let full = !self.writing.is_empty();
            tokio::select! {
                ready = self.transport.readable() => ready.map_err(lost)?,
                ready = self.transport.writable(), if full => ready.map_err(lost)?,
            }
            if self.transport.receive(&mut self.input, &mut self.fds) == Received::End {
                return Err(lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// The length of the frame that the input starts with, if all of it and of its descriptors is there.
    fn whole(&self) -> std::result::Result<Option<usize>, FrameError> {
        let Some(length) = frame_length(&self.input)? else { return Ok(None) };
        if self.input.len() < length {
            return Ok(None);
        }
        let count = Frame::decode(&self.input[..length])?.fds;
        Ok((self.input.len() >= length + count && self.fds.len() >= count).then_some(length))
    }

    /// Whether so much waits for the daemon that the client should wait.
    pub(super) fn is_high(&self) -> bool {
        self.outbox.is_high()
    }

    /// Waits until it can be read, or written if something waits for that.
    pub(super) async fn ready(&self, may_read: bool) -> io::Result<()> {
        let unwritten = !self.writing.is_empty();
        tokio::select! {
            ready = self.transport.readable(), if may_read => ready,
            ready = self.transport.writable(), if unwritten => ready,
            () = std::future::pending(), if !may_read && !unwritten => Ok(()),
        }
    }

    /// Sends a message of the client.
    pub(super) fn send(&mut self, bytes: Vec<u8>, fds: Vec<OwnedFd>) {
        self.outbox.push(Outgoing::with_fds(bytes, fds));
    }

    /// When [`on_time`](Self::on_time) should be asked next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.keepalive.as_ref().map(Keepalive::deadline)
    }

    /// Pings a silent daemon. `false`: it does not answer.
    pub(super) fn on_time(&mut self, now: Instant, reading: bool) -> bool {
        let Some(keepalive) = &mut self.keepalive else { return true };
        if !reading {
            // We do not listen at the moment, so silence proves nothing.
            keepalive.heard(now);
        }
        match keepalive.due(now) {
            Some(Due::Dead) => return false,
            Some(Due::Ping) => {
                let procedure = KEEPALIVE_PING;
                let to = Address { program: KEEPALIVE, version: KEEPALIVE_VERSION, procedure };
                send(&self.outbox, &Header { serial: 0, ..Header::event(to) }, &[]);
            }
            None => {}
        }
        true
    }

    /// Hands on what has come from the daemon. `false`: it is gone.
    pub(super) fn pass(
        &mut self,
        client: &Outbox,
        with_fds: bool,
    ) -> std::result::Result<bool, FrameError> {
        let received = self.transport.receive(&mut self.input, &mut self.fds);
        if let (Received::Data, Some(keepalive)) = (&received, &mut self.keepalive) {
            keepalive.heard(Instant::now());
        }
        let mut taken = 0;
        let input = std::mem::take(&mut self.input);
        while let Some(length) = frame_length(&input[taken..])?.filter(|l| input.len() >= taken + l)
        {
            let bytes = &input[taken..taken + length];
            let frame = Frame::decode(bytes)?;
            if input.len() < taken + length + frame.fds || self.fds.len() < frame.fds {
                break;
            }
            let fds: Vec<OwnedFd> = self.fds.drain(..frame.fds).collect();
            taken += length + frame.fds;
            if frame.header.program != KEEPALIVE {
                let fds = if with_fds { fds } else { Vec::new() };
                client.push(Outgoing::with_fds(bytes.to_vec(), fds));
            }
        }
        self.input = input;
        self.input.drain(..taken);
        Ok(received != Received::End && self.fds.len() <= 2 * MAX_FDS)
    }

    /// Writes what waits for the daemon.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writing.flush(&mut self.transport, &self.outbox).map(drop)
    }
}

impl Client {
    pub(super) fn behind(&self) -> Option<&Behind> {
        match &self.phase {
            Phase::Forwarded(behind) => Some(behind),
            _ => None,
        }
    }

    /// Whether what the daemon behind says can be taken.
    pub(super) fn may_pass(&self) -> bool {
        !self.closing && !self.outbox.is_high()
    }

    /// Hands on what the daemon behind says; its end is the client's.
    pub(super) fn pass(&mut self) -> Result<(), End> {
        let with_fds = self.transport.passes_fds();
        let may_pass = self.may_pass();
        if let Phase::Forwarded(behind) = &mut self.phase {
            self.closing |= may_pass && !behind.pass(&self.outbox, with_fds)?;
        }
        Ok(())
    }

    /// Sends a message of the client on; gives back its descriptors if that is not for the daemon behind.
    pub(super) fn forward(
        &mut self,
        bytes: &[u8],
        frame: &Frame<'_>,
        fds: Vec<OwnedFd>,
    ) -> Option<Vec<OwnedFd>> {
        if self.behind().is_none() || self.keeps(frame) {
            return Some(fds);
        }
        if let Phase::Forwarded(behind) = &mut self.phase {
            behind.send(bytes.to_vec(), fds);
        }
        None
    }

    /// Writes what waits for the daemon behind. Its end shows when it is read.
    pub(super) fn flush_behind(&mut self) {
        if let Phase::Forwarded(behind) = &mut self.phase {
            let _hung_up = behind.flush();
        }
    }

    /// Asks the daemon behind, if it has been silent, whether it is still there.
    pub(super) fn ping_behind(
        &mut self,
        now: tokio::time::Instant,
    ) -> std::result::Result<(), End> {
        let may_pass = self.may_pass();
        let answers = match &mut self.phase {
            Phase::Forwarded(behind) => behind.on_time(now.into_std(), may_pass),
            _ => true,
        };
        if answers { Ok(()) } else { Err(End::BehindDead) }
    }

    /// Whether the proxy answers a message itself, although a daemon is behind.
    fn keeps(&self, frame: &Frame<'_>) -> bool {
        let Header { program, procedure, kind, .. } = frame.header;
        match kind {
            _ if program == KEEPALIVE => return true,
            MessageKind::Call | MessageKind::CallWithFds => {}
            MessageKind::Stream | MessageKind::StreamHole => return false,
            MessageKind::Reply | MessageKind::ReplyWithFds | MessageKind::Message => return true,
        }
        match lookup(program, procedure) {
            Some(CallId::ConnectOpen) => true,
            // The daemon behind would take us for root.
            Some(CallId::ConnectSetIdentity) => self.identity.uid != Some(0),
            Some(CallId::ConnectSupportsFeature) => {
                let request =
                    codec::decode_request(CallId::ConnectSupportsFeature, frame.body).ok();
                let asked =
                    request.as_ref().and_then(|request| request.get::<ConnectSupportsFeature>());
                asked.is_some_and(|asked| {
                    matches!(asked.feature, FEATURE_FD_PASSING | FEATURE_KEEPALIVE)
                })
            }
            Some(call) => !call.meta().needs_auth,
            None => false,
        }
    }
}

/// Waits for the daemon behind, if there is one.
pub(super) async fn ready(phase: &Phase, may_pass: bool) -> io::Result<()> {
    match phase {
        Phase::Forwarded(behind) => behind.ready(may_pass).await,
        _ => std::future::pending().await,
    }
}

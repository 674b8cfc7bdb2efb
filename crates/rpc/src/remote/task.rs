// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The task of one connection: socket and engine on one side, orders and answers on the other.

use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tracing::debug;
use virtus_api::{AnyReply, AnyRequest, CallId, ConnectClose, Error, Result};
use virtus_core::events::{Delivery, EventSink};

use super::streams::Streams;
use super::{Asking, Order, closed, hung_up};
use crate::engine::{Arrival, Engine, refusal};
use crate::transport::{Received, Transport};

/// Bytes above which no further order is taken.
const HIGH_WATER: usize = 1024 * 1024;

/// The timer of a connection of which nothing is due.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// How often a daemon hears from a client that does not read because its streams are not read.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// How long the daemon may take to close after it was asked to.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

struct Task {
    transport: Transport,
    engine: Engine,
    events: Arc<dyn EventSink>,
    calls: HashMap<u32, Pending>,
    streams: Streams,
    input: Vec<u8>,
    fds: VecDeque<OwnedFd>,
    /// Set once the close is asked for: when to stop waiting for it.
    closing: Option<Instant>,
}

/// A call that waits for its reply.
struct Pending {
    call: CallId,
    answer: oneshot::Sender<Result<AnyReply>>,
}

/// Runs until the connection is over; then says why, to all who wait.
pub(super) async fn run(
    transport: Transport,
    events: Arc<dyn EventSink>,
    mut orders: mpsc::Receiver<Order>,
    own: mpsc::WeakSender<Order>,
    losing: watch::Sender<Option<Error>>,
) {
    let mut task = Task {
        transport,
        engine: Engine::new(),
        events,
        calls: HashMap::new(),
        streams: Streams::new(own),
        input: Vec::new(),
        fds: VecDeque::new(),
        closing: None,
    };
    let reason = match task.serve(&mut orders).await {
        Ok(()) => closed(),
        Err(_) if task.closing.is_some() => closed(),
        Err(reason) => reason,
    };
    debug!("a connection ended: {reason}");
    task.transport.farewell();
    task.streams.fail_all(&reason);
    // Set before the answers are dropped, so that whoever hears of the end finds the reason.
    losing.send_replace(Some(reason));
}

impl Task {
    async fn serve(&mut self, orders: &mut mpsc::Receiver<Order>) -> Result<()> {
        let mut timer = pin!(sleep_until(self.deadline()));
        let window = self.streams.window();
        loop {
            self.arrivals()?;
            self.flush().map_err(|error| hung_up(&error.to_string()))?;
            if self.deadline() < timer.deadline() {
                timer.as_mut().reset(self.deadline());
            }
            let may_read = self.streams.stalled().is_none();
            let stalled = self.streams.stalled();
            let unwritten = self.engine.waiting() > 0 || self.transport.holds_bytes();
            let may_order = self.engine.waiting() < HIGH_WATER && self.closing.is_none();
            tokio::select! {
                ready = self.transport.readable(), if may_read => {
                    ready.map_err(|error| hung_up(&error.to_string()))?;
                    self.read()?;
                }
                ready = self.transport.writable(), if unwritten => {
                    ready.map_err(|error| hung_up(&error.to_string()))?;
                }
                () = window.available(stalled.unwrap_or(0)), if stalled.is_some() => {}
                order = orders.recv(), if may_order => match order {
                    Some(order) => self.order(order),
                    None => return Ok(()),
                },
                () = timer.as_mut() => {
                    self.on_time()?;
                    timer.as_mut().reset(self.deadline());
                }
            }
        }
    }

    fn read(&mut self) -> Result<()> {
        match self.transport.receive(&mut self.input, &mut self.fds) {
            Received::Nothing => {}
            Received::End => return Err(hung_up("the daemon closed it")),
            Received::Data => {
                self.engine.receive(&self.input, self.fds.drain(..), now());
                self.input.clear();
            }
        }
        Ok(())
    }

    /// Passes on what has arrived, until a reader of stream data is behind.
    fn arrivals(&mut self) -> Result<()> {
        while self.streams.resume() {
            let Some(arrival) = self.engine.poll()? else { return Ok(()) };
            match arrival {
                Arrival::Reply { serial, outcome, fds } => {
                    let Some(pending) = self.calls.remove(&serial) else { continue };
                    let outcome = match outcome {
                        Ok(reply) => Ok(reply.with_fds(fds)),
                        Err(body) => Err(refusal(*body, pending.call)),
                    };
                    if outcome.is_err() {
                        self.streams.forget(serial);
                    }
                    // Who does not wait any more has given up.
                    let _gone = pending.answer.send(outcome);
                }
                Arrival::Event(received) => {
                    let event = Arc::new(received.event);
                    self.events.deliver(Delivery::new(received.callback, event));
                }
                Arrival::Packet { serial, packet } => self.streams.packet(serial, packet),
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.transport.push()?;
        while let Some((bytes, fd)) = self.engine.output() {
            let written = match fd {
                Some(fd) => self.transport.send_fd(fd).map(|()| 1),
                None => self.transport.write(&[IoSlice::new(bytes)]),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.engine.sent(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Call(asking) => self.call(*asking),
            Order::Packet { serial, packet } => {
                self.engine.send(serial, packet);
            }
            Order::Seal(seal) => self.transport.seal(*seal),
            Order::Keepalive(policy) => self.engine.start_keepalive(policy, now()),
            Order::Close => {
                // If even that cannot be said, the socket's end says it.
                let _said = self.engine.call(&AnyRequest::new(ConnectClose), Vec::new());
                self.closing = Some(Instant::now() + CLOSE_LIMIT);
            }
        }
    }

    fn call(&mut self, asking: Asking) {
        let Asking { request, fds, stream, answer } = asking;
        if answer.is_closed() {
            return;
        }
        match self.engine.call(&request, fds) {
            Ok(serial) => {
                if let Some(stream) = stream {
                    self.streams.open(serial, stream);
                }
                self.calls.insert(serial, Pending { call: request.call(), answer });
            }
            Err(error) => {
                let _gone = answer.send(Err(error));
            }
        }
    }

    fn deadline(&self) -> Instant {
        let keepalive = self.engine.deadline().map(Instant::from);
        let wait = if self.streams.stalled().is_some() { SIGN_OF_LIFE } else { IDLE };
        let latest = Instant::now() + wait;
        keepalive.into_iter().chain(self.closing).fold(latest, Instant::min)
    }

    fn on_time(&mut self) -> Result<()> {
        if self.closing.is_some_and(|limit| Instant::now() >= limit) {
            return Err(closed());
        }
        if self.streams.stalled().is_some() {
            // We do not listen at the moment, so silence proves nothing; nor do we answer the
            // daemon's pings, so it is told that we live.
            self.engine.heard(now());
            self.engine.ping();
        }
        Ok(self.engine.on_time(now())?)
    }
}

/// The runtime's clock, which tests can stop.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What waits to be written to one client: replies, events and stream data, in the order they came.
//!
//! An event before which nothing waits goes to the socket at once, from the task in which it happened: a hundred
//! clients hear of it without a hundred tasks being woken. All else is written by the client's own task.
//!
//! Anyone may put something in, nobody waits for a slow client here. What bounds it: replies by the
//! calls in flight (above [`HIGH_WATER`] no further call is read), stream data by [`Outbox::room`],
//! events by [`EVENT_MEMORY`]: a client that does not collect its events is cut off and harms no one.
//! Nothing is left out of what a client gets: it gets every event, or it loses its connection and
//! knows that it has missed some.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tracing::debug;
use virtus_core::events::{Delivery, EventSink};
use virtus_wire::events::Form;
use virtus_wire::frame::Header;

use crate::bell::{Bell, Ring};
use crate::transport::Direct;

/// Bytes above which the client's calls are not read and its streams wait.
pub(crate) const HIGH_WATER: usize = 1024 * 1024;

/// Bytes that the events that wait for one client may take: some 40,000 small ones, more than all
/// guests of a large host cause when they stop at once.
pub(crate) const EVENT_MEMORY: usize = 8 * 1024 * 1024;

/// What an event takes beside the bytes of its frame.
const EVENT_OVERHEAD: usize = 128;

/// One frame, and the descriptors that follow it.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    /// What follows `bytes` in the frame: stream data, in the memory in which the driver gave it.
    pub(crate) body: Bytes,
    pub(crate) fds: Vec<OwnedFd>,
    event: bool,
}

impl Outgoing {
    pub(crate) fn frame(bytes: Vec<u8>) -> Self {
        Self::with_fds(bytes, Vec::new())
    }

    pub(crate) fn with_body(bytes: Vec<u8>, body: Bytes) -> Self {
        Self { body, ..Self::frame(bytes) }
    }

    pub(crate) fn with_fds(bytes: Vec<u8>, fds: Vec<OwnedFd>) -> Self {
        Self { bytes, body: Bytes::new(), fds, event: false }
    }

    /// The length of the frame.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.body.len()
    }
}

/// The queue of one client.
#[derive(Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// These change under the lock, and stand beside it because every turn of the client's task looks at them.
    waiting: AtomicBool,
    high: AtomicBool,
    overflowed: AtomicBool,
    bell: Arc<Bell>,
    emptied: Notify,
}

#[derive(Default)]
struct State {
    /// Open as long as the client is there: others hold the outbox for longer.
    direct: Option<Direct>,
    queue: VecDeque<Outgoing>,
    /// Bytes queued or taken and not yet written.
    bytes: usize,
    /// Bytes of events among these, and what they take beside.
    event_memory: usize,
    closed: bool,
}

impl Outbox {
    /// An outbox that rings when something is put in by others than the client's own task.
    pub(crate) fn new(bell: Arc<Bell>, direct: Option<Direct>) -> Self {
        let state = State { direct, ..State::default() };
        Self { state: Mutex::new(state), bell, ..Self::default() }
    }

    /// From now on events may take this way past the client's task, or none.
    pub(super) fn bypass(&self, direct: Option<Direct>) {
        self.state().direct = direct;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a frame for a client that is still there, and wakes its task.
    pub(crate) fn push(&self, frame: Outgoing) {
        let mut state = self.state();
        if !state.closed {
            self.queue(&mut state, frame);
        }
        drop(state);
        self.bell.ring(Ring::Output);
    }

    fn queue(&self, state: &mut State, frame: Outgoing) {
        self.count(state, &frame);
        state.queue.push_back(frame);
        self.waiting.store(true, Ordering::Relaxed);
    }

    fn count(&self, state: &mut State, frame: &Outgoing) {
        state.bytes += frame.len();
        self.high.store(state.bytes >= HIGH_WATER, Ordering::Relaxed);
    }

    /// Writes an event or queues it, or marks the client as one that does not collect them.
    pub(crate) fn push_event(&self, mut bytes: Vec<u8>) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        if let (0, Some(direct)) = (state.bytes, &state.direct) {
            // Why nothing went is the business of the client's task, which will try again.
            let written = direct.write(&bytes).unwrap_or(0);
            bytes.drain(..written);
            if bytes.is_empty() {
                return;
            }
        }
        let memory = bytes.len() + EVENT_OVERHEAD;
        // A single one is let through, however large.
        if state.event_memory > 0 && state.event_memory + memory > EVENT_MEMORY {
            self.overflowed.store(true, Ordering::Relaxed);
        } else {
            state.event_memory += memory;
            self.queue(&mut state, Outgoing { event: true, ..Outgoing::frame(bytes) });
        }
        drop(state);
        self.bell.ring(Ring::Output);
    }

    /// Takes all that waits, for writing. Who has queued it rings afterwards.
    pub(super) fn take(&self, into: &mut VecDeque<Outgoing>) {
        if self.waiting.load(Ordering::Relaxed) {
            self.empty(&mut self.state(), into);
        }
    }

    /// The same with `frame` behind it, which is of the client's own task.
    pub(super) fn take_before(&self, frame: Outgoing, into: &mut VecDeque<Outgoing>) {
        let mut state = self.state();
        self.empty(&mut state, into);
        self.count(&mut state, &frame);
        into.push_back(frame);
    }

    fn empty(&self, state: &mut State, into: &mut VecDeque<Outgoing>) {
        into.append(&mut state.queue);
        self.waiting.store(false, Ordering::Relaxed);
    }

    /// Something taken has been written.
    pub(super) fn written(&self, frame: &Outgoing) {
        let mut state = self.state();
        let before = state.bytes;
        state.bytes -= frame.len();
        if frame.event {
            state.event_memory -= frame.bytes.len() + EVENT_OVERHEAD;
        }
        if before >= HIGH_WATER && state.bytes < HIGH_WATER {
            self.high.store(false, Ordering::Relaxed);
            drop(state);
            self.emptied.notify_waiters();
        }
    }

    /// Whether so much waits that nothing more should be asked for.
    pub(super) fn is_high(&self) -> bool {
        self.high.load(Ordering::Relaxed)
    }

    /// Whether events were lost because the client does not read.
    pub(super) fn overflowed(&self) -> bool {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Waits until stream data may be queued. `false`: the client is gone.
    pub(crate) async fn room(&self) -> bool {
        loop {
            let emptied = self.emptied.notified();
            {
                let state = self.state();
                if state.closed {
                    return false;
                }
                if state.bytes < HIGH_WATER {
                    return true;
                }
            }
            emptied.await;
        }
    }

    /// The client is gone: forgets everything, and frees who waits for room.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.direct = None;
        state.queue.clear();
        drop(state);
        self.emptied.notify_waiters();
    }
}

impl EventSink for Outbox {
    fn deliver(&self, delivery: Delivery) {
        let form = delivery.callback.map_or(Form::Legacy, Form::Modern);
        match event_frame(&delivery.event, form) {
            Ok(bytes) => self.push_event(bytes),
            Err(error) => debug!("an event was not sent: {error}"),
        }
    }
}

fn event_frame(event: &virtus_api::Event, form: Form) -> Result<Vec<u8>, virtus_wire::EncodeError> {
    // Room for most events: this happens once for each client that hears of one.
    let mut bytes = Vec::with_capacity(256);
    let to =
        virtus_wire::events::address(event, form).ok_or(virtus_wire::EncodeError::NoSuchMessage)?;
    virtus_wire::frame::encode_frame(&Header::event(to), 0, &mut bytes, |out| {
        virtus_wire::events::encode(event, form, out)
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::net::UnixStream;

    use super::*;
    use crate::transport::Transport;

    #[tokio::test]
    async fn an_event_goes_at_once_or_behind_what_waits() {
        let (near, far) = UnixStream::pair().unwrap();
        let transport = Transport::try_from(near).unwrap();
        transport.writable().await.unwrap();
        let outbox = Outbox::new(Arc::default(), transport.direct());
        let mut got = vec![0; 16 * 1024 * 1024];
        outbox.push_event(b"at once".to_vec());
        far.readable().await.unwrap();
        assert_eq!(far.try_read(&mut got).unwrap(), 7);
        outbox.push_event(vec![1; 8 * 1024 * 1024]);
        outbox.push_event(vec![2]);
        let mut waiting = VecDeque::new();
        outbox.take(&mut waiting);
        far.readable().await.unwrap();
        let went = far.try_read(&mut got).unwrap();
        let lengths: Vec<_> = waiting.iter().map(Outgoing::len).collect();
        assert_eq!(lengths, [8 * 1024 * 1024 - went, 1]);
    }

    #[test]
    fn events_beyond_the_memory_for_them_mark_the_client() {
        let outbox = Outbox::default();
        let event = || outbox.push_event(vec![0; 1024]);
        let many = EVENT_MEMORY / (1024 + EVENT_OVERHEAD);
        (0..many).for_each(|_| event());
        assert!(!outbox.overflowed());
        let mut taken = VecDeque::new();
        outbox.take(&mut taken);
        taken.iter().for_each(|frame| outbox.written(frame));
        (0..many).for_each(|_| event());
        assert!(!outbox.overflowed(), "what is written waits no more");
        event();
        assert!(outbox.overflowed());
    }

    #[test]
    fn a_single_large_event_is_let_through() {
        let outbox = Outbox::default();
        outbox.push_event(vec![0; EVENT_MEMORY]);
        assert!(!outbox.overflowed());
        outbox.push_event(vec![0; 4]);
        assert!(outbox.overflowed());
    }

    #[tokio::test]
    async fn streams_wait_for_room_and_wake_when_the_client_leaves() {
        let outbox = Outbox::default();
        assert!(outbox.room().await);
        outbox.push(Outgoing::frame(vec![0; HIGH_WATER]));
        let mut taken = VecDeque::new();
        outbox.take(&mut taken);
        {
            let mut waiting = Box::pin(outbox.room());
            assert!(waiting.as_mut().now_or_never().is_none());
            outbox.written(&taken[0]);
            assert!(waiting.await);
        }
        outbox.push(Outgoing::frame(vec![0; HIGH_WATER]));
        let mut waiting = Box::pin(outbox.room());
        assert!(waiting.as_mut().now_or_never().is_none());
        outbox.close();
        assert!(!waiting.await);
    }
}

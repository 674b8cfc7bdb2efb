// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What waits to be written to one client: replies, events and stream data, in the order they came.
//!
//! Anyone may put something in, nobody waits for a slow client here. What bounds it: replies by the
//! calls in flight (above [`HIGH_WATER`] no further call is read), stream data by [`Outbox::room`],
//! events by [`MAX_EVENTS`]: a client that does not collect its events is cut off and harms no one.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Bytes above which the client's calls are not read and its streams wait.
pub(crate) const HIGH_WATER: usize = 1024 * 1024;

/// Events that may wait for one client.
pub(crate) const MAX_EVENTS: usize = 4096;

/// One frame, and the descriptors that follow it.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
    event: bool,
}

impl Outgoing {
    pub(crate) fn frame(bytes: Vec<u8>) -> Self {
        Self { bytes, fds: Vec::new(), event: false }
    }

    pub(crate) fn with_fds(bytes: Vec<u8>, fds: Vec<OwnedFd>) -> Self {
        Self { bytes, fds, event: false }
    }
}

/// The queue of one client.
#[derive(Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    filled: Notify,
    emptied: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Outgoing>,
    /// Bytes queued or taken and not yet written.
    bytes: usize,
    events: usize,
    overflowed: bool,
    closed: bool,
}

impl Outbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a frame for a client that is still there.
    pub(crate) fn push(&self, frame: Outgoing) {
        let mut state = self.state();
        if !state.closed {
            state.bytes += frame.bytes.len();
            state.queue.push_back(frame);
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Queues an event, or marks the client as one that does not collect them.
    pub(crate) fn push_event(&self, bytes: Vec<u8>) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        if state.events >= MAX_EVENTS {
            state.overflowed = true;
        } else {
            state.events += 1;
            state.bytes += bytes.len();
            state.queue.push_back(Outgoing { bytes, fds: Vec::new(), event: true });
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Takes all that waits, for writing.
    pub(super) fn take(&self, into: &mut VecDeque<Outgoing>) {
        let mut state = self.state();
        into.append(&mut state.queue);
    }

    /// Something taken has been written.
    pub(super) fn written(&self, frame: &Outgoing) {
        let mut state = self.state();
        let before = state.bytes;
        state.bytes -= frame.bytes.len();
        state.events -= usize::from(frame.event);
        if before >= HIGH_WATER && state.bytes < HIGH_WATER {
            drop(state);
            self.emptied.notify_waiters();
        }
    }

    /// Whether so much waits that nothing more should be asked for.
    pub(super) fn is_high(&self) -> bool {
        self.state().bytes >= HIGH_WATER
    }

    /// Whether events were lost because the client does not read.
    pub(super) fn overflowed(&self) -> bool {
        self.state().overflowed
    }

    /// Resolves when something was queued since the last time.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
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
        state.queue.clear();
        drop(state);
        self.emptied.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn events_beyond_the_limit_mark_the_client() {
        let outbox = Outbox::default();
        for _ in 0..MAX_EVENTS {
            outbox.push_event(vec![0; 4]);
        }
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

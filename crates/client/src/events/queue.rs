// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What waits for one reader of events. Bounded: a slow reader learns how many it has missed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use virtus_api::Event;

use super::Notice;

/// Notices of any event, for one reader.
pub(crate) struct Queue(Mutex<State>);

struct State {
    capacity: usize,
    notices: VecDeque<Notice<Arc<Event>>>,
    reader: Option<Waker>,
    /// Whether it is too early to say that the connection is open again.
    reconnecting: bool,
    ended: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            capacity,
            notices: VecDeque::new(),
            reader: None,
            reconnecting: false,
            ended: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it, and wakes the reader.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let reader = {
            let mut state = self.state();
            change(&mut state);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Puts a notice behind the others; without room it is counted as missed at this place.
    pub(super) fn push(&self, notice: Notice<Arc<Event>>) {
        self.change(|state| {
            let missed = if let Notice::Missed(count) = notice { count } else { 1 };
            if state.notices.len() < state.capacity {
                state.notices.push_back(notice);
            } else if let Some(Notice::Missed(count)) = state.notices.back_mut() {
                *count += missed;
            } else {
                state.notices.push_back(Notice::Missed(missed));
            }
        });
    }

    /// Holds back [`Notice::Reconnected`] and what follows it, or lets the reader hear it.
    pub(super) fn set_reconnecting(&self, reconnecting: bool) {
        self.change(|state| state.reconnecting = reconnecting);
    }

    /// Nothing follows but this last notice, for which there is always room.
    pub(super) fn end(&self, last: Option<Notice<Arc<Event>>>) {
        self.change(|state| {
            state.notices.extend(last);
            (state.reconnecting, state.ended) = (false, true);
        });
    }

    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Notice<Arc<Event>>>> {
        let mut state = self.state();
        let reconnecting = state.reconnecting;
        match state
            .notices
            .pop_front_if(|next| !(reconnecting && matches!(next, Notice::Reconnected)))
        {
            Some(notice) => Poll::Ready(Some(notice)),
            None if state.ended => Poll::Ready(None),
            None => {
                state.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

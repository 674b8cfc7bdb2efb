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
    ended: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        let notices = VecDeque::new();
        Arc::new(Self(Mutex::new(State { capacity, notices, reader: None, ended: false })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a notice behind the others; without room it is counted as missed at this place.
    pub(super) fn push(&self, notice: Notice<Arc<Event>>) {
        let reader = {
            let mut state = self.state();
            if state.notices.len() < state.capacity {
                state.notices.push_back(notice);
            } else if let Some(Notice::Missed(count)) = state.notices.back_mut() {
                *count += 1;
            } else {
                state.notices.push_back(Notice::Missed(1));
            }
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Nothing follows.
    pub(super) fn end(&self) {
        let reader = {
            let mut state = self.state();
            state.ended = true;
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Notice<Arc<Event>>>> {
        let mut state = self.state();
        match state.notices.pop_front() {
            Some(notice) => Poll::Ready(Some(notice)),
            None if state.ended => Poll::Ready(None),
            None => {
                state.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

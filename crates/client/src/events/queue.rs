// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What waits for one reader of events. Bounded: a slow reader learns how many it has missed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use virtus_api::{Error, Event};

use super::Notice;

/// Notices of any event, for one reader.
pub(crate) struct Queue(Mutex<State>);

struct State {
    capacity: usize,
    notices: VecDeque<Notice<Arc<Event>>>,
    reader: Option<Waker>,
    /// While topics are registered again: what follows if all goes well.
    held: Option<VecDeque<Notice<Arc<Event>>>>,
    ended: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            capacity,
            notices: VecDeque::new(),
            reader: None,
            held: None,
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
        self.change(|state| state.push(notice));
    }

    /// The connection is open again; whether it stays is not known before [`Queue::release`].
    pub(super) fn hold(&self) {
        self.change(|state| state.held = Some(VecDeque::from([Notice::Reconnected])));
    }

    /// Lets the reader hear what was held back.
    pub(super) fn release(&self) {
        self.change(State::release);
    }

    /// The connection is lost. While things are held back the reader believes so anyway.
    pub(super) fn lost(&self, reason: &Error) {
        self.change(|state| {
            if state.held.take().is_none() {
                state.push(Notice::Lost(reason.clone()));
            }
        });
    }

    /// Nothing follows but this last notice, for which there is always room.
    pub(super) fn end(&self, last: Option<Notice<Arc<Event>>>) {
        self.change(|state| {
            state.release();
            state.notices.extend(last);
            state.ended = true;
        });
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

impl State {
    fn push(&mut self, notice: Notice<Arc<Event>>) {
        let missed = if let Notice::Missed(count) = notice { count } else { 1 };
        let notices = self.held.as_mut().unwrap_or(&mut self.notices);
        if notices.len() < self.capacity {
            notices.push_back(notice);
        } else if let Some(Notice::Missed(count)) = notices.back_mut() {
            *count += missed;
        } else {
            notices.push_back(Notice::Missed(missed));
        }
    }

    fn release(&mut self) {
        for notice in self.held.take().into_iter().flatten() {
            self.push(notice);
        }
    }
}

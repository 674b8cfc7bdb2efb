// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Events as streams.

pub(crate) mod hub;
pub(crate) mod queue;
pub(crate) mod topic;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use virtus_api::{Error, Event};

use crate::link::Link;
use queue::Queue;

/// What a reader of events is told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Notice<E> {
    /// An event.
    Event(E),
    /// So many notices were dropped at this place, because the reader was slow: look at the state of
    /// what matters again.
    Missed(u64),
    /// The connection is lost. Without [`Options::reconnect`](crate::Options::reconnect) nothing
    /// follows.
    Lost(Error),
    /// The connection is open again and events go on. What happened since it was lost is not known:
    /// look at the state of what matters again.
    Reconnected,
    /// The connection is open again, but something that was listened to could not be registered again:
    /// the domain may be gone, or the daemon that knows it down. Nothing follows: whoever wants to hear
    /// more asks for new [`Events`].
    Refused(Error),
}

impl<E> Notice<E> {
    /// The event, if it is one.
    pub fn event(self) -> Option<E> {
        match self {
            Self::Event(event) => Some(event),
            _ => None,
        }
    }
}

/// Events as they happen: a [`Stream`] of [`Notice`]s in the order of the daemon. It ends with the
/// connection, or with [`Notice::Refused`]. Dropping it ends the registration.
#[must_use = "events that nobody reads are missed"]
pub struct Events<E> {
    queue: Arc<Queue>,
    link: Arc<Link>,
    convert: fn(&Event) -> Option<E>,
}

impl<E: TryFrom<Event>> Events<E> {
    pub(crate) fn new(queue: Arc<Queue>, link: Arc<Link>) -> Self {
        Self { queue, link, convert: |event| event.clone().try_into().ok() }
    }
}

impl<E> Events<E> {
    /// The next notice; `None` once the connection is over.
    pub async fn next(&mut self) -> Option<Notice<E>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl<E> Stream for Events<E> {
    type Item = Notice<E>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Notice<E>>> {
        loop {
            let Some(notice) = std::task::ready!(self.queue.poll(context)) else {
                return Poll::Ready(None);
            };
            let notice = match notice {
                Notice::Event(event) => match (self.convert)(&event) {
                    Some(event) => Notice::Event(event),
                    // It was registered for nothing else.
                    None => continue,
                },
                Notice::Missed(count) => Notice::Missed(count),
                Notice::Lost(error) => Notice::Lost(error),
                Notice::Reconnected => Notice::Reconnected,
                Notice::Refused(error) => Notice::Refused(error),
            };
            return Poll::Ready(Some(notice));
        }
    }
}

impl<E> Drop for Events<E> {
    fn drop(&mut self) {
        self.link.hub().leave(&self.queue);
    }
}

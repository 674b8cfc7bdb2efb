// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who reads what: topics, their callback ids, and the queues of their readers.
//!
//! The keeper of the connection makes the calls, one at a time; here is what it and the readers share.
//! An event may come before the reply that tells its callback id, so while a registration is under way
//! strangers' events are parked: they are its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use virtus_api::{Error, Event, Family};
use virtus_core::events::{Delivery, EventSink};

use super::Notice;
use super::queue::Queue;
use super::topic::Topic;

/// Events that may wait for the reply to a registration.
const PARKED: usize = 1024;

pub(crate) struct Hub {
    board: Mutex<Board>,
    left: Notify,
    capacity: usize,
}

#[derive(Default)]
struct Board {
    readers: HashMap<Topic, Vec<Arc<Queue>>>,
    /// Registered topics by what their events carry.
    routes: HashMap<(Family, Option<i32>), Topic>,
    /// While a registration is under way, the events of strangers.
    parked: Option<Parked>,
}

#[derive(Default)]
struct Parked {
    deliveries: Vec<Delivery>,
    /// How many more there were.
    missed: u64,
}

impl Hub {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { board: Mutex::default(), left: Notify::new(), capacity })
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A queue for a new reader.
    pub(crate) fn queue(&self) -> Arc<Queue> {
        Queue::new(self.capacity)
    }

    /// Adds a reader of a topic that is registered already; `false` if it is not.
    pub(crate) fn join(&self, topic: &Topic, queue: &Arc<Queue>) -> bool {
        let mut board = self.board();
        let readers = board.readers.get_mut(topic);
        readers.map(|readers| readers.push(queue.clone())).is_some()
    }

    /// A reader is gone: it hears nothing more, and [`Hub::left`] resolves.
    pub(crate) fn leave(&self, queue: &Arc<Queue>) {
        self.board().forget(queue);
        self.left.notify_one();
    }

    /// Resolves after a reader has left.
    pub(crate) async fn left(&self) {
        self.left.notified().await;
    }

    /// A registration is about to be made.
    pub(crate) fn begin(&self) {
        self.board().parked = Some(Parked::default());
    }

    /// A topic is registered under this callback id and has a first reader, or, after a reconnect,
    /// those that it had. They hear what was parked.
    pub(crate) fn registered(
        &self,
        topic: Topic,
        callback: Option<i32>,
        first: Option<&Arc<Queue>>,
    ) {
        let mut board = self.board();
        let parked = board.parked.take().unwrap_or_default();
        board.readers.entry(topic.clone()).or_default().extend(first.cloned());
        board.routes.insert((topic.family, callback), topic.clone());
        for delivery in parked.deliveries {
            board.pass_on(&delivery);
        }
        if parked.missed > 0 {
            board.tell(&topic, &Notice::Missed(parked.missed));
        }
    }

    /// A registration has failed: there are no strangers any more.
    pub(crate) fn failed(&self) {
        self.board().parked = None;
    }

    /// A topic was not registered again after a reconnect: its readers come to their end.
    pub(crate) fn refused(&self, topic: &Topic, error: &Error) {
        let mut board = self.board();
        for queue in board.readers.remove(topic).unwrap_or_default() {
            board.forget(&queue);
            queue.end(Some(Notice::Refused(error.clone())));
        }
        self.left.notify_one();
    }

    /// Takes the topics that nobody reads any more, with their callback ids.
    pub(crate) fn unread(&self) -> Vec<(Topic, Option<i32>)> {
        let mut board = self.board();
        let Board { readers, routes, .. } = &mut *board;
        readers.retain(|_, readers| !readers.is_empty());
        let unread = routes.extract_if(|_, topic| !readers.contains_key(topic));
        unread.map(|((_, callback), topic)| (topic, callback)).collect()
    }

    /// All topics that somebody reads.
    pub(crate) fn topics(&self) -> Vec<Topic> {
        self.board().readers.keys().cloned().collect()
    }

    /// The connection is lost: its callback ids mean nothing now.
    pub(crate) fn lost(&self, reason: &Error) {
        let mut board = self.board();
        board.routes.clear();
        for queue in board.queues() {
            queue.lost(reason);
        }
    }

    /// The connection is open again: registrations follow, and events with the first of them. Readers
    /// hear of all that once everything is registered.
    pub(crate) fn reconnecting(&self) {
        for queue in self.board().queues() {
            queue.hold();
        }
    }

    /// Everything is registered again.
    pub(crate) fn reconnected(&self) {
        for queue in self.board().queues() {
            queue.release();
        }
    }

    /// The connection is over: every reader comes to its end.
    pub(crate) fn end(&self) {
        for queue in self.board().queues() {
            queue.end(None);
        }
    }
}

impl Board {
    /// Tells this reader nothing more.
    fn forget(&mut self, queue: &Arc<Queue>) {
        for readers in self.readers.values_mut() {
            readers.retain(|reader| !Arc::ptr_eq(reader, queue));
        }
    }

    /// Every reader once, however many topics it reads.
    fn queues(&self) -> Vec<Arc<Queue>> {
        let mut queues: Vec<&Arc<Queue>> = self.readers.values().flatten().collect();
        queues.sort_by_key(|queue| Arc::as_ptr(queue));
        queues.dedup_by_key(|queue| Arc::as_ptr(queue));
        queues.into_iter().cloned().collect()
    }

    /// Tells all who read the topic.
    fn tell(&self, topic: &Topic, notice: &Notice<Arc<Event>>) {
        for queue in self.readers.get(topic).into_iter().flatten() {
            queue.push(notice.clone());
        }
    }

    fn pass_on(&self, delivery: &Delivery) {
        if let Some(topic) = self.routes.get(&key(delivery)) {
            self.tell(topic, &Notice::Event(delivery.event.clone()));
        }
    }
}

/// What the topic of an event is found by.
fn key(delivery: &Delivery) -> (Family, Option<i32>) {
    (delivery.event.family(), delivery.callback)
}

impl EventSink for Hub {
    fn deliver(&self, delivery: Delivery) {
        let mut board = self.board();
        let Board { routes, parked, .. } = &mut *board;
        match parked {
            Some(parked) if !routes.contains_key(&key(&delivery)) => {
                if parked.deliveries.len() < PARKED {
                    parked.deliveries.push(delivery);
                } else {
                    parked.missed += 1;
                }
            }
            _ => board.pass_on(&delivery),
        }
    }
}

#[cfg(test)]
mod tests;

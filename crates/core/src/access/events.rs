// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Events, as far as a client may know of the objects that they speak of.
//!
//! A task of the session's own asks about one event after the other, so that their order stays; whoever emits them
//! does not wait. An authority that thinks for long makes them pile up, to a bound: then the latest are lost.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::warn;
use virtus_api::{CallId, Event, Family, NodeDeviceRef, Permission, Subject};

use super::Details;
use super::guard::Guard;
use crate::events::{Delivery, EventSink};

/// Events of one session that wait to be decided upon.
const WAITING: usize = 1024;

/// Takes the events of a session, and hands on those that its client may know of.
struct Sieve(mpsc::Sender<Delivery>);

impl EventSink for Sieve {
    fn deliver(&self, delivery: Delivery) {
        if self.0.try_send(delivery).is_err() {
            warn!("an event is lost: {WAITING} others wait to be decided upon");
        }
    }
}

impl Guard {
    /// A sink before `sink`. Must be called within a runtime.
    pub(crate) fn sieve_events(self: &Arc<Self>, sink: Arc<dyn EventSink>) -> Arc<dyn EventSink> {
        let (waiting, mut next) = mpsc::channel::<Delivery>(WAITING);
        let guard = self.clone();
        // Ends with the session, which holds the other end.
        tokio::spawn(async move {
            while let Some(delivery) = next.recv().await {
                if guard.may_hear(&delivery.event).await {
                    delivery.hand_on(&*sink);
                }
            }
        });
        Arc::new(Sieve(waiting))
    }

    async fn may_hear(&self, event: &Event) -> bool {
        let Some(permission) = taken_by(event.family()) else { return true };
        let details = Details::of(self.driver, subject(event));
        // Why it cannot be told stands in the log already.
        self.allows(permission, details).await.unwrap_or_default()
    }
}

/// What it takes to hear of an object: what the table says of the calls that ask for events of the family.
fn taken_by(family: Family) -> Option<Permission> {
    CallId::ALL.iter().map(|call| call.meta()).find_map(|meta| {
        meta.registers.filter(|registers| registers.adds && registers.family == family)?;
        meta.filter.first().copied()
    })
}

/// What an event speaks of.
fn subject(event: &Event) -> Subject<'_> {
    match event {
        Event::Connection(_) => Subject::Connection,
        Event::Domain(event) => Subject::Domain(event.dom()),
        Event::Qemu(event) => Subject::Domain(event.dom()),
        Event::Network(event) => Subject::Network(event.net()),
        Event::StoragePool(event) => Subject::StoragePool(event.pool()),
        Event::Secret(event) => Subject::Secret(event.secret()),
        Event::NodeDevice(event) => {
            let NodeDeviceRef { name } = event.dev();
            Subject::NodeDevice(name)
        }
    }
}

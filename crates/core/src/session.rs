// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One client's open connection, as drivers see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::events::{Delivery, EventSink};
use crate::{Identity, Uri};

/// One client's open connection: who it is, what it may do, and where its events go.
///
/// Lives from `CONNECT_OPEN` until the client closes or is lost; then every [`crate::Responder`]
/// is told, so that what was tied to the session (autodestroy, event registrations) ends with it.
pub struct Session {
    id: u64,
    /// What the transport proved about the client.
    pub identity: Identity,
    /// Whether only calls that change and reveal nothing are allowed.
    pub read_only: bool,
    /// The URI that was opened, after defaults were applied.
    pub uri: Uri,
    events: Arc<dyn EventSink>,
}

impl Session {
    /// A new session with an id of its own.
    #[must_use]
    pub fn new(
        identity: Identity,
        read_only: bool,
        uri: Uri,
        events: Arc<dyn EventSink>,
    ) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { id, identity, read_only, uri, events })
    }

    /// Unique in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Hands an event to the client's queue; never blocks.
    pub(crate) fn deliver(&self, delivery: Delivery) {
        self.events.deliver(delivery);
    }
}

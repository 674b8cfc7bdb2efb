// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One client's open connection, as drivers see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use virtus_api::{AnyRequest, Error, ErrorCode, ErrorDomain, Result};

use crate::access::{Gate, Guard};
use crate::events::{Delivery, EventSink};
use crate::{Credentials, Identity, Keychain, Uri};

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
    guard: Option<Arc<Guard>>,
    /// Who knows passwords, where the client is an application in this process.
    keychain: Option<Box<dyn Keychain>>,
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
        Self::with_keychain(identity, read_only, uri, events, None)
    }

    /// A new session of a client that can be asked for passwords: an application in this process.
    #[must_use]
    pub fn with_keychain(
        identity: Identity,
        read_only: bool,
        uri: Uri,
        events: Arc<dyn EventSink>,
        keychain: Option<Box<dyn Keychain>>,
    ) -> Arc<Self> {
        Arc::new(Self { id: next_id(), identity, read_only, uri, events, guard: None, keychain })
    }

    /// A new session of a client of `driver` that may do what `gate` lets through. Must be called
    /// within a runtime.
    #[must_use]
    pub fn guarded(
        gate: Arc<Gate>,
        driver: &'static str,
        identity: Identity,
        read_only: bool,
        uri: Uri,
        events: Arc<dyn EventSink>,
    ) -> Arc<Self> {
        let guard = Guard::new(gate, &identity, driver);
        let (id, events) = (next_id(), guard.sieve_events(events));
        let guard = Some(guard);
        Arc::new(Self { id, identity, read_only, uri, events, guard, keychain: None })
    }

    /// Refuses a call for which no driver is asked, unless the client has what it takes of the connection.
    ///
    /// # Errors
    /// `VIR_ERR_ACCESS_DENIED`.
    pub async fn permit(&self, request: &AnyRequest) -> Result<()> {
        match &self.guard {
            Some(guard) => guard.permit_connection(request).await,
            None => Ok(()),
        }
    }

    pub(crate) fn guard(&self) -> Option<&Arc<Guard>> {
        self.guard.as_ref()
    }

    /// What the client knows for a service on a host.
    ///
    /// # Errors
    /// `VIR_ERR_INVALID_ARG` if it knows nothing; those of its keychain.
    pub fn credentials(&self, service: &str, host: &str) -> Result<Credentials> {
        let known = match &self.keychain {
            Some(keychain) => keychain.credentials(service, host)?,
            None => None,
        };
        known.ok_or_else(|| {
            Error::new(ErrorCode::InvalidArg, "Missing authentication credentials")
                .in_domain(ErrorDomain::Auth)
        })
    }

    /// Unique in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where its events go, for someone who gets them from elsewhere.
    #[must_use]
    pub fn events(&self) -> Arc<dyn EventSink> {
        self.events.clone()
    }

    /// Hands an event to the client's queue; never blocks.
    pub(crate) fn deliver(&self, delivery: Delivery) {
        self.events.deliver(delivery);
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

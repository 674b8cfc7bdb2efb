// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who hears of what: registrations of sessions for events, and delivery to them.
//!
//! Invariants: events reach each session in the order in which they were emitted, once for each
//! matching registration, and none after its deregistration has returned. Emitting never blocks: a
//! session's transport bounds its own queue and drops a client that does not read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;
use virtus_api::{Error, ErrorCode, ErrorDomain, Event, Family, Result};

use crate::Session;

/// One event on its way to one registration.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The callback id that the client got when it registered; none for registrations of the old
    /// kind, which are told by the event id alone.
    pub callback: Option<i32>,
    /// The event; shared by all that it goes to.
    pub event: Arc<Event>,
    stands: Stands,
}

/// Whether a registration still stands.
#[derive(Debug, Clone)]
struct Stands(Arc<Mutex<bool>>);

impl Default for Stands {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(true)))
    }
}

impl Stands {
    fn now(&self) -> MutexGuard<'_, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivery {
    /// An event for a registration that somebody else keeps.
    #[must_use]
    pub fn new(callback: Option<i32>, event: Arc<Event>) -> Self {
        Self { callback, event, stands: Stands::default() }
    }

    /// Hands it to `sink` some time after it was emitted, unless its registration has ended meanwhile.
    pub(crate) fn hand_on(self, sink: &dyn EventSink) {
        let stands = self.stands.clone();
        // Held while it goes: whoever deregisters is answered after it.
        let now = stands.now();
        if *now {
            sink.deliver(self);
        }
    }
}

/// Where a transport takes a session's events. Called with a lock held: must not block or call back.
pub trait EventSink: Send + Sync {
    /// Queues the event for the client, or drops it if the client is being cut off.
    fn deliver(&self, delivery: Delivery);
}

/// A sink for sessions that never register (in-process callers).
pub struct NoEvents;

impl EventSink for NoEvents {
    fn deliver(&self, _: Delivery) {}
}

/// The object that a registration is narrowed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Domains, networks, pools and secrets.
    Uuid(Uuid),
    /// Node devices.
    Name(String),
}

impl Key {
    /// The object that an event speaks of.
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Connection(_) => None,
            Event::Domain(event) => Some(Self::Uuid(event.dom().uuid)),
            Event::Qemu(event) => Some(Self::Uuid(event.dom().uuid)),
            Event::Network(event) => Some(Self::Uuid(event.net().uuid)),
            Event::StoragePool(event) => Some(Self::Uuid(event.pool().uuid)),
            Event::Secret(event) => Some(Self::Uuid(event.secret().uuid)),
            Event::NodeDevice(event) => Some(Self::Name(event.dev().name.clone())),
        }
    }
}

type Filter = Box<dyn Fn(&Event) -> bool + Send + Sync>;

/// What a registration asks for.
pub struct Interest {
    family: Family,
    id: i32,
    key: Option<Key>,
    matches: Option<Filter>,
}

impl Interest {
    /// Events `id` of `family`, of the object `key` or of all.
    #[must_use]
    pub fn new(family: Family, id: i32, key: Option<Key>) -> Self {
        Self { family, id, key, matches: None }
    }

    /// Only those that `matches` accepts (patterns of QEMU monitor events).
    #[must_use]
    pub fn only(mut self, matches: impl Fn(&Event) -> bool + Send + Sync + 'static) -> Self {
        self.matches = Some(Box::new(matches));
        self
    }

    fn same(&self, other: &Self) -> bool {
        let plain = self.matches.is_none() && other.matches.is_none();
        plain && self.family == other.family && self.id == other.id && self.key == other.key
    }

    fn accepts(&self, event: &Event, key: Option<&Key>) -> bool {
        self.family == event.family()
            && self.id == event.id()
            && (self.key.is_none() || self.key.as_ref() == key)
            && self.matches.as_ref().is_none_or(|matches| matches(event))
    }
}

struct Registration {
    callback: Option<i32>,
    session: Arc<Session>,
    interest: Interest,
    stands: Stands,
}

impl Registration {
    fn delivery(&self, event: &Arc<Event>) -> Delivery {
        let (callback, event, stands) = (self.callback, event.clone(), self.stands.clone());
        Delivery { callback, event, stands }
    }
}

/// Registrations with a filter of their own that a session may have: each holds a compiled pattern, and sees every event.
const MAX_FILTERS: usize = 64;

/// The registrations of one driver.
#[derive(Default)]
pub struct Hub(Mutex<Registry>);

#[derive(Default)]
struct Registry {
    next_callback: i32,
    registrations: Vec<Registration>,
}

impl Hub {
    /// A hub without registrations.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a session; answers the callback id, unique in this driver.
    ///
    /// # Errors
    /// `VIR_ERR_INVALID_ARG` if the session has the same registration already, `VIR_ERR_OPERATION_FAILED` if it has too many
    /// with a filter.
    pub fn register(&self, session: &Arc<Session>, interest: Interest) -> Result<i32> {
        let mut registry = self.registry();
        registry.refuse_twice(session, &interest, false)?;
        registry.refuse_many(session, &interest)?;
        let callback = registry.next_callback;
        registry.next_callback = callback.wrapping_add(1).max(0);
        registry.add(session, interest, Some(callback));
        Ok(callback)
    }

    /// Registers a session that knows no callback ids.
    ///
    /// # Errors
    /// As [`Hub::register`].
    pub fn register_legacy(&self, session: &Arc<Session>, family: Family, id: i32) -> Result<()> {
        let interest = Interest::new(family, id, None);
        let mut registry = self.registry();
        registry.refuse_twice(session, &interest, true)?;
        registry.add(session, interest, None);
        Ok(())
    }

    /// Ends a registration of this session and family.
    ///
    /// # Errors
    /// `VIR_ERR_INVALID_ARG` if the session has no such callback.
    pub fn deregister(&self, session: &Session, family: Family, callback: i32) -> Result<()> {
        self.registry()
            .remove(session, |r| r.callback == Some(callback) && r.interest.family == family)
    }

    /// Ends a registration of the old kind.
    ///
    /// # Errors
    /// `VIR_ERR_INVALID_ARG` if the session has none for this event.
    pub fn deregister_legacy(&self, session: &Session, family: Family, id: i32) -> Result<()> {
        self.registry().remove(session, |r| {
            r.callback.is_none() && r.interest.family == family && r.interest.id == id
        })
    }

    /// Ends all registrations of a session.
    pub fn session_closed(&self, session: &Session) {
        self.registry().registrations.retain(|r| r.session.id() != session.id());
    }

    /// Sends an event to everyone who registered for it.
    pub fn emit(&self, event: impl Into<Event>) {
        let registry = self.registry();
        if registry.registrations.is_empty() {
            return;
        }
        let event = Arc::new(event.into());
        let key = Key::of(&event);
        for registration in &registry.registrations {
            if registration.interest.accepts(&event, key.as_ref()) {
                registration.session.deliver(registration.delivery(&event));
            }
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    fn refuse_twice(&self, session: &Session, interest: &Interest, legacy: bool) -> Result<()> {
        let known = self.registrations.iter().any(|r| {
            r.session.id() == session.id()
                && r.callback.is_none() == legacy
                && r.interest.same(interest)
        });
        if known { Err(invalid("event callback already tracked")) } else { Ok(()) }
    }

    fn refuse_many(&self, session: &Session, interest: &Interest) -> Result<()> {
        let filters =
            |r: &&Registration| r.session.id() == session.id() && r.interest.matches.is_some();
        if interest.matches.is_none()
            || self.registrations.iter().filter(filters).count() < MAX_FILTERS
        {
            return Ok(());
        }
        let text = format!("the client has registered {MAX_FILTERS} patterns for events");
        Err(Error::new(ErrorCode::OperationFailed, text)
            .in_domain(ErrorDomain::Event)
            .hint("deregister one, or join several in one regular expression"))
    }

    fn add(&mut self, session: &Arc<Session>, interest: Interest, callback: Option<i32>) {
        let (session, stands) = (session.clone(), Stands::default());
        self.registrations.push(Registration { callback, session, interest, stands });
    }

    fn remove(&mut self, session: &Session, which: impl Fn(&Registration) -> bool) -> Result<()> {
        let found = self
            .registrations
            .iter()
            .position(|r| r.session.id() == session.id() && which(r))
            .ok_or_else(|| invalid("could not find event callback for deletion"))?;
        let ended = self.registrations.remove(found);
        *ended.stands.now() = false;
        Ok(())
    }
}

fn invalid(text: &'static str) -> Error {
    Error::new(ErrorCode::InvalidArg, text).in_domain(ErrorDomain::Event)
}

#[cfg(test)]
mod tests {
    use virtus_api::{DomainEventLifecycle, DomainEventReboot, DomainRef, EventMessage};

    use super::*;
    use crate::{Identity, Uri};

    #[derive(Default)]
    struct Seen(Mutex<Vec<(Option<i32>, i32)>>);

    impl EventSink for Seen {
        fn deliver(&self, delivery: Delivery) {
            self.0.lock().unwrap().push((delivery.callback, delivery.event.id()));
        }
    }

    fn session() -> (Arc<Seen>, Arc<Session>) {
        let seen = Arc::new(Seen::default());
        let session = Session::new(Identity::default(), false, Uri::default(), seen.clone());
        (seen, session)
    }

    fn domain(n: u128) -> DomainRef {
        DomainRef { name: "vm".into(), uuid: Uuid::from_u128(n), id: -1 }
    }

    fn lifecycle(n: u128) -> DomainEventLifecycle {
        DomainEventLifecycle { dom: domain(n), event: 2, detail: 0 }
    }

    const LIFECYCLE: i32 = DomainEventLifecycle::ID;

    #[test]
    fn each_registration_hears_its_own_events_once() {
        let hub = Hub::new();
        let (seen, session) = session();
        let one = Interest::new(Family::Domain, LIFECYCLE, Some(Key::Uuid(Uuid::from_u128(1))));
        let of_one = hub.register(&session, one).unwrap();
        let of_all =
            hub.register(&session, Interest::new(Family::Domain, LIFECYCLE, None)).unwrap();
        hub.register_legacy(&session, Family::Domain, LIFECYCLE).unwrap();
        hub.emit(lifecycle(1));
        hub.emit(lifecycle(2));
        hub.emit(DomainEventReboot { dom: domain(1) });
        let (one, all) = (Some(of_one), Some(of_all));
        assert_eq!(*seen.0.lock().unwrap(), [(one, 0), (all, 0), (None, 0), (all, 0), (None, 0)]);
    }

    #[test]
    fn twice_the_same_is_refused_and_strangers_cannot_deregister() {
        let hub = Hub::new();
        let (_, mine) = session();
        let (_, other) = session();
        let interest = || Interest::new(Family::Domain, LIFECYCLE, None);
        let id = hub.register(&mine, interest()).unwrap();
        assert_eq!(hub.register(&mine, interest()).unwrap_err().code(), ErrorCode::InvalidArg);
        hub.register(&other, interest()).unwrap();
        hub.deregister(&other, Family::Domain, id).unwrap_err();
        hub.deregister(&mine, Family::Domain, id).unwrap();
    }

    #[test]
    fn patterns_are_counted_for_each_session() {
        let hub = Hub::new();
        let (_, mine) = session();
        let (_, other) = session();
        let pattern = || Interest::new(Family::Domain, LIFECYCLE, None).only(|_| true);
        let ids = [(); MAX_FILTERS].map(|()| hub.register(&mine, pattern()).unwrap());
        let refusal = hub.register(&mine, pattern()).unwrap_err();
        assert_eq!(refusal.code(), ErrorCode::OperationFailed);
        hub.register(&other, pattern()).unwrap();
        hub.register(&mine, Interest::new(Family::Domain, LIFECYCLE, None)).unwrap();
        hub.deregister(&mine, Family::Domain, ids[0]).unwrap();
        hub.register(&mine, pattern()).unwrap();
    }

    #[test]
    fn a_closed_session_hears_nothing() {
        let hub = Hub::new();
        let (seen, session) = session();
        hub.register(&session, Interest::new(Family::Domain, LIFECYCLE, None)).unwrap();
        hub.session_closed(&session);
        hub.emit(lifecycle(1));
        assert!(seen.0.lock().unwrap().is_empty());
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A gate before a driver of three guests, with rules of the test's own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;
use virtus_api::{
    ConnectListAllDomains, ConnectListAllDomainsReply, ConnectListDomains, ConnectNumOfDomains,
    DomainDefineXmlFlags, DomainDestroy, DomainEventLifecycle, DomainLookupByName,
    DomainLookupByUuid, DomainRef, DomainRestore, DomainSetMemoryFlags, Error, ErrorCode,
    EventMessage, Family, Request, Result,
};

use super::{Authority, Gate, Question};
use crate::events::{Delivery, EventSink, Hub, Interest, NoEvents};
use crate::routes::BoxFuture;
use crate::{Call, Connection, Identity, Routes, Service, Session, Uri};

/// `allows` decides; `thinks` lets it wait first.
#[derive(Clone)]
struct Rules {
    allows: fn(&str, &str) -> bool,
    thinks: Option<Arc<Notify>>,
    asked: Arc<Mutex<Vec<String>>>,
}

fn shown(question: &Question) -> String {
    let details: Vec<_> = question.details.iter().skip(1).map(|(_, value)| value).collect();
    format!("{} {}", question.permission.name, details.join(" ")).trim().to_owned()
}

impl Authority for Rules {
    fn allows(&self, _: &Identity, question: &Question) -> BoxFuture<Result<bool>> {
        let name = question.details.iter().find(|(name, _)| *name == "domain_name");
        let allowed = (self.allows)(question.permission.name, name.map_or("", |(_, name)| name));
        self.asked.lock().unwrap().push(shown(question));
        let thinks = self.thinks.clone();
        Box::pin(async move {
            if let Some(thinks) = thinks {
                thinks.notified().await;
            }
            Ok(allowed)
        })
    }
}

/// What reached the driver.
#[derive(Default)]
struct Guests(Mutex<Vec<String>>);

fn guest(name: &str) -> DomainRef {
    DomainRef { name: name.to_owned(), uuid: Uuid::from_u128(name.as_bytes()[0].into()), id: 1 }
}

fn all() -> Vec<DomainRef> {
    ["a", "b", "c"].map(guest).into()
}

fn find(is: impl Fn(&DomainRef) -> bool) -> Result<DomainRef> {
    all().into_iter().find(is).ok_or_else(|| Error::new(ErrorCode::NoDomain, "no domain"))
}

async fn by_uuid(_: Arc<Guests>, _: Call, request: DomainLookupByUuid) -> Result<DomainRef> {
    find(|known| known.uuid == request.uuid)
}

async fn by_name(_: Arc<Guests>, _: Call, request: DomainLookupByName) -> Result<DomainRef> {
    find(|known| known.name == request.name)
}

async fn list(
    _: Arc<Guests>,
    _: Call,
    request: ConnectListAllDomains,
) -> Result<ConnectListAllDomainsReply> {
    let domains = if request.need_results == 0 { Vec::new() } else { all() };
    Ok(ConnectListAllDomainsReply { domains, ret: 3 })
}

async fn destroy(guests: Arc<Guests>, _: Call, request: DomainDestroy) -> Result<()> {
    guests.0.lock().unwrap().push(request.dom.uuid.to_string());
    Ok(())
}

async fn define(guests: Arc<Guests>, _: Call, request: DomainDefineXmlFlags) -> Result<DomainRef> {
    guests.0.lock().unwrap().push(request.xml);
    Ok(guest("new"))
}

async fn restore(_: Arc<Guests>, _: Call, _: DomainRestore) -> Result<()> {
    Ok(())
}

async fn set_memory(_: Arc<Guests>, _: Call, _: DomainSetMemoryFlags) -> Result<()> {
    Ok(())
}

struct House {
    connection: Connection,
    guests: Arc<Guests>,
    rules: Rules,
}

impl House {
    fn new(allows: fn(&str, &str) -> bool) -> Self {
        Self::hearing(allows, None, Arc::new(NoEvents))
    }

    fn hearing(
        allows: fn(&str, &str) -> bool,
        thinks: Option<Arc<Notify>>,
        sink: Arc<dyn EventSink>,
    ) -> Self {
        let rules = Rules { allows, thinks, asked: Arc::default() };
        let guests = Arc::new(Guests::default());
        let routes = Routes::new()
            .on(by_uuid)
            .on(by_name)
            .on(list)
            .on(destroy)
            .on(define)
            .on(restore)
            .on(set_memory);
        let service = Service::new(guests.clone(), routes, |_, _| {});
        let (gate, who) = (Gate::new(rules.clone()), Identity::default());
        let session = Session::guarded(gate, "Fake", who, false, Uri::default(), sink);
        Self { connection: Connection::new(session, vec![service]), guests, rules }
    }

    async fn refused<R: Request>(&self, request: R) -> ErrorCode {
        self.connection.call(request).await.unwrap_err().code()
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.rules.asked.lock().unwrap())
    }

    fn reached(&self) -> Vec<String> {
        std::mem::take(&mut self.guests.0.lock().unwrap())
    }
}

#[tokio::test]
async fn the_driver_says_what_an_object_is_called() {
    let house = House::new(|_, name| name == "a");
    let lie = DomainRef { name: "a".into(), ..guest("b") };
    assert_eq!(house.refused(DomainDestroy { dom: lie }).await, ErrorCode::AccessDenied);
    assert!(house.reached().is_empty());
    let uuid = guest("b").uuid;
    assert_eq!(house.asked(), [format!("stop b {uuid}")]);
    let unknown = DomainDestroy { dom: guest("x") };
    assert_eq!(house.refused(unknown).await, ErrorCode::NoDomain);
    house.connection.call(DomainDestroy { dom: guest("a") }).await.unwrap();
    assert_eq!(house.reached(), [guest("a").uuid.to_string()]);
    house.connection.call(DomainDestroy { dom: guest("a") }).await.unwrap();
    assert_eq!(house.asked().len(), 1, "it was decided a moment ago");
}

#[tokio::test]
async fn lookups_are_judged_by_what_they_find() {
    let house = House::new(|_, name| name == "a");
    let lookup = |name: &str| DomainLookupByName { name: name.to_owned() };
    house.connection.call(lookup("a")).await.unwrap();
    let error = house.connection.call(lookup("b")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::AccessDenied);
    assert_eq!(error.text(), "'Fake' denied access");
    assert_eq!(house.refused(lookup("x")).await, ErrorCode::NoDomain);
}

#[tokio::test]
async fn lists_and_numbers_show_what_may_be_seen() {
    let house = House::new(|permission, name| permission == "search_domains" || name != "a");
    let list = |need_results| ConnectListAllDomains { need_results, flags: 0 };
    let reply = house.connection.call(list(1)).await.unwrap();
    assert_eq!((reply.domains, reply.ret), (vec![guest("b"), guest("c")], 2));
    let reply = house.connection.call(list(0)).await.unwrap();
    assert_eq!((reply.domains, reply.ret), (Vec::new(), 2));
    assert_eq!(house.connection.call(ConnectNumOfDomains {}).await.unwrap(), 2);
    let ids = house.connection.call(ConnectListDomains { maxids: 1 }).await.unwrap();
    assert_eq!(ids, [1], "the bound counts what may be seen");
    let nothing = House::new(|permission, _| permission != "search_domains");
    assert_eq!(nothing.refused(list(1)).await, ErrorCode::AccessDenied);
    assert_eq!(nothing.asked(), ["search_domains"], "nothing else is asked");
}

#[tokio::test]
async fn a_document_tells_the_name_and_nothing_else_of_it_is_read() {
    let house = House::new(|_, name| name == "mine");
    let define = |name: &str| DomainDefineXmlFlags {
        xml: format!("<domain><name>{name}</name><nonsense/></domain>"),
        flags: 0,
    };
    assert_eq!(house.refused(define("yours")).await, ErrorCode::AccessDenied);
    let twice = define("mine</name><name>yours");
    house.connection.call(twice).await.unwrap();
    assert_eq!(house.reached().len(), 1);
    assert_eq!(house.asked(), ["write yours", "write mine", "save mine"]);
    let deep = DomainDefineXmlFlags { xml: "<a>".repeat(1_000_000), flags: 0 };
    assert_eq!(house.refused(deep).await, ErrorCode::XmlDetail);
    assert!(house.asked().is_empty());
}

#[tokio::test]
async fn what_nothing_names_takes_the_permission_for_all() {
    let house = House::new(|_, name| name == "a");
    let file = DomainRestore { from: "/tmp/a".into() };
    assert_eq!(house.refused(file).await, ErrorCode::AccessDenied);
    assert_eq!(house.asked(), ["start"]);
}

#[tokio::test]
async fn conditions_on_flags_count() {
    let house = House::new(|permission, _| permission != "save");
    let set = |flags| DomainSetMemoryFlags { dom: guest("a"), memory: 1, flags };
    house.connection.call(set(1)).await.unwrap();
    assert_eq!(house.refused(set(0)).await, ErrorCode::AccessDenied);
    assert_eq!(house.refused(set(3)).await, ErrorCode::AccessDenied);
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_does_not_answer_has_refused() {
    let house = House::hearing(|_, _| true, Some(Arc::new(Notify::new())), Arc::new(NoEvents));
    let start = tokio::time::Instant::now();
    let destroy = DomainDestroy { dom: guest("a") };
    assert_eq!(house.refused(destroy).await, ErrorCode::AccessDenied);
    assert_eq!(start.elapsed(), super::LIMIT);
    let list = ConnectListAllDomains { need_results: 1, flags: 0 };
    assert_eq!(house.refused(list).await, ErrorCode::AccessDenied);
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl EventSink for Heard {
    fn deliver(&self, delivery: Delivery) {
        let virtus_api::Event::Domain(event) = &*delivery.event else { return };
        self.0.lock().unwrap().push(event.dom().name.clone());
    }
}

#[tokio::test(start_paused = true)]
async fn events_are_sieved_in_order_and_end_with_their_registration() {
    let (heard, thinks) = (Arc::new(Heard::default()), Arc::new(Notify::new()));
    let house = House::hearing(|_, name| name != "b", Some(thinks.clone()), heard.clone());
    let (session, hub) = (house.connection.session(), Hub::new());
    let interest = Interest::new(Family::Domain, DomainEventLifecycle::ID, None);
    let callback = hub.register(session, interest).unwrap();
    let emit =
        |name: &str| hub.emit(DomainEventLifecycle { dom: guest(name), event: 2, detail: 0 });
    // Longer than everything that can be done now takes.
    let settle = || tokio::time::sleep(Duration::from_millis(1));
    for name in ["a", "b", "c"] {
        emit(name);
    }
    for _ in 0..3 {
        settle().await;
        thinks.notify_one();
    }
    settle().await;
    assert_eq!(*heard.0.lock().unwrap(), ["a", "c"]);
    tokio::time::advance(Duration::from_secs(60)).await;
    emit("a");
    settle().await;
    hub.deregister(session, Family::Domain, callback).unwrap();
    thinks.notify_one();
    settle().await;
    assert_eq!(heard.0.lock().unwrap().len(), 2, "it came too late");
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The whole client against the test driver in this process.

use std::time::Duration;

use virtus_client::api::{
    ConnectGetHostname, ConnectGetUri, ConnectListAllDomains, DomainCreateWithFlags, DomainDestroy,
    DomainEventLifecycle, DomainLookupByName,
};
use virtus_client::{Connection, Credentials, ErrorCode, Notice};

const URI: &str = "test:///default";

/// A bound on what must not hang.
const SOON: Duration = Duration::from_secs(60);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("this should not take so long")
}

#[tokio::test]
async fn a_connection_answers_and_closes() {
    let connection = Connection::open(URI).await.unwrap();
    assert_eq!(connection.call(ConnectGetUri).await.unwrap(), URI);
    assert!(!connection.call(ConnectGetHostname).await.unwrap().is_empty());
    let domains =
        connection.call(ConnectListAllDomains { need_results: 1, flags: 0 }).await.unwrap();
    assert_eq!(domains.domains[0].name, "test");
    soon(connection.close()).await;
    assert!(connection.ended().is_some());
    assert_eq!(
        connection.call(ConnectGetUri).await.unwrap_err().code(),
        ErrorCode::OperationInvalid
    );
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let error = Connection::open("test:///").await.err().unwrap();
    assert_eq!(error.code(), ErrorCode::InvalidArg);
    let error = Connection::open("nonsense").await.err().unwrap();
    assert!(error.to_string().contains("nonsense"), "{error}");
    let nobody = "qemu+unix:///system?socket=/nonexistent/sock";
    let error = Connection::open(nobody).await.err().unwrap();
    assert_eq!(error.code(), ErrorCode::SystemError);
    assert!(error.to_string().contains("/nonexistent/sock") && error.hint_text().is_some());
}

#[tokio::test]
async fn a_world_with_users_asks_who_comes() {
    let uri = concat!("test://", env!("CARGO_MANIFEST_DIR"), "/tests/guarded.xml");
    let open = |user: &'static str, password: &'static str| {
        let known = Credentials { user: user.to_owned(), password: password.to_owned() };
        Connection::options().credentials(move |_| Some(known.clone())).open(uri)
    };
    for (user, password) in [("rich", "secret"), ("jane", "")] {
        let connection = open(user, password).await.unwrap();
        assert_eq!(connection.call(ConnectGetUri).await.unwrap(), uri);
    }
    for (user, password) in [("rich", "guess"), ("nobody", "secret")] {
        let error = open(user, password).await.err().unwrap();
        assert_eq!(error.code(), ErrorCode::AuthFailed);
    }
    let error = Connection::options().credentials(|_| None).open(uri).await.err().unwrap();
    assert_eq!(error.code(), ErrorCode::InvalidArg, "there is nobody to ask: {error}");
}

#[tokio::test]
async fn a_read_only_connection_changes_nothing() {
    let connection = Connection::options().read_only(true).open(URI).await.unwrap();
    let dom = connection.call(DomainLookupByName { name: "test".into() }).await.unwrap();
    let error = connection.call(DomainDestroy { dom }).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::OperationDenied);
}

#[tokio::test]
async fn events_come_in_order_to_each_reader_and_stop_when_it_is_dropped() {
    // A world of its own, so that no other test starts or stops its domains.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/world.xml");
    let connection = Connection::open(&format!("test://{file}")).await.unwrap();
    let dom = connection.call(DomainLookupByName { name: "one".into() }).await.unwrap();
    let mut first = connection.events::<DomainEventLifecycle>().await.unwrap();
    let mut all = connection.domain_events().await.unwrap();
    connection.call(DomainDestroy { dom: dom.clone() }).await.unwrap();
    connection.call(DomainCreateWithFlags { dom: dom.clone(), flags: 0 }).await.unwrap();
    for wanted in [5, 2] {
        let event = soon(first.next()).await.unwrap().event().unwrap();
        assert_eq!((event.event, event.dom.name.as_str()), (wanted, "one"));
    }
    assert!(soon(all.next()).await.unwrap().event().is_some());
    drop(first);
    let mut again = connection.events::<DomainEventLifecycle>().await.unwrap();
    connection.call(DomainDestroy { dom }).await.unwrap();
    assert_eq!(soon(again.next()).await.unwrap().event().unwrap().event, 5);
    soon(connection.close()).await;
    while let Some(notice) = soon(again.next()).await {
        assert!(matches!(notice, Notice::Event(_)), "{notice:?}");
    }
}

#[tokio::test]
async fn a_slow_reader_is_told_how_much_it_missed() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/world.xml");
    let options = Connection::options().event_capacity(2);
    let connection = options.open(&format!("test://{file}")).await.unwrap();
    let dom = connection.call(DomainLookupByName { name: "one".into() }).await.unwrap();
    let mut events = connection.events::<DomainEventLifecycle>().await.unwrap();
    for _ in 0..3 {
        connection.call(DomainDestroy { dom: dom.clone() }).await.unwrap();
        connection.call(DomainCreateWithFlags { dom: dom.clone(), flags: 0 }).await.unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(soon(events.next()).await.unwrap());
    }
    assert!(
        matches!(&seen[..], [Notice::Event(_), Notice::Event(_), Notice::Missed(n)] if *n >= 4),
        "{seen:?}"
    );
}

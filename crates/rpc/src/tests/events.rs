// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Events on their way to clients: each registration hears each event once, in the message it asked
//! for, in order, and nothing after its deregistration has returned; who does not listen harms nobody.

use std::time::Duration;

use uuid::Uuid;
use virtus_api::{
    ConnectDomainEventCallbackDeregisterAny, ConnectDomainEventCallbackRegisterAny,
    ConnectDomainEventDeregisterAny, ConnectDomainEventRegisterAny, ConnectGetType, Event, Family,
    Request,
};
use virtus_core::events::{Interest, Key};
use virtus_wire::events::{Form, address, decode, shapes};
use virtus_wire::frame::MessageKind;

use super::peer::{Got, House, Peer};
use crate::Limits;

/// The events that came before the reply to `request`, and the reply.
async fn until_reply<R: Request>(peer: &mut Peer, request: &R) -> (Vec<Got>, R::Reply) {
    peer.send(request).await;
    let mut events = Vec::new();
    loop {
        let got = peer.got().await;
        if got.header.kind == MessageKind::Reply {
            return (events, got.into_reply::<R>().unwrap());
        }
        assert_eq!((got.header.kind, got.header.serial), (MessageKind::Message, 1));
        events.push(got);
    }
}

/// The events that a client has got so far.
async fn heard(peer: &mut Peer) -> Vec<Got> {
    until_reply(peer, &ConnectGetType).await.0
}

/// One of every kind of event there is, about the object with the nil UUID or the empty name.
fn every_event() -> Vec<Event> {
    let of_now = shapes().filter(|shape| shape.has_callback || shape.family == Family::Connection);
    // A body of zeros is a message of every kind: numbers 0, texts and lists empty.
    let event =
        |body: Option<Result<virtus_wire::events::Received, _>>| body.unwrap().unwrap().event;
    of_now.map(|shape| event(decode(shape.program, shape.procedure, &[0; 512]))).collect()
}

/// The object that [`every_event`] is about, and another of the same kind.
fn keys(family: Family) -> Option<[Key; 2]> {
    match family {
        Family::Connection => None,
        Family::NodeDevice => Some(["", "other"].map(|name| Key::Name(name.to_owned()))),
        _ => Some([Uuid::nil(), Uuid::max()].map(Key::Uuid)),
    }
}

#[tokio::test(start_paused = true)]
async fn every_event_reaches_each_registration_once_in_its_form() {
    let house = House::new(Limits::default());
    let mut peers = Vec::new();
    for _ in 0..5 {
        peers.push(house.open().await);
    }
    let sessions = house.dummy.sessions.lock().unwrap().clone();
    let [all, one, other, old, _nobody] = &sessions[..] else { panic!("five sessions") };
    let events = every_event();
    assert!(events.len() > 35, "only {} events", events.len());
    for event in events {
        let (hub, family, id) = (&house.dummy.hub, event.family(), event.id());
        let interest = |key| Interest::new(family, id, key);
        let mut wanted = vec![Some(Form::Modern(hub.register(all, interest(None)).unwrap()))];
        match keys(family) {
            Some([own, another]) => {
                wanted.push(Some(Form::Modern(hub.register(one, interest(Some(own))).unwrap())));
                hub.register(other, interest(Some(another))).unwrap();
            }
            None => wanted.push(None),
        }
        wanted.push(None);
        let has_old = address(&event, Form::Legacy).is_some();
        if has_old {
            hub.register_legacy(old, family, id).unwrap();
        }
        wanted.extend([has_old.then_some(Form::Legacy), None]);
        hub.emit(event.clone());
        for (peer, form) in peers.iter_mut().zip(wanted) {
            let got = heard(peer).await;
            let found: Vec<_> = got
                .iter()
                .map(|got| (got.header.program, got.header.procedure, got.body.clone()))
                .collect();
            let expected: Vec<_> = form
                .map(|form| {
                    let to = address(&event, form).unwrap();
                    let mut body = Vec::new();
                    virtus_wire::events::encode(&event, form, &mut body).unwrap();
                    (to.program, to.procedure, body)
                })
                .into_iter()
                .collect();
            assert_eq!(found, expected, "{event:?} as {form:?}");
        }
        sessions.iter().for_each(|session| hub.session_closed(session));
        hub.emit(event);
        for peer in &mut peers {
            assert!(heard(peer).await.is_empty());
        }
    }
}

/// The number that [`Dummy::emit`](super::driver::Dummy::emit) put into the event: its last word.
fn detail(got: &Got) -> i32 {
    let end = got.body.last_chunk::<4>().unwrap();
    i32::from_be_bytes(*end)
}

/// While events come without a pause, each registration hears an unbroken row of them, and nothing
/// once its deregistration has returned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_hears_an_unbroken_row_and_then_nothing() {
    let house = House::new(Limits::default());
    let dummy = house.dummy.clone();
    let emitter = tokio::spawn(async move {
        let mut pause = tokio::time::interval(Duration::from_millis(1));
        for number in 0.. {
            dummy.emit(number);
            if number % 20 == 0 {
                pause.tick().await;
            }
        }
    });
    let mut peer = house.open().await;
    for round in 0..60 {
        let (mut row, callback) = if round % 2 == 0 {
            let register = ConnectDomainEventCallbackRegisterAny { event_id: 0, dom: None };
            let (row, callback) = until_reply(&mut peer, &register).await;
            (row, Some(callback))
        } else {
            let register = ConnectDomainEventRegisterAny { event_id: 0 };
            (until_reply(&mut peer, &register).await.0, None)
        };
        while row.len() < 30 {
            row.push(peer.got().await);
        }
        row.extend(match callback {
            Some(callback_id) => {
                until_reply(&mut peer, &ConnectDomainEventCallbackDeregisterAny { callback_id })
                    .await
                    .0
            }
            None => {
                until_reply(&mut peer, &ConnectDomainEventDeregisterAny { event_id: 0 }).await.0
            }
        });
        let details: Vec<i32> = row.iter().map(detail).collect();
        assert!(details.windows(2).all(|pair| pair[1] == pair[0] + 1), "{details:?}");
        for _ in 0..3 {
            assert!(heard(&mut peer).await.is_empty(), "after deregistration");
        }
    }
    emitter.abort();
}

#[tokio::test(start_paused = true)]
async fn a_stalled_reader_is_cut_off_and_others_hear_all_events() {
    const EVENTS: i32 = 100_000;
    let house = House::new(Limits::default());
    let (mut deaf, mut other) = (house.open().await, house.open().await);
    let register = ConnectDomainEventCallbackRegisterAny { event_id: 0, dom: None };
    deaf.ask(&register).await.unwrap();
    other.ask(&register).await.unwrap();
    let mut cut_off = None;
    for number in 0..EVENTS {
        house.dummy.emit(number);
        assert_eq!(detail(&other.got().await), number);
        if cut_off.is_none() && house.server.clients() == 1 {
            cut_off = Some(number);
        }
    }
    // Not at the first pause, and long before the memory is full.
    let cut_off = cut_off.expect("the deaf one is gone");
    assert!((30_000..80_000).contains(&cut_off), "after {cut_off} events");
    house.dummy.ended.notified().await;
    assert_eq!(other.ask(&ConnectGetType).await.unwrap(), "dummy");
    // What was on its way is still there; then the connection ends, so that it knows.
    let mut collected = 0;
    while let Some(got) = deaf.next().await {
        assert_eq!(detail(&got), collected);
        collected += 1;
    }
    assert!(collected < cut_off);
}

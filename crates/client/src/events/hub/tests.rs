// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What happens to events that come before the reply to their registration.

use std::task::{Context, Poll, Waker};

use virtus_api::{DomainEvent, DomainEventLifecycle, DomainRef, Event};

use super::*;

fn event(detail: usize) -> Delivery {
    let dom = DomainRef { name: "vm".into(), uuid: uuid::Uuid::nil(), id: 1 };
    let detail = detail.try_into().unwrap();
    Delivery::new(Some(7), Arc::new(DomainEventLifecycle { dom, event: 2, detail }.into()))
}

/// What waits in the queue, events by their detail.
fn waiting(queue: &Queue) -> Vec<String> {
    let mut context = Context::from_waker(Waker::noop());
    let mut seen = Vec::new();
    while let Poll::Ready(Some(notice)) = queue.poll(&mut context) {
        seen.push(match notice {
            Notice::Event(event) => match &*event {
                Event::Domain(DomainEvent::Lifecycle(event)) => event.detail.to_string(),
                other => panic!("{other:?}"),
            },
            other => format!("{other:?}"),
        });
    }
    seen
}

#[test]
fn they_come_first_and_in_order_and_those_too_many_are_counted() {
    let hub = Hub::new(2 * PARKED);
    let queue = hub.queue();
    hub.begin();
    for detail in 0..PARKED + 5 {
        hub.deliver(event(detail));
    }
    let topic = Topic { family: Family::Domain, id: 0, of: None };
    hub.registered(topic, Some(7), Some(&queue));
    hub.deliver(event(9999));
    let mut wanted: Vec<_> = (0..PARKED).map(|detail| detail.to_string()).collect();
    wanted.extend(["Missed(5)".to_owned(), "9999".to_owned()]);
    assert_eq!(waiting(&queue), wanted);
}

#[test]
fn only_what_is_registered_is_deregistered() {
    let hub = Hub::new(1);
    let of = |id| Topic { family: Family::Domain, id, of: None };
    let queues = [hub.queue(), hub.queue()];
    for (id, queue) in (0..).zip(&queues) {
        hub.begin();
        hub.registered(of(id), Some(id), Some(queue));
    }
    let reason = Error::new(virtus_api::ErrorCode::NoDomain, "gone");
    hub.lost(&reason);
    hub.refused(&of(0), &reason);
    hub.begin();
    hub.registered(of(1), Some(8), None);
    assert!(hub.unread().is_empty() && !hub.join(&of(0), &queues[0]));
    hub.leave(&queues[1]);
    assert_eq!(hub.unread(), [(of(1), Some(8))]);
}

#[test]
fn a_connection_that_is_lost_while_it_comes_back_was_not_there() {
    let hub = Hub::new(9);
    let queue = hub.queue();
    let topic = Topic { family: Family::Domain, id: 0, of: None };
    let register = |first| {
        hub.begin();
        hub.registered(topic.clone(), Some(7), first);
    };
    register(Some(&queue));
    let reason = Error::new(virtus_api::ErrorCode::Rpc, "it broke");
    hub.lost(&reason);
    assert_eq!(waiting(&queue).len(), 1);
    for detail in [1, 2] {
        hub.reconnecting();
        register(None);
        hub.deliver(event(detail));
        if detail == 1 {
            hub.lost(&reason);
        }
    }
    assert!(waiting(&queue).is_empty());
    hub.reconnected();
    assert_eq!(waiting(&queue), ["Reconnected", "2"]);
}

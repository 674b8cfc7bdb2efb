// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Properties of every message: what is read is written again as it was; what is cut off, changed or
//! too long is refused without a panic.

use virtus_api::CallId;

use crate::codec::{
    decode_any_reply, decode_request, encode_any_request, encode_reply, reply_shape, request_shape,
};
use crate::events::{self, Form};
use crate::sample::{Random, sample};
use crate::xdr::{Decoder, Encoder, Shape, What, Xdr};

const ROUNDS: usize = 24;

fn bodies(shape: Shape, random: &mut Random) -> Vec<Vec<u8>> {
    let one = |_| {
        let mut body = Vec::new();
        sample(&shape, random, &mut body);
        body
    };
    (0..ROUNDS).map(one).collect()
}

fn request_again(call: CallId, body: &[u8]) -> (Vec<u8>, String) {
    let request = decode_request(call, body).unwrap_or_else(|e| panic!("{call:?}: {e}"));
    let mut again = Vec::new();
    encode_any_request(&request, &mut again).unwrap_or_else(|e| panic!("{call:?}: {e}"));
    (again, format!("{request:?}"))
}

fn reply_again(call: CallId, body: &[u8]) -> (Vec<u8>, String) {
    let reply = decode_any_reply(call, body).unwrap_or_else(|e| panic!("{call:?}: {e}"));
    let mut again = Vec::new();
    encode_reply(call, &reply, &mut again).unwrap_or_else(|e| panic!("{call:?}: {e}"));
    (again, format!("{reply:?}"))
}

#[test]
fn every_request_and_reply_comes_back_as_it_was() {
    let mut random = Random::new(1);
    for call in CallId::ALL {
        for body in bodies(request_shape(call), &mut random) {
            let (again, value) = request_again(call, &body);
            assert_eq!(again, body, "{call:?}");
            assert_eq!(request_again(call, &again).1, value);
        }
        for body in bodies(reply_shape(call), &mut random) {
            let (again, value) = reply_again(call, &body);
            assert_eq!(again, body, "reply of {call:?}");
            assert_eq!(reply_again(call, &again).1, value);
        }
    }
}

#[test]
fn every_event_comes_back_in_each_form() {
    let mut random = Random::new(2);
    for message in events::shapes() {
        for _ in 0..ROUNDS {
            let Shape::Struct(_, fields) = message.shape else { panic!("events are structs") };
            let mut body = Vec::new();
            if message.has_callback {
                sample(&Shape::Int, &mut random, &mut body);
            }
            for field in fields {
                if message.fields.is_empty() || message.fields.contains(&field.name) {
                    sample(&field.shape, &mut random, &mut body);
                }
            }
            let received =
                events::decode(message.program, message.procedure, &body).unwrap().unwrap();
            assert_eq!(received.callback.is_some(), message.has_callback);
            let family_and_id = (received.event.family(), received.event.id());
            assert_eq!(family_and_id, (message.family, message.id));
            let form = if message.has_callback || message.shape == request_shape_of_close() {
                Form::Modern(received.callback.unwrap_or(0))
            } else {
                Form::Legacy
            };
            assert_eq!(
                events::address(&received.event, form).map(|address| address.procedure),
                Some(message.procedure)
            );
            let mut again = Vec::new();
            events::encode(&received.event, form, &mut again).unwrap();
            assert_eq!(again, body, "{message:?}");
        }
    }
}

/// The one event that never has a callback id.
fn request_shape_of_close() -> Shape {
    virtus_api::ConnectEventConnectionClosed::SHAPE
}

#[test]
fn events_without_a_legacy_message_refuse_that_form() {
    let dom = virtus_api::DomainRef { name: "a".into(), uuid: uuid::Uuid::nil(), id: 1 };
    let event = virtus_api::DomainEventMigrationIteration { dom, iteration: 1 }.into();
    assert_eq!(events::address(&event, Form::Legacy), None);
    let mut out = vec![7];
    assert!(events::encode(&event, Form::Legacy, &mut out).is_err());
    assert_eq!(out, [7]);
}

#[test]
fn what_is_cut_off_is_refused_and_what_follows_is_ignored() {
    let mut random = Random::new(3);
    for call in CallId::ALL {
        let mut body = Vec::new();
        sample(&request_shape(call), &mut random, &mut body);
        for end in 0..body.len() {
            let error = decode_request(call, &body[..end]).expect_err("a part of a body");
            assert_eq!(error.what, What::Short, "{call:?} cut at {end} of {}", body.len());
        }
        let whole = request_again(call, &body).1;
        body.extend([0xff; 12]);
        assert_eq!(request_again(call, &body).1, whole);
    }
}

#[test]
fn no_bytes_make_a_decoder_panic() {
    let mut random = Random::new(4);
    for call in CallId::ALL {
        for round in 0..ROUNDS {
            let mut body = Vec::new();
            if round % 2 == 0 {
                let length = random.below(300);
                body = random.bytes(length);
            } else {
                sample(&request_shape(call), &mut random, &mut body);
                for _ in 0..3 {
                    let at = random.below(body.len());
                    if let Some(byte) = body.get_mut(at) {
                        *byte = random.number() as u8;
                    }
                }
            }
            let _ = decode_request(call, &body).map(|request| format!("{request:?}"));
            let _ = decode_any_reply(call, &body).map(|reply| format!("{reply:?}"));
        }
    }
    for message in events::shapes() {
        for length in 0..200 {
            let body = random.bytes(length);
            let _ = events::decode(message.program, message.procedure, &body);
        }
    }
    for length in 0..400 {
        let _ = crate::error_body::decode(&random.bytes(length));
    }
}

/// Makes a value whose list, string or bytes at `path` claims one element more than it may have.
fn over_limit(shape: &Shape, out: &mut Vec<u8>) -> bool {
    match *shape {
        Shape::String(max) | Shape::Bytes(max) | Shape::Array(_, max) => {
            out.extend((max as u32 + 1).to_be_bytes());
            true
        }
        Shape::Struct(_, fields) => fields.iter().any(|field| over_limit(&field.shape, out)),
        other => {
            sample(&other, &mut Random::new(5), out);
            false
        }
    }
}

#[test]
fn limits_hold_before_anything_is_reserved() {
    for call in CallId::ALL {
        for (shape, is_reply) in [(request_shape(call), false), (reply_shape(call), true)] {
            let mut body = Vec::new();
            if !over_limit(&shape, &mut body) {
                continue;
            }
            let done = if is_reply {
                decode_any_reply(call, &body).map(|_| ())
            } else {
                decode_request(call, &body).map(|_| ())
            };
            let error = done.expect_err("over the limit");
            assert!(matches!(error.what, What::TooLong { .. }), "{call:?}: {error}");
            assert_eq!(virtus_api::Error::from(error).code(), virtus_api::ErrorCode::Rpc);
        }
    }
}

#[test]
fn a_string_of_the_limit_passes_and_one_more_fails() {
    for (length, passes) in [(4_194_304, true), (4_194_305, false)] {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out);
        "x".repeat(length).put(&mut encoder);
        assert_eq!(encoder.finish().is_ok(), passes);
        let mut body = (length as u32).to_be_bytes().to_vec();
        body.resize(4 + length.next_multiple_of(4), b'x');
        assert_eq!(String::take(&mut Decoder::new(&body)).is_ok(), passes);
    }
}

#[test]
fn small_types_take_a_word_each() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out);
    [-1_i8, 2].put(&mut encoder);
    7_u16.put(&mut encoder);
    encoder.finish().unwrap();
    assert_eq!(out, [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2, 0, 0, 0, 7]);
}

#[test]
fn any_word_but_zero_says_that_a_value_follows() {
    for (word, value) in [([0, 0, 0, 0], None), ([0, 0, 0, 1], Some(7)), ([1, 0, 0, 0], Some(7))] {
        let body = [word, [0, 0, 0, 7]].concat();
        assert_eq!(<Option<u32> as Xdr>::take(&mut Decoder::new(&body)), Ok(value));
    }
}

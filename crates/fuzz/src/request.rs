// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A client's call: two bytes say which, the rest is its body.
//!
//! What is read, written and read again is the same value, and never longer than it came.

use virtus_api::CallId;
use virtus_wire::codec::{decode_request, encode_any_request, request_shape};
use virtus_wire::sample::{Random, sample};

use super::Target;

pub(crate) const TARGET: Target = Target { name: "request", run, seed };

fn run(input: &[u8]) {
    let Some((number, body)) = input.split_first_chunk::<2>() else { return };
    let call = CallId::ALL[usize::from(u16::from_be_bytes(*number)) % CallId::COUNT];
    let Ok(value) = decode_request(call, body) else { return };
    let mut again = Vec::new();
    let written = encode_any_request(&value, &mut again);
    assert!(written.is_ok(), "what was read cannot be written: {value:?}");
    assert!(again.len() <= body.len(), "{call:?} grew: {value:?}");
    let body = &again[..];
    let same =
        decode_request(call, body).is_ok_and(|back| format!("{back:?}") == format!("{value:?}"));
    assert!(same, "{call:?} changed: {value:?}");
}

fn seed(random: &mut Random) -> Vec<u8> {
    let number = random.below(CallId::COUNT);
    let mut input = u16::try_from(number).unwrap_or_default().to_be_bytes().to_vec();
    sample(&request_shape(CallId::ALL[number]), random, &mut input);
    input
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A byte stream from a peer: frames one after another, with errors, holes and events in them.
//!
//! What is read and can be written again is the same bytes (for headers and bodies as they are).

use virtus_wire::frame::{Frame, MessageKind, decode_hole, encode_frame, frame_length};
use virtus_wire::sample::{Random, sample};
use virtus_wire::{error_body, events, program};

use super::Target;

pub(crate) const TARGET: Target = Target { name: "frame", run, seed };

fn run(mut stream: &[u8]) {
    while let Ok(Some(length)) = frame_length(stream) {
        let Some((whole, rest)) = stream.split_at_checked(length) else { return };
        let Ok(frame) = Frame::decode(whole) else { return };
        check(&frame, whole);
        stream = rest;
    }
}

fn check(frame: &Frame<'_>, whole: &[u8]) {
    let mut again = Vec::new();
    let written = encode_frame(&frame.header, frame.fds, &mut again, |out| {
        out.extend_from_slice(frame.body);
        Ok(())
    });
    assert!(written.is_ok() && again == whole, "a frame changed: {frame:?}");
    let header = &frame.header;
    let _ = program::lookup(header.program, header.procedure);
    match header.kind {
        MessageKind::Message => {
            let _ = events::decode(header.program, header.procedure, frame.body);
        }
        MessageKind::StreamHole => {
            let _ = decode_hole(frame.body);
        }
        _ => {
            if let Ok(error) = error_body::decode(frame.body) {
                let mut body = Vec::new();
                assert!(error_body::encode(&error, &mut body).is_ok(), "{error:?}");
            }
        }
    }
}

/// Two frames: an event and an error.
fn seed(random: &mut Random) -> Vec<u8> {
    let mut stream = Vec::new();
    let known: Vec<_> = events::shapes().collect();
    let event = known[random.below(known.len())];
    let mut body = 7_i32.to_be_bytes()[..if event.has_callback { 4 } else { 0 }].to_vec();
    sample(&event.shape, random, &mut body);
    put(&mut stream, event.program, event.procedure, MessageKind::Message, &body);
    let error = virtus_api::Error::new(virtus_api::ErrorCode::Rpc, "x").hint("y");
    let mut body = Vec::new();
    if error_body::encode(&error, &mut body).is_ok() {
        put(&mut stream, event.program, 1, MessageKind::Reply, &body);
    }
    stream
}

fn put(stream: &mut Vec<u8>, program: u32, procedure: i32, kind: MessageKind, body: &[u8]) {
    let length = u32::try_from(28 + body.len()).unwrap_or(u32::MAX);
    for word in [length, program, 1, procedure as u32, kind as u32, 0, 0] {
        stream.extend(word.to_be_bytes());
    }
    stream.extend_from_slice(body);
}

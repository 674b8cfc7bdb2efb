// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Streams: both directions, ends, aborts, holes.

use bytes::Bytes;
use virtus_api::{
    AnyRequest, CallId, Error, ErrorCode, StorageVolDownload, StorageVolRef, StorageVolUpload,
    StreamHole,
};
use virtus_core::stream::Packet;
use virtus_wire::frame::{
    Header, MessageKind, STREAM_CHUNK, Status, encode_frame, encode_hole, encode_raw,
};
use virtus_wire::{error_body, program};

use super::{Arrival, Engine, call, next, receive, refused, reply, written};

fn volume() -> StorageVolRef {
    StorageVolRef { pool: "p".into(), name: "v".into(), key: "k".into() }
}

fn download(flags: u32) -> StorageVolDownload {
    StorageVolDownload { vol: volume(), offset: 0, length: 0, flags }
}

fn upload(flags: u32) -> StorageVolUpload {
    StorageVolUpload { vol: volume(), offset: 0, length: 0, flags }
}

fn of(call: CallId, serial: u32, status: Status) -> Header {
    Header::call(program::address(call), serial).answer(MessageKind::Stream, status)
}

/// A packet from the daemon on the stream of a download.
fn packet(engine: &mut Engine, serial: u32, status: Status, body: &[u8]) {
    let mut frame = Vec::new();
    encode_raw(&of(CallId::StorageVolDownload, serial, status), body, &mut frame).unwrap();
    receive(engine, &frame);
}

fn hole(engine: &mut Engine, serial: u32, length: i64) {
    let header = of(CallId::StorageVolDownload, serial, Status::Continue);
    let header = header.answer(MessageKind::StreamHole, Status::Continue);
    let mut frame = Vec::new();
    let hole = StreamHole { length, flags: 0 };
    encode_frame(&header, 0, &mut frame, |out| encode_hole(&hole, out)).unwrap();
    receive(engine, &frame);
}

fn next_packet(engine: &mut Engine) -> Packet {
    match next(engine) {
        Arrival::Packet { packet, .. } => packet,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_download_may_begin_before_its_reply_and_ends_when_confirmed() {
    let mut engine = Engine::new();
    let serial = call(&mut engine, download(1));
    packet(&mut engine, serial, Status::Continue, b"early");
    receive(&mut engine, &reply::<StorageVolDownload>(serial, ()));
    hole(&mut engine, serial, 1 << 40);
    packet(&mut engine, serial, Status::Continue, b"");
    assert!(matches!(next_packet(&mut engine), Packet::Data(data) if *data == *b"early"));
    assert!(matches!(next(&mut engine), Arrival::Reply { .. }));
    assert!(matches!(next_packet(&mut engine), Packet::Hole(length) if length == 1 << 40));
    assert!(matches!(next_packet(&mut engine), Packet::Finish));
    written(&mut engine);
    assert!(engine.send(serial, Packet::Finish));
    assert_eq!(written(&mut engine)[0].0, of(CallId::StorageVolDownload, serial, Status::Ok));
    assert!(!engine.send(serial, Packet::Finish), "it has been said");
    packet(&mut engine, serial, Status::Ok, b"");
    assert!(engine.poll().unwrap().is_none(), "the end was told already");
    assert!(!engine.streams.has(serial));
}

#[test]
fn an_upload_is_cut_into_messages_and_confirmed() {
    let mut engine = Engine::new();
    let serial = call(&mut engine, upload(0));
    written(&mut engine);
    receive(&mut engine, &reply::<StorageVolUpload>(serial, ()));
    next(&mut engine);
    assert!(engine.send(serial, Packet::Data(Bytes::from(vec![1; 2 * STREAM_CHUNK + 1]))));
    assert!(!engine.send(serial, Packet::Hole(5)), "it was not opened for holes");
    assert!(engine.send(serial, Packet::Finish));
    let frames = written(&mut engine);
    let lengths: Vec<_> = frames.iter().map(|(_, body)| body.len()).collect();
    assert_eq!(lengths, [STREAM_CHUNK, STREAM_CHUNK, 1, 0]);
    let mut frame = Vec::new();
    encode_raw(&of(CallId::StorageVolUpload, serial, Status::Ok), &[], &mut frame).unwrap();
    receive(&mut engine, &frame);
    assert!(matches!(next_packet(&mut engine), Packet::Finish));
}

#[test]
fn after_an_abort_nothing_is_heard_and_the_serial_is_kept_until_confirmed() {
    let mut engine = Engine::new();
    let serial = call(&mut engine, download(0));
    receive(&mut engine, &reply::<StorageVolDownload>(serial, ()));
    next(&mut engine);
    written(&mut engine);
    assert!(engine.send(serial, Packet::Abort(None)));
    assert_eq!(written(&mut engine)[0].0.status, Status::Error);
    packet(&mut engine, serial, Status::Continue, b"in flight");
    assert!(engine.poll().unwrap().is_none());
    assert!(engine.streams.has(serial));
    packet(&mut engine, serial, Status::Ok, b"");
    assert!(engine.poll().unwrap().is_none());
    assert!(!engine.streams.has(serial));
}

#[test]
fn the_daemons_error_ends_a_stream() {
    let mut engine = Engine::new();
    let serial = call(&mut engine, download(0));
    let mut body = Vec::new();
    error_body::encode(&Error::new(ErrorCode::OperationFailed, "disk on fire"), &mut body).unwrap();
    packet(&mut engine, serial, Status::Error, &body);
    packet(&mut engine, serial, Status::Continue, b"late");
    let Packet::Abort(Some(error)) = next_packet(&mut engine) else { panic!() };
    assert_eq!(error.text(), "disk on fire");
    assert!(engine.poll().unwrap().is_none());
}

#[test]
fn holes_that_nobody_asked_for_abort_the_stream() {
    for (flags, length) in [(0, 5), (1, -5)] {
        let mut engine = Engine::new();
        let serial = call(&mut engine, download(flags));
        written(&mut engine);
        hole(&mut engine, serial, length);
        assert!(matches!(next_packet(&mut engine), Packet::Abort(Some(_))));
        assert_eq!(written(&mut engine)[0].0.status, Status::Error);
        hole(&mut engine, serial, length);
        assert!(engine.poll().unwrap().is_none());
    }
}

#[test]
fn a_refused_call_opens_no_stream_and_strangers_packets_are_dropped() {
    let mut engine = Engine::new();
    let serial = call(&mut engine, download(0));
    let error = Error::new(ErrorCode::NoStorageVol, "no volume 'v'");
    receive(&mut engine, &refused(CallId::StorageVolDownload, serial, &error));
    next(&mut engine);
    packet(&mut engine, serial, Status::Continue, b"x");
    packet(&mut engine, 77, Status::Ok, b"");
    assert!(engine.poll().unwrap().is_none());
    assert!(!engine.send(serial, Packet::Finish));
}

#[test]
fn open_streams_are_bounded() {
    let mut engine = Engine::new();
    for _ in 0..super::super::streams::MAX_STREAMS {
        call(&mut engine, upload(0));
    }
    assert!(engine.call(&AnyRequest::new(upload(0)), Vec::new()).is_err());
}

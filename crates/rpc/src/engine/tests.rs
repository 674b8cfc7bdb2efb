// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The engine against daemons of every kind: honest, confused, hostile, dead.

mod greeting;
mod streams;

use std::time::{Duration, Instant};

use virtus_api::{
    AnyReply, AnyRequest, CallId, ConnectGetHostname, ConnectGetType, DomainEventLifecycle,
    DomainLookupByName, DomainOpenGraphicsFd, DomainRef, Error, ErrorCode, ErrorDomain, Event,
    Request,
};
use virtus_wire::events::Form;
use virtus_wire::frame::{
    Frame, Header, MessageKind, Status, encode_frame, encode_raw, frame_length,
};
use virtus_wire::program::{self, Address, KEEPALIVE, KEEPALIVE_PING, KEEPALIVE_PONG};
use virtus_wire::{codec, error_body};

use super::{Arrival, Engine, Fault, MAX_CALLS, refusal};
use crate::KeepalivePolicy;

fn domain(name: &str) -> DomainRef {
    DomainRef { name: name.into(), uuid: uuid::Uuid::nil(), id: 3 }
}

fn call<R: Request>(engine: &mut Engine, request: R) -> u32 {
    engine.call(&AnyRequest::new(request), Vec::new()).unwrap()
}

/// Every frame that waits to be written.
fn written(engine: &mut Engine) -> Vec<(Header, Vec<u8>)> {
    let mut bytes = Vec::new();
    while let Some((piece, fd)) = engine.output() {
        assert!(fd.is_none());
        let count = piece.len();
        bytes.extend_from_slice(piece);
        engine.sent(count);
    }
    assert_eq!(engine.waiting(), 0);
    let mut frames = Vec::new();
    let mut rest = &bytes[..];
    while let Some(length) = frame_length(rest).unwrap() {
        let frame = Frame::decode(&rest[..length]).unwrap();
        frames.push((frame.header, frame.body.to_vec()));
        rest = &rest[length..];
    }
    frames
}

/// A daemon's successful reply to an `R`.
fn reply<R: Request>(serial: u32, reply: R::Reply) -> Vec<u8> {
    let header =
        Header::call(program::address(R::CALL), serial).answer(MessageKind::Reply, Status::Ok);
    let mut frame = Vec::new();
    let any = AnyReply::new::<R>(reply);
    encode_frame(&header, 0, &mut frame, |out| codec::encode_reply(R::CALL, &any, out)).unwrap();
    frame
}

fn refused(call: CallId, serial: u32, error: &Error) -> Vec<u8> {
    let header =
        Header::call(program::address(call), serial).answer(MessageKind::Reply, Status::Error);
    let mut frame = Vec::new();
    encode_frame(&header, 0, &mut frame, |out| error_body::encode(error, out)).unwrap();
    frame
}

fn message(to: Address, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_raw(&Header::event(to), body, &mut frame).unwrap();
    frame
}

fn receive(engine: &mut Engine, bytes: &[u8]) {
    engine.receive(bytes, None, Instant::now());
}

fn next(engine: &mut Engine) -> Arrival {
    engine.poll().unwrap().expect("something should have arrived")
}

#[test]
fn replies_find_their_calls_in_any_order_and_byte_by_byte() {
    let mut engine = Engine::new();
    let first = call(&mut engine, ConnectGetType);
    let second = call(&mut engine, ConnectGetHostname);
    assert_eq!(
        written(&mut engine).iter().map(|(header, _)| header.serial).collect::<Vec<_>>(),
        [first, second]
    );
    let mut bytes = reply::<ConnectGetHostname>(second, "host".into());
    bytes.extend(reply::<ConnectGetType>(first, "QEMU".into()));
    let mut seen = Vec::new();
    for byte in bytes {
        receive(&mut engine, &[byte]);
        while let Some(arrival) = engine.poll().unwrap() {
            let Arrival::Reply { serial, outcome, .. } = arrival else { panic!("{arrival:?}") };
            seen.push((serial, format!("{:?}", outcome.unwrap())));
        }
    }
    assert_eq!(seen, [(second, "\"host\"".to_owned()), (first, "\"QEMU\"".to_owned())]);
}

#[test]
fn a_refusal_keeps_all_that_the_daemon_said() {
    let mut engine = Engine::new();
    let serial = call(&mut engine, DomainLookupByName { name: "x".into() });
    let error = Error::new(ErrorCode::NoDomain, "no domain with matching name 'x'")
        .in_domain(ErrorDomain::Qemu);
    receive(&mut engine, &refused(CallId::DomainLookupByName, serial, &error));
    let Arrival::Reply { outcome: Err(body), .. } = next(&mut engine) else { panic!() };
    assert_eq!((body.level, body.str1.as_deref()), (2, Some("Domain not found: %1$s")));
    let error = refusal(*body, CallId::DomainLookupByName);
    assert_eq!((error.code(), error.domain()), (ErrorCode::NoDomain, ErrorDomain::Qemu));
}

#[test]
fn a_daemon_that_does_not_know_a_call_does_not_support_it() {
    let error = crate::errors::unknown_procedure(9);
    let error = refusal(error_body::to_body(&error), CallId::DomainLookupByName);
    assert_eq!(error.code(), ErrorCode::NoSupport);
    assert_eq!(error.text(), "virDomainLookupByName");
}

#[test]
fn a_reply_that_cannot_be_read_fails_its_call_alone() {
    let mut engine = Engine::new();
    let serial = call(&mut engine, ConnectGetHostname);
    let header = Header::call(program::address(CallId::ConnectGetHostname), serial);
    let mut frame = Vec::new();
    encode_raw(&header.answer(MessageKind::Reply, Status::Ok), &[0xff; 8], &mut frame).unwrap();
    receive(&mut engine, &frame);
    let Arrival::Reply { outcome: Err(_), .. } = next(&mut engine) else { panic!() };
    assert!(engine.poll().unwrap().is_none());
}

#[test]
fn events_arrive_and_unknown_ones_are_passed_over() {
    let mut engine = Engine::new();
    let event: Event = DomainEventLifecycle { dom: domain("vm"), event: 2, detail: 1 }.into();
    let to = virtus_wire::events::address(&event, Form::Modern(7)).unwrap();
    let mut body = Vec::new();
    virtus_wire::events::encode(&event, Form::Modern(7), &mut body).unwrap();
    receive(&mut engine, &message(Address { procedure: 9999, ..to }, &[1, 2, 3]));
    receive(&mut engine, &message(to, &body[..6]));
    receive(&mut engine, &message(to, &body));
    let Arrival::Event(received) = next(&mut engine) else { panic!() };
    assert_eq!((received.callback, received.event), (Some(7), event));
}

#[test]
fn lies_end_the_connection() {
    let mut length = 0x7fff_ffff_u32.to_be_bytes().to_vec();
    length.extend([0; 24]);
    let address = program::address(CallId::ConnectGetType);
    let mut asking = Vec::new();
    encode_raw(&Header::call(address, 1), &[], &mut asking).unwrap();
    let foreign = Address { program: 0x1234, version: 1, procedure: 1 };
    for (bytes, fault) in [
        (reply::<ConnectGetType>(5, "x".into()), Fault::UnknownReply(5)),
        (reply::<ConnectGetHostname>(0, "x".into()), Fault::UnknownReply(0)),
        (message(foreign, &[]), Fault::UnknownProgram(0x1234)),
        (asking, Fault::Call(address.procedure)),
        (length, Fault::Frame(virtus_wire::frame::FrameError::Length(0x7fff_ffff))),
    ] {
        let mut engine = Engine::new();
        assert_eq!(call(&mut engine, ConnectGetType), 0);
        receive(&mut engine, &bytes);
        assert_eq!(engine.poll().unwrap_err(), fault);
    }
}

#[test]
fn one_call_has_one_reply() {
    let mut engine = Engine::new();
    let serial = call(&mut engine, ConnectGetType);
    receive(&mut engine, &reply::<ConnectGetType>(serial, "a".into()).repeat(2));
    next(&mut engine);
    assert_eq!(engine.poll().unwrap_err(), Fault::UnknownReply(serial));
}

#[test]
fn descriptors_go_out_and_come_in_with_their_message() {
    let pipe = || rustix::pipe::pipe().unwrap().0;
    let mut engine = Engine::new();
    let request = DomainOpenGraphicsFd { dom: domain("vm"), idx: 0, flags: 0 };
    let serial = engine.call(&AnyRequest::new(request), vec![pipe(), pipe()]).unwrap();
    let (frame, fd) = engine.output().unwrap();
    let frame = Frame::decode(frame).unwrap();
    assert_eq!((frame.header.kind, frame.fds, fd.is_none()), (MessageKind::CallWithFds, 2, true));
    engine.sent(usize::MAX);
    for _ in 0..2 {
        let (byte, fd) = engine.output().unwrap();
        assert!(byte == [0] && fd.is_some());
        engine.sent(1);
    }
    assert!(engine.output().is_none());
    let header = Header::call(program::address(CallId::DomainOpenGraphicsFd), serial);
    let mut bytes = Vec::new();
    let header = header.answer(MessageKind::ReplyWithFds, Status::Ok);
    encode_frame(&header, 1, &mut bytes, |_| Ok(())).unwrap();
    receive(&mut engine, &bytes);
    assert!(engine.poll().unwrap().is_none(), "its descriptor has not come");
    engine.receive(&[0], [pipe()], Instant::now());
    let Arrival::Reply { fds, .. } = next(&mut engine) else { panic!() };
    assert_eq!(fds.len(), 1);
}

#[test]
fn descriptors_that_nobody_announced_end_the_connection() {
    let mut engine = Engine::new();
    let fds: Vec<_> = (0..40).map(|_| rustix::pipe::pipe().unwrap().0).collect();
    engine.receive(&[0], fds, Instant::now());
    assert_eq!(engine.poll().unwrap_err(), Fault::StrayDescriptors);
}

#[test]
fn calls_without_an_answer_are_bounded() {
    let mut engine = Engine::new();
    for _ in 0..MAX_CALLS {
        call(&mut engine, ConnectGetType);
    }
    let error = engine.call(&AnyRequest::new(ConnectGetType), Vec::new()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::OperationFailed);
    receive(&mut engine, &reply::<ConnectGetType>(5, "x".into()));
    next(&mut engine);
    call(&mut engine, ConnectGetType);
}

#[test]
fn a_silent_daemon_is_pinged_and_then_given_up() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut engine = Engine::new();
    assert_eq!(engine.deadline(), None);
    engine.start_keepalive(KeepalivePolicy { interval: Duration::from_secs(5), count: 1 }, start);
    engine.on_time(at(5)).unwrap();
    let (header, _) = written(&mut engine).remove(0);
    assert_eq!((header.program, header.procedure, header.serial), (KEEPALIVE, KEEPALIVE_PING, 0));
    let pong = Address { program: KEEPALIVE, version: 1, procedure: KEEPALIVE_PONG };
    engine.receive(&message(pong, &[]), None, at(9));
    engine.on_time(at(13)).unwrap();
    assert!(written(&mut engine).is_empty());
    engine.on_time(at(14)).unwrap();
    assert_eq!(engine.on_time(at(19)), Err(Fault::Silent));
}

#[test]
fn pings_are_answered_but_never_pile_up() {
    let mut engine = Engine::new();
    let ping = message(Address { program: KEEPALIVE, version: 1, procedure: KEEPALIVE_PING }, &[]);
    receive(&mut engine, &ping);
    assert!(engine.poll().unwrap().is_none());
    assert_eq!(written(&mut engine)[0].0.procedure, KEEPALIVE_PONG);
    for _ in 0..100_000 {
        receive(&mut engine, &ping);
        assert!(engine.poll().unwrap().is_none());
    }
    assert!(engine.waiting() < 2 * super::CONGESTED);
}

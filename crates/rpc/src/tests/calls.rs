// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Handshake, calls in flight, errors, descriptors, events, keepalive.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use tokio::time::Instant;
use virtus_api::{
    AuthList, AuthPolkit, AuthType, ConnectClose, ConnectDomainEventCallbackRegisterAny,
    ConnectGetHostname, ConnectGetLibVersion, ConnectGetType, ConnectGetUri, ConnectIsSecure,
    ConnectListAllDomains, ConnectOpen, ConnectRegisterCloseCallback, ConnectSupportsFeature,
    ConnectUnregisterCloseCallback, DomainCreateXml, DomainFdAssociate, DomainLookupByName,
    DomainOpenGraphicsFd, ErrorCode,
};
use virtus_wire::frame::{Header, MessageKind, encode_raw};
use virtus_wire::program::{Address, KEEPALIVE, KEEPALIVE_PING, KEEPALIVE_PONG};

use super::driver::domain;
use super::peer::{House, open};
use crate::Limits;

fn lookup(name: &str) -> DomainLookupByName {
    DomainLookupByName { name: name.to_owned() }
}

fn feature(feature: i32) -> ConnectSupportsFeature {
    ConnectSupportsFeature { feature }
}

#[tokio::test(start_paused = true)]
async fn the_greeting_of_a_stock_client() {
    let house = House::new(Limits::default());
    let mut peer = house.silent(false).await;
    assert_eq!(peer.ask(&AuthList).await.unwrap(), [AuthType::None]);
    assert_eq!(peer.ask(&feature(10)).await.unwrap(), 1);
    peer.ask(&open("", 0)).await.unwrap();
    assert_eq!(peer.ask(&ConnectGetUri).await.unwrap(), "dummy:///default");
    for (number, answer) in [(8, 1), (9, 1), (14, 1), (15, 1), (999, 0)] {
        assert_eq!(peer.ask(&feature(number)).await.unwrap(), answer, "{number}");
    }
    peer.ask(&ConnectRegisterCloseCallback).await.unwrap();
    assert!(peer.ask(&ConnectRegisterCloseCallback).await.is_err());
    assert_eq!(peer.ask(&ConnectGetType).await.unwrap(), "dummy");
    assert_eq!(peer.ask(&ConnectGetLibVersion).await.unwrap(), 11_003_000);
    assert_eq!(peer.ask(&ConnectIsSecure).await.unwrap(), 1);
    assert!(!peer.ask(&ConnectGetHostname).await.unwrap().is_empty());
    peer.ask(&ConnectUnregisterCloseCallback).await.unwrap();
    peer.ask(&ConnectClose).await.unwrap();
    assert!(peer.next().await.is_none());
    house.dummy.ended.notified().await;
    assert_eq!(house.server.clients(), 0);
}

#[tokio::test(start_paused = true)]
async fn calls_out_of_their_order_are_refused_in_libvirts_words() {
    let house = House::new(Limits::default());
    let mut peer = house.silent(false).await;
    let text = |error: virtus_api::Error| (error.code(), error.to_string());
    let not_open =
        (ErrorCode::InternalError, "internal error: hypervisor connection not open".to_owned());
    assert_eq!(text(peer.ask(&ConnectGetType).await.unwrap_err()), not_open);
    assert_eq!(text(peer.ask(&feature(8)).await.unwrap_err()), not_open);
    let error = peer.ask(&AuthPolkit).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::AuthFailed);
    let unnamed = ConnectOpen { name: None, flags: 0 };
    assert_eq!(
        peer.ask(&unnamed).await.unwrap_err().to_string(),
        "internal error: connection not open"
    );
    let error = peer.ask(&open("foo:///system", 0)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoConnect);
    assert_eq!(error.to_string(), "no connection driver available for foo:///system");
    peer.ask(&open("dummy:///x", 0)).await.unwrap();
    assert_eq!(
        peer.ask(&open("dummy:///x", 0)).await.unwrap_err().to_string(),
        "internal error: connection already open"
    );
    let error = peer.ask(&ConnectListAllDomains { need_results: 1, flags: 0 }).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoSupport);
    assert!(error.to_string().contains("virConnectListAllDomains"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn unknown_programs_and_procedures() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    for (program, version, procedure, text) in [
        (0x2000_8086, 1, 9999, "unknown procedure: 9999"),
        (0x2000_8086, 1, 107, "unknown procedure: 107"),
        (0x2000_8086, 2, 1, "Cannot find program 536903814 version 2"),
        (0xffff_fff0, 1, 1, "Cannot find program -16 version 1"),
        (0x0668_7696, 1, 1, "Cannot find program 107509398 version 1"),
    ] {
        let header = Header::call(Address { program, version, procedure }, 77);
        let mut frame = Vec::new();
        encode_raw(&header, &[], &mut frame).unwrap();
        peer.bytes(&frame).await;
        let got = peer.got().await;
        let same = (got.header.program, got.header.version, got.header.procedure);
        assert_eq!((same, got.header.serial), ((program, version, procedure), 77));
        assert_eq!(got.header.kind, MessageKind::Reply);
        assert_eq!((got.error().code(), got.error().to_string()), (ErrorCode::Rpc, text.into()));
    }
    let header = Header::call(virtus_wire::codec::address(virtus_api::CallId::ConnectOpen), 78);
    let mut frame = Vec::new();
    encode_raw(&header, &[0, 0, 0], &mut frame).unwrap();
    peer.bytes(&frame).await;
    let error = peer.got().await.error();
    assert!(error.to_string().starts_with("Unable to decode message payload"), "{error}");
    assert_eq!(peer.ask(&ConnectGetType).await.unwrap(), "dummy", "the connection goes on");
}

#[tokio::test(start_paused = true)]
async fn replies_come_when_they_are_ready() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let late = peer.send(&lookup("late")).await;
    for name in ["a", "b"] {
        assert_eq!(peer.ask(&lookup(name)).await.unwrap().name, name);
    }
    house.dummy.gate.notify_one();
    let got = peer.got().await;
    assert_eq!(got.header.serial, late.serial);
    assert_eq!(got.into_reply::<DomainLookupByName>().unwrap().name, "late");
}

#[tokio::test(start_paused = true)]
async fn one_client_has_so_many_calls_in_flight_and_no_more() {
    let house = House::new(Limits { max_client_requests: 2, ..Limits::default() });
    let (mut peer, mut other) = (house.open().await, house.open().await);
    peer.send(&lookup("late")).await;
    peer.send(&lookup("late")).await;
    peer.send(&lookup("third")).await;
    assert_eq!(other.ask(&ConnectGetType).await.unwrap(), "dummy", "others are not held up");
    let nothing = tokio::time::timeout(Duration::from_secs(1), peer.got()).await;
    assert!(nothing.is_err(), "the third call waits");
    house.dummy.gate.notify_one();
    assert_eq!(peer.reply::<DomainLookupByName>().await.unwrap().name, "late");
    assert_eq!(peer.reply::<DomainLookupByName>().await.unwrap().name, "third");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_its_callers_error_alone() {
    let house = House::new(Limits::default());
    let (mut peer, mut other) = (house.open().await, house.open().await);
    for name in ["panic", "late panic", "nul"] {
        let error = peer.ask(&lookup(name)).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InternalError, "{error}");
        assert!(error.to_string().contains("virDomainLookupByName"), "{error}");
    }
    assert_eq!(peer.ask(&lookup("a")).await.unwrap().name, "a");
    assert_eq!(other.ask(&lookup("b")).await.unwrap().name, "b");
}

#[tokio::test(start_paused = true)]
async fn read_only_comes_from_the_socket_or_the_flag() {
    let house = House::new(Limits::default());
    let create = DomainCreateXml { xml_desc: "<domain/>".into(), flags: 0 };
    for (read_only_socket, flags, allowed) in
        [(false, 6, true), (false, 1, false), (true, 0, false)]
    {
        let mut peer = house.silent(read_only_socket).await;
        peer.ask(&open("dummy:///x", flags)).await.unwrap();
        assert_eq!(peer.ask(&lookup("a")).await.unwrap().name, "a");
        let made = peer.ask(&create).await;
        assert_eq!(made.is_ok(), allowed);
        if let Err(error) = made {
            assert_eq!(error.code(), ErrorCode::OperationDenied);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn descriptors_travel_both_ways() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let mut pipes = Vec::new();
    for text in ["on", "e"] {
        let (read, write) = rustix::pipe::pipe().unwrap();
        std::fs::File::from(write).write_all(text.as_bytes()).unwrap();
        pipes.push(read);
    }
    let fds: Vec<_> = pipes.iter().map(AsFd::as_fd).collect();
    let associate = DomainFdAssociate { dom: domain("x"), name: "one".into(), flags: 0 };
    peer.send_with_fds(&associate, &fds).await;
    peer.reply::<DomainFdAssociate>().await.unwrap();
    // An unknown procedure with descriptors: they are closed, not sent back.
    let (mut watched, end) = std::os::unix::net::UnixStream::pair().unwrap();
    let to = Address { program: 0x2000_8086, version: 1, procedure: 9999 };
    let header = Header { kind: MessageKind::CallWithFds, ..Header::call(to, 5) };
    let mut frame = Vec::new();
    virtus_wire::frame::encode_frame(&header, 1, &mut frame, |_| Ok(())).unwrap();
    peer.bytes(&frame).await;
    peer.fd_byte(&[end.as_fd()]).await;
    let got = peer.got().await;
    assert_eq!((got.header.kind, got.fds), (MessageKind::Reply, 0));
    drop(end);
    assert_eq!(watched.read(&mut [0; 1]).unwrap(), 0, "nobody holds it any more");
    let graphics = DomainOpenGraphicsFd { dom: domain("x"), idx: 2, flags: 0 };
    peer.send(&graphics).await;
    let got = peer.got().await;
    assert_eq!((got.header.kind, got.fds), (MessageKind::ReplyWithFds, 2));
    assert_eq!(peer.fds(2).await.len(), 2);
    assert_eq!(peer.ask(&ConnectGetType).await.unwrap(), "dummy");
}

#[tokio::test(start_paused = true)]
async fn events_carry_the_callback_id_and_serial_one() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let register = ConnectDomainEventCallbackRegisterAny { event_id: 0, dom: None };
    let callback = peer.ask(&register).await.unwrap();
    assert_eq!(peer.ask(&register).await.unwrap_err().code(), ErrorCode::InvalidArg);
    house.dummy.emit(3);
    let got = peer.got().await;
    assert_eq!((got.header.kind, got.header.serial), (MessageKind::Message, 1));
    assert_eq!(got.header.procedure, 318);
    assert_eq!(got.body[..4], callback.to_be_bytes());
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_always_and_sent_only_when_asked_for() {
    let house = House::new(Limits::default());
    let mut quiet = house.open().await;
    quiet.keepalive(99).await;
    quiet.keepalive(KEEPALIVE_PING).await;
    let pong = quiet.got().await.header;
    assert_eq!((pong.program, pong.procedure, pong.serial), (KEEPALIVE, KEEPALIVE_PONG, 0));
    let mut asked = house.open().await;
    asked.ask(&feature(10)).await.unwrap();
    let start = Instant::now();
    for ping in 1..=5 {
        assert_eq!(asked.got().await.header.procedure, KEEPALIVE_PING);
        assert_eq!(start.elapsed().as_secs(), 5 * ping);
    }
    asked.keepalive(KEEPALIVE_PONG).await;
    for ping in 6..=10 {
        assert_eq!(asked.got().await.header.procedure, KEEPALIVE_PING);
        assert_eq!(start.elapsed().as_secs(), 5 * ping);
    }
    assert!(asked.next().await.is_none());
    assert_eq!(start.elapsed().as_secs(), 55, "30 s after the last message");
    let nothing = tokio::time::timeout(Duration::from_secs(3600), quiet.got()).await;
    assert!(nothing.is_err(), "a client that did not ask is left in peace");
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_calls_finish() {
    let house = House::new(Limits::default());
    let (mut busy, mut idle) = (house.open().await, house.open().await);
    busy.send(&lookup("late")).await;
    assert_eq!(busy.ask(&ConnectGetType).await.unwrap(), "dummy");
    let stop = house.server.stop(Duration::from_secs(10));
    let watch = async {
        assert!(idle.next().await.is_none());
        house.dummy.gate.notify_one();
        assert_eq!(busy.reply::<DomainLookupByName>().await.unwrap().name, "late");
        assert!(busy.next().await.is_none());
    };
    tokio::join!(stop, watch);
    assert_eq!(house.server.clients(), 0);
}

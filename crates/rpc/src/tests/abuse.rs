// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clients that are broken or hostile, and what the others notice of them: nothing.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, advance};
use virtus_api::{ConnectGetType, DomainLookupByName, DomainOpenConsole, ErrorCode, Request};
use virtus_core::Identity;
use virtus_wire::codec::{address, encode_request};
use virtus_wire::frame::{Header, MessageKind, Status, encode_frame};

use super::driver::domain;
use super::peer::House;
use crate::Limits;
use crate::behalf::on_behalf_of;

#[tokio::test(start_paused = true)]
async fn frames_of_impossible_length_end_the_connection_at_once() {
    let house = House::new(Limits::default());
    for word in [0_u32, 4, 27, 33_554_437, u32::MAX] {
        let mut peer = house.open().await;
        peer.bytes(&word.to_be_bytes()).await;
        assert!(peer.next().await.is_none(), "{word}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_may_not_announce_a_large_message() {
    let house = House::new(Limits::default());
    let mut stranger = house.silent(false).await;
    stranger.bytes(&33_554_436_u32.to_be_bytes()).await;
    assert!(stranger.next().await.is_none());
    let mut peer = house.open().await;
    peer.bytes(&33_554_436_u32.to_be_bytes()).await;
    let nothing = tokio::time::timeout(Duration::from_secs(60), peer.next()).await;
    assert!(nothing.is_err(), "an open connection waits for the rest");
}

#[tokio::test(start_paused = true)]
async fn nonsense_ends_the_connection() {
    let house = House::new(Limits::default());
    let call = Header::call(address(virtus_api::CallId::ConnectGetType), 9);
    let mut frame = Vec::new();
    encode_frame(&call, 0, &mut frame, |_| Ok(())).unwrap();
    for (at, value) in [(16, 7), (16, u32::MAX), (24, 3)] {
        let mut broken = frame.clone();
        broken[at..at + 4].copy_from_slice(&value.to_be_bytes());
        let mut peer = house.open().await;
        peer.bytes(&broken).await;
        assert!(peer.next().await.is_none(), "{at}: {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_may_come_in_pieces_and_many_at_once() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let call = Header::call(address(virtus_api::CallId::ConnectGetType), 9);
    let mut frames = Vec::new();
    for _ in 0..1000 {
        encode_frame(&call, 0, &mut frames, |_| Ok(())).unwrap();
    }
    for byte in &frames[..56] {
        peer.bytes(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    peer.bytes(&frames[56..]).await;
    for _ in 0..1000 {
        assert_eq!(peer.reply::<ConnectGetType>().await.unwrap(), "dummy");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_only_a_server_sends_are_ignored() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let call = Header::call(address(virtus_api::CallId::ConnectGetType), 9);
    for kind in [MessageKind::Reply, MessageKind::Message, MessageKind::ReplyWithFds] {
        let mut frame = Vec::new();
        encode_frame(&call.answer(kind, Status::Ok), 0, &mut frame, |_| Ok(())).unwrap();
        peer.bytes(&frame).await;
    }
    assert_eq!(peer.ask(&ConnectGetType).await.unwrap(), "dummy");
}

#[tokio::test(start_paused = true)]
async fn descriptors_without_a_message_for_them_end_the_connection() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let fd = std::fs::File::open("/dev/null").unwrap();
    let many = vec![fd.as_fd(); 30];
    // The first byte of a frame that never becomes whole.
    for _ in 0..3 {
        peer.fd_byte(&many).await;
    }
    assert!(peer.next().await.is_none());
    // A message that promises two descriptors and brings bytes without them.
    let mut peer = house.open().await;
    let call = Header::call(address(virtus_api::CallId::ConnectGetType), 9);
    let call = Header { kind: MessageKind::CallWithFds, ..call };
    let mut frame = Vec::new();
    encode_frame(&call, 2, &mut frame, |_| Ok(())).unwrap();
    frame.extend([0, 0]);
    peer.bytes(&frame).await;
    assert!(peer.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn silent_clients_keep_nobody_out() {
    let limits = Limits { max_anonymous_clients: 20, max_clients: 100, ..Limits::default() };
    let house = House::new(limits);
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(house.silent(false).await);
    }
    let mut peer = house.open().await;
    assert_eq!(peer.ask(&ConnectGetType).await.unwrap(), "dummy");
    advance(Duration::from_secs(31)).await;
    for one in &mut silent {
        assert!(one.next().await.is_none(), "a silent client has a deadline");
    }
    assert_eq!(peer.ask(&ConnectGetType).await.unwrap(), "dummy", "an open one has none");
    assert_eq!(house.server.clients(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_at_all_is_cut_off_in_time() {
    let house = House::new(Limits::default());
    let mut deaf = house.open().await;
    let start = Instant::now();
    let download = virtus_api::StorageVolDownload {
        vol: virtus_api::StorageVolRef { pool: "p".into(), name: "v".into(), key: "k".into() },
        offset: 0,
        length: 1 << 40,
        flags: 0,
    };
    deaf.send(&download).await;
    house.dummy.ended.notified().await;
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_console_holds_up_its_own_client_only() {
    let house = House::new(Limits::default());
    let (mut peer, mut other) = (house.open().await, house.open().await);
    let console = DomainOpenConsole { dom: domain("stuck"), dev_name: None, flags: 0 };
    let stream = peer.send(&console).await;
    peer.got().await;
    let flood = async {
        loop {
            peer.packet(stream, Status::Continue, &vec![0; 200_000]).await;
        }
    };
    let flooded = tokio::time::timeout(Duration::from_secs(5), flood).await;
    assert!(flooded.is_err(), "at some point the server reads no more");
    assert_eq!(other.ask(&ConnectGetType).await.unwrap(), "dummy");
    drop(peer);
    house.dummy.ended.notified().await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_slow_calls_leaves_the_others_their_turn() {
    const CALLS: usize = 1000;
    let house = House::new(Limits::default());
    let (mut flood, mut other) = (house.open().await, house.open().await);
    let mut calls = Vec::new();
    for serial in 100..100 + CALLS {
        let header = Header::call(address(DomainLookupByName::CALL), serial as u32);
        let busy = DomainLookupByName { name: "busy".to_owned() };
        encode_frame(&header, 0, &mut calls, |out| encode_request(&busy, out)).unwrap();
    }
    flood.bytes(&calls).await;
    assert_eq!(other.ask(&ConnectGetType).await.unwrap(), "dummy");
    let made = house.dummy.busy.load(Ordering::Relaxed);
    assert!(made < CALLS / 2, "{made} calls came first");
    for _ in 0..CALLS {
        assert_eq!(flood.reply::<DomainLookupByName>().await.unwrap().name, "busy");
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_for_whom_root_calls_takes_no_more_places_than_its_own() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let house = House::new(Limits { max_user_clients: 1, ..Limits::default() });
    let user = |uid| on_behalf_of(&Identity { uid: Some(uid), ..Identity::default() });
    let mut peers = [house.open().await, house.open().await, house.open().await];
    peers[0].ask(&user(7)).await.unwrap();
    let refused = peers[1].ask(&user(7)).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::ResourceBusy);
    peers[2].ask(&user(8)).await.unwrap();
}

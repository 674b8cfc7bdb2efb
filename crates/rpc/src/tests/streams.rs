// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Streams in every direction: data, ends, aborts, errors, holes, back pressure.

use virtus_api::{
    ConnectGetType, DomainOpenConsole, StorageVolDownload, StorageVolRef, StorageVolUpload,
    StreamHole,
};
use virtus_wire::frame::{
    Header, MessageKind, STREAM_CHUNK, Status, decode_hole, encode_frame, encode_hole,
};

use super::driver::domain;
use super::peer::{House, Peer};
use crate::Limits;

fn console(name: &str) -> DomainOpenConsole {
    DomainOpenConsole { dom: domain(name), dev_name: None, flags: 0 }
}

fn volume() -> StorageVolRef {
    StorageVolRef { pool: "p".into(), name: "v".into(), key: "k".into() }
}

fn upload(length: u64, flags: u32) -> StorageVolUpload {
    StorageVolUpload { vol: volume(), offset: 0, length, flags }
}

fn download(length: u64, offset: u64, flags: u32) -> StorageVolDownload {
    StorageVolDownload { vol: volume(), offset, length, flags }
}

async fn opened<R: virtus_api::Request>(peer: &mut Peer, request: &R) -> Header {
    let header = peer.send(request).await;
    let got = peer.got().await;
    assert_eq!((got.header.kind, got.header.status), (MessageKind::Reply, Status::Ok));
    header
}

/// The next frame is a packet of this stream with this status; answers its body.
async fn packet(peer: &mut Peer, of: Header, status: Status) -> Vec<u8> {
    let got = peer.got().await;
    assert_eq!(got.header, of.answer(MessageKind::Stream, status));
    got.body
}

#[tokio::test(start_paused = true)]
async fn a_console_runs_both_ways_until_the_client_finishes() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let stream = opened(&mut peer, &console("vm")).await;
    peer.packet(stream, Status::Continue, b"").await;
    for text in [b"hello".as_slice(), b"x"] {
        peer.packet(stream, Status::Continue, text).await;
        assert_eq!(packet(&mut peer, stream, Status::Continue).await, text);
    }
    peer.packet(stream, Status::Ok, b"").await;
    assert!(packet(&mut peer, stream, Status::Ok).await.is_empty());
    peer.packet(stream, Status::Continue, b"too late").await;
    assert_eq!(peer.ask(&ConnectGetType).await.unwrap(), "dummy");
}

#[tokio::test(start_paused = true)]
async fn a_download_ends_with_an_empty_packet_and_a_confirmation() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let length = 5 << 20;
    let stream = opened(&mut peer, &download(length, 0, 0)).await;
    let mut received = 0;
    loop {
        let data = packet(&mut peer, stream, Status::Continue).await;
        assert!(data.len() <= STREAM_CHUNK && data.iter().all(|byte| *byte == 7));
        received += data.len() as u64;
        if data.is_empty() {
            break;
        }
    }
    assert_eq!(received, length);
    peer.packet(stream, Status::Ok, b"").await;
    packet(&mut peer, stream, Status::Ok).await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_confirmed_by_the_driver() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let stream = opened(&mut peer, &upload(10 << 20, 0)).await;
    for _ in 0..40 {
        peer.packet(stream, Status::Continue, &vec![1; STREAM_CHUNK]).await;
    }
    peer.packet(stream, Status::Ok, b"").await;
    packet(&mut peer, stream, Status::Ok).await;
}

#[tokio::test(start_paused = true)]
async fn data_beyond_the_announced_length_fails_the_stream() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let stream = opened(&mut peer, &upload(4, 0)).await;
    peer.packet(stream, Status::Continue, b"12345").await;
    let got = peer.got().await;
    assert_eq!(got.header, stream.answer(MessageKind::Stream, Status::Error));
    assert!(got.error().to_string().contains("more data than announced"));
    peer.packet(stream, Status::Ok, b"").await;
    assert_eq!(peer.ask(&ConnectGetType).await.unwrap(), "dummy", "nothing follows the error");
}

#[tokio::test(start_paused = true)]
async fn an_abort_is_confirmed_even_if_the_driver_is_stuck() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let stream = opened(&mut peer, &console("stuck")).await;
    for _ in 0..20 {
        peer.packet(stream, Status::Continue, b"unread").await;
    }
    peer.packet(stream, Status::Error, b"").await;
    assert!(packet(&mut peer, stream, Status::Ok).await.is_empty());
    assert_eq!(peer.ask(&ConnectGetType).await.unwrap(), "dummy");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_what_comes_after_the_end() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let stream = opened(&mut peer, &console("stuck")).await;
    for _ in 0..20 {
        peer.packet(stream, Status::Continue, b"unread").await;
    }
    for _ in 0..20 {
        peer.packet(stream, Status::Ok, b"").await;
        peer.packet(stream, Status::Continue, &[0; 64 * 1024]).await;
    }
    assert_eq!(peer.ask(&ConnectGetType).await.unwrap(), "dummy", "the window is not full");
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_lets_go_fails_the_stream() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let stream = opened(&mut peer, &console("broken")).await;
    let got = peer.got().await;
    assert_eq!(got.header, stream.answer(MessageKind::Stream, Status::Error));
    assert!(got.error().to_string().contains("ended before it was finished"));
}

#[tokio::test(start_paused = true)]
async fn holes_travel_where_they_were_asked_for() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let stream = opened(&mut peer, &download(3, 1 << 40, 1)).await;
    let got = peer.got().await;
    assert_eq!(got.header, stream.answer(MessageKind::StreamHole, Status::Continue));
    assert_eq!(decode_hole(&got.body).unwrap(), StreamHole { length: 1 << 40, flags: 0 });
    assert_eq!(packet(&mut peer, stream, Status::Continue).await, [7; 3]);
    assert!(packet(&mut peer, stream, Status::Continue).await.is_empty());
    let stream = opened(&mut peer, &upload(1 << 41, 1)).await;
    hole(&mut peer, stream, 1 << 40).await;
    peer.packet(stream, Status::Ok, b"").await;
    packet(&mut peer, stream, Status::Ok).await;
}

async fn hole(peer: &mut Peer, stream: Header, length: i64) {
    let header = stream.answer(MessageKind::StreamHole, Status::Continue);
    let mut frame = Vec::new();
    let body = StreamHole { length, flags: 0 };
    encode_frame(&header, 0, &mut frame, |out| encode_hole(&body, out)).unwrap();
    peer.bytes(&frame).await;
}

#[tokio::test(start_paused = true)]
async fn holes_that_nobody_asked_for_end_the_connection() {
    let house = House::new(Limits::default());
    let mut other = house.open().await;
    for (flags, length) in [(0, 1), (1, -1)] {
        let mut peer = house.open().await;
        let stream = opened(&mut peer, &upload(10, flags)).await;
        hole(&mut peer, stream, length).await;
        assert!(peer.next().await.is_none());
    }
    assert_eq!(other.ask(&ConnectGetType).await.unwrap(), "dummy");
}

#[tokio::test(start_paused = true)]
async fn data_against_the_direction_fails_the_stream() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    // The driver waits for room long before this length is sent.
    let stream = opened(&mut peer, &download(1 << 40, 0, 0)).await;
    peer.packet(stream, Status::Continue, b"up").await;
    loop {
        let got = peer.got().await;
        if got.header.status == Status::Error {
            assert!(got.error().to_string().contains("from the daemon only"));
            break;
        }
    }
    assert_eq!(peer.ask(&ConnectGetType).await.unwrap(), "dummy");
}

#[tokio::test(start_paused = true)]
async fn packets_for_no_stream_are_dropped() {
    let house = House::new(Limits::default());
    let mut peer = house.open().await;
    let header = peer.send(&ConnectGetType).await;
    peer.got().await;
    for status in [Status::Continue, Status::Ok, Status::Error] {
        peer.packet(header, status, b"stray").await;
    }
    hole(&mut peer, header, 5).await;
    assert_eq!(peer.ask(&ConnectGetType).await.unwrap(), "dummy");
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files through streams and back, and what a client can do wrong.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};

use bytes::Bytes;

use super::super::{Packet, pair};
use super::*;

const MIB: u64 = 1 << 20;

fn file(content: &[u8]) -> File {
    let mut file = tempfile();
    file.write_all(content).unwrap();
    file
}

fn tempfile() -> File {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open(std::env::temp_dir(), flags, Mode::RUSR | Mode::WUSR).unwrap().into()
}

fn content(mut file: File) -> Vec<u8> {
    let mut all = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut all).unwrap();
    all
}

/// Bytes that differ from their neighbours.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect()
}

/// What a client gets of `file`.
async fn download(file: &File, extent: Extent, sparse: bool) -> Vec<Packet> {
    let (driver, mut client) = pair();
    let file = file.try_clone().unwrap();
    let task = tokio::spawn(async move {
        assert_eq!(send(&driver, file, extent, sparse).await.unwrap(), End::Whole);
        driver.finish().await;
    });
    let mut packets = Vec::new();
    loop {
        match client.receiver.recv().await {
            Packet::Finish => break,
            Packet::Abort(error) => panic!("{error:?}"),
            packet => packets.push(packet),
        }
    }
    task.await.unwrap();
    packets
}

fn joined(packets: &[Packet]) -> Vec<u8> {
    let mut all = Vec::new();
    for packet in packets {
        match packet {
            Packet::Data(data) => all.extend_from_slice(data),
            Packet::Hole(length) => all.resize(all.len() + usize::try_from(*length).unwrap(), 0),
            Packet::Finish | Packet::Abort(_) => unreachable!(),
        }
    }
    all
}

/// Sends `packets` into `file`; a client that has not finished then goes away.
async fn upload(file: &File, extent: Extent, packets: Vec<Packet>) -> Result<End> {
    let (driver, client) = pair();
    let task = tokio::spawn(receive(driver, file.try_clone().unwrap(), extent));
    let finishes = matches!(packets.last(), Some(Packet::Finish));
    for packet in packets {
        // A driver that has failed takes nothing more.
        let _gone = client.sender.send(packet).await;
    }
    let _waiting = finishes.then_some(client);
    task.await.unwrap()
}

fn data(bytes: &[u8]) -> Packet {
    Packet::Data(Bytes::copy_from_slice(bytes))
}

fn extent(offset: u64, length: u64) -> Extent {
    Extent { offset, length: Some(length) }
}

#[tokio::test]
async fn a_file_comes_as_it_is() {
    let all = pattern(3 * CHUNK * BATCH + 17);
    let file = file(&all);
    let packets = download(&file, Extent::default(), false).await;
    assert!(
        packets.iter().all(|packet| matches!(packet, Packet::Data(part) if part.len() <= CHUNK))
    );
    assert!(joined(&packets) == all);
}

#[tokio::test]
async fn a_part_comes_as_far_as_there_is_one() {
    let file = file(&pattern(1000));
    for (from, length, expected) in
        [(10, 20, 10..30), (990, 100, 990..1000), (1000, 5, 0..0), (5000, 5, 0..0)]
    {
        let part = joined(&download(&file, extent(from, length), false).await);
        assert_eq!(part, pattern(1000)[expected]);
    }
}

#[tokio::test]
async fn holes_come_as_holes_where_that_was_asked_for() {
    let file = tempfile();
    file.write_all_at(&pattern(4096), MIB).unwrap();
    file.set_len(3 * MIB).unwrap();
    let packets = download(&file, Extent::default(), true).await;
    assert!(
        matches!(
            packets[..],
            [Packet::Hole(MIB), Packet::Data(_), Packet::Hole(end)] if end == 2 * MIB - 4096
        ),
        "{packets:?}"
    );
    assert!(joined(&packets) == content(file.try_clone().unwrap()));
    let cut = download(&file, extent(5, MIB), true).await;
    assert!(matches!(cut[..], [Packet::Hole(hole), Packet::Data(_)] if hole == MIB - 5));
    assert!(matches!(download(&file, extent(9, 10), true).await[..], [Packet::Hole(10)]));
    assert!(download(&file, extent(4 * MIB, 10), true).await.is_empty());
}

#[tokio::test]
async fn what_is_sent_is_written_where_it_belongs() {
    let file = file(&pattern(100));
    let packets = vec![data(b"abc"), data(b"def"), Packet::Finish];
    assert_eq!(upload(&file, extent(10, 6), packets).await.unwrap(), End::Whole);
    let mut expected = pattern(100);
    expected[10..16].copy_from_slice(b"abcdef");
    assert_eq!(content(file), expected);
}

#[tokio::test]
async fn a_long_upload_arrives_whole() {
    let all = pattern(CHUNK * 20 + 3);
    let file = tempfile();
    let mut packets: Vec<_> = all.chunks(CHUNK).map(data).collect();
    packets.push(Packet::Finish);
    assert_eq!(upload(&file, Extent::default(), packets).await.unwrap(), End::Whole);
    assert!(content(file) == all);
}

#[tokio::test]
async fn holes_read_as_zeroes_and_take_no_room() {
    let file = file(&vec![7; 2 << 20]);
    let before = file.metadata().unwrap().blocks();
    let packets = vec![Packet::Hole(MIB), data(b"x"), Packet::Hole(3 * MIB), Packet::Finish];
    assert_eq!(upload(&file, Extent::default(), packets).await.unwrap(), End::Whole);
    assert!(file.metadata().unwrap().blocks() < before / 2);
    let mut expected = vec![0; 1 << 20];
    expected.push(b'x');
    expected.resize(usize::try_from(4 * MIB + 1).unwrap(), 0);
    assert!(content(file) == expected);
}

#[tokio::test]
async fn more_than_was_announced_is_refused_and_not_written() {
    for second in [data(b"45"), Packet::Hole(2)] {
        let file = tempfile();
        let packets = vec![data(b"123"), second, Packet::Finish];
        let error = upload(&file, extent(0, 4), packets).await.unwrap_err();
        assert_eq!(error.os_error(), Some(ENOSPC));
        assert!(error.to_string().contains("cannot write to stream"), "{error}");
        assert!(content(file).len() <= 4);
    }
    let beyond = Extent { offset: u64::MAX, length: None };
    assert_eq!(upload(&tempfile(), beyond, Vec::new()).await.unwrap_err().os_error(), Some(EINVAL));
    let packets = vec![Packet::Hole(u64::MAX), Packet::Finish];
    assert!(upload(&tempfile(), Extent::default(), packets).await.is_err());
}

#[tokio::test]
async fn whoever_gives_up_is_not_waited_for() {
    let file = file(&vec![1; CHUNK * 40]);
    let (driver, client) = pair();
    drop(client);
    let end = send(&driver, file.try_clone().unwrap(), Extent::default(), false).await;
    assert_eq!(end.unwrap(), End::Aborted);
    let unfinished = upload(&file, Extent::default(), vec![data(b"abc")]).await;
    assert_eq!(unfinished.unwrap(), End::Aborted);
    let aborted = upload(&file, Extent::default(), vec![data(b"abc"), Packet::Abort(None)]).await;
    assert_eq!(aborted.unwrap(), End::Aborted);
}

#[tokio::test]
async fn what_the_disk_refuses_is_told() {
    let read_only = File::open("/dev/null").unwrap();
    let packets = vec![data(b"x"), Packet::Finish];
    let error = upload(&read_only, Extent::default(), packets).await.unwrap_err();
    assert!(error.os_error().is_some());
    let (driver, _client) = pair();
    let folder = File::open("/").unwrap();
    assert!(
        send(&driver, folder, Extent::default(), false).await.unwrap_err().os_error().is_some()
    );
}

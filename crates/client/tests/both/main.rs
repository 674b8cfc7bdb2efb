// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an application does to a driver of its own process and to one behind a socket is the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod place;
mod ways;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use place::{DRIVER, Daemon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use virtus_client::api::{
    DomainEventLifecycle, StorageVolDownload, StorageVolDownloadFlags, StorageVolUploadFlags,
};
use virtus_client::{Chunk, Connection, ErrorCode, Notice, Options, Reconnect, StorageVolume};

/// A bound on what must not hang.
const SOON: Duration = Duration::from_secs(60);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("this should not take so long")
}

/// A connection of each kind.
async fn both(daemon: &Daemon) -> [Connection; 2] {
    let here = Connection::options().drivers(&[DRIVER]).open("place:///").await.unwrap();
    let there = Connection::open(&daemon.uri()).await.unwrap();
    [here, there]
}

async fn volume(connection: &Connection, key: &str) -> StorageVolume {
    connection.storage_vol_by_key(key).await.unwrap()
}

#[tokio::test]
async fn bytes_go_up_and_come_down() {
    let daemon = Daemon::start();
    for connection in both(&daemon).await {
        let volume = volume(&connection, "plain").await;
        let data: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8).collect();
        let mut upload = volume.upload(0, 0).await.unwrap();
        upload.write_all(&data).await.unwrap();
        upload.shutdown().await.unwrap();
        let mut download = volume.download(0, 0).await.unwrap();
        let mut back = Vec::new();
        soon(download.read_to_end(&mut back)).await.unwrap();
        assert!(back == data);
        soon(download.finish()).await.unwrap();
    }
}

#[tokio::test]
async fn holes_stay_holes_where_they_may() {
    let daemon = Daemon::start();
    for connection in both(&daemon).await {
        let volume = volume(&connection, "sparse").await;
        let mut plain = volume.upload(0, 0).await.unwrap();
        assert_eq!(plain.hole(5).await.unwrap_err().code(), ErrorCode::OperationInvalid);
        plain.abort();
        let sparse = volume.upload(0, 0).flags(StorageVolUploadFlags::SPARSE_STREAM);
        let mut upload = sparse.await.unwrap();
        upload.send("ab").await.unwrap();
        upload.hole(1 << 40).await.unwrap();
        upload.finish().await.unwrap();
        let sparse = volume.download(0, 0).flags(StorageVolDownloadFlags::SPARSE_STREAM);
        let mut download = sparse.await.unwrap();
        let mut chunks = Vec::new();
        while let Some(chunk) = soon(download.next()).await.unwrap() {
            chunks.push(chunk);
        }
        assert_eq!(chunks, [Chunk::Data(Bytes::from_static(b"ab")), Chunk::Hole(1 << 40)]);
    }
}

#[tokio::test]
async fn readers_of_bytes_see_zeroes_in_holes() {
    let daemon = Daemon::start();
    for connection in both(&daemon).await {
        let volume = volume(&connection, "holes").await;
        let mut upload = volume.upload(0, 0).flags(1_u32).await.unwrap();
        upload.hole(10_000).await.unwrap();
        upload.send("x").await.unwrap();
        upload.finish().await.unwrap();
        let mut back = Vec::new();
        let mut download = volume.download(0, 0).flags(1_u32).await.unwrap();
        soon(download.read_to_end(&mut back)).await.unwrap();
        assert!(
            back.len() == 10_001 && back[..10_000].iter().all(|b| *b == 0) && back[10_000] == b'x'
        );
    }
}

#[tokio::test]
async fn a_console_talks_both_ways_and_ends_when_it_should() {
    let daemon = Daemon::start();
    for connection in both(&daemon).await {
        let domain = connection.domain_by_name("vm").await.unwrap();
        let console = domain.open_console(None).await.unwrap();
        let (mut read, mut write) = tokio::io::split(console);
        write.write_all(b"hello").await.unwrap();
        write.flush().await.unwrap();
        let mut echo = [0; 5];
        soon(read.read_exact(&mut echo)).await.unwrap();
        assert_eq!(&echo, b"hello");
        soon(read.unsplit(write).finish()).await.unwrap();
    }
}

#[tokio::test]
async fn a_failed_stream_says_why() {
    let daemon = Daemon::start();
    for connection in both(&daemon).await {
        let volume = volume(&connection, "full").await;
        let mut upload = volume.upload(0, 0).await.unwrap();
        let failed = async {
            loop {
                upload.send(vec![1; 1 << 20]).await?;
            }
        };
        let failed: virtus_client::Result<()> = soon(failed).await;
        assert!(failed.unwrap_err().text().contains("'full' has no room"));
        let mut upload = volume.upload(0, 0).await.unwrap();
        let failed = async {
            loop {
                upload.write_all(&[1; 1 << 20]).await?;
            }
        };
        let failed: std::io::Result<()> = soon(failed).await;
        assert!(failed.unwrap_err().to_string().contains("'full' has no room"));
    }
}

#[tokio::test]
async fn what_is_stuck_ends_at_its_deadline_and_harms_nobody() {
    let daemon = Daemon::start();
    for connection in both(&daemon).await {
        let stuck = connection.domain_by_name("stuck").within(Duration::from_millis(50));
        let error = soon(async { stuck.await }).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::OperationTimeout);
        assert!(error.text().starts_with("virDomainLookupByName"), "{error}");
        assert_eq!(connection.domain_by_name("vm").await.unwrap().name(), "vm");
    }
}

#[tokio::test]
async fn kinds_of_events_that_the_driver_lacks_are_left_out() {
    let daemon = Daemon::start();
    let connection = Connection::open(&daemon.uri()).await.unwrap();
    let mut all = connection.domain_events().await.unwrap();
    daemon.place.emit(7);
    assert!(matches!(soon(all.next()).await, Some(Notice::Event(_))));
    let error = connection.events::<virtus_client::api::DomainEventReboot>().await.err().unwrap();
    assert_eq!(error.code(), ErrorCode::InvalidArg);
}

fn eager() -> Options {
    let first_pause = Duration::from_millis(1);
    Connection::options().reconnect(Reconnect { first_pause, ..Reconnect::default() })
}

#[tokio::test]
async fn a_lost_connection_comes_back_and_says_so() {
    let mut daemon = Daemon::start();
    let connection = eager().open(&daemon.uri()).await.unwrap();
    let mut events = connection.events::<DomainEventLifecycle>().await.unwrap();
    let domain = connection.domain_by_name("vm").await.unwrap();
    daemon.restart().await;
    assert!(matches!(soon(events.next()).await, Some(Notice::Lost(_))));
    assert!(matches!(soon(events.next()).await, Some(Notice::Reconnected)));
    daemon.place.emit(3);
    let event = soon(events.next()).await.unwrap().event().unwrap();
    assert_eq!(event.detail, 3);
    soon(async { domain.open_console(None).await }).await.unwrap();
}

#[tokio::test]
async fn who_is_refused_after_a_reconnect_is_told_and_may_ask_again() {
    let mut daemon = Daemon::start();
    let connection = eager().open(&daemon.uri()).await.unwrap();
    let domain = connection.domain_by_name("vm").await.unwrap();
    let mut all = connection.events::<DomainEventLifecycle>().await.unwrap();
    let mut one = domain.events::<DomainEventLifecycle>().await.unwrap();
    daemon.place.deserted.store(true, Ordering::SeqCst);
    daemon.place.busy.store(true, Ordering::SeqCst);
    daemon.restart().await;
    for events in [&mut all, &mut one] {
        assert!(matches!(soon(events.next()).await, Some(Notice::Lost(_))));
        assert!(matches!(soon(events.next()).await, Some(Notice::Reconnected)));
    }
    assert!(matches!(soon(all.next()).await, Some(Notice::Event(_))));
    let refusal = soon(one.next()).await;
    assert!(
        matches!(&refusal, Some(Notice::Refused(error)) if error.code() == ErrorCode::NoDomain),
        "{refusal:?}"
    );
    assert!(soon(one.next()).await.is_none());
    daemon.place.deserted.store(false, Ordering::SeqCst);
    let mut again = domain.events::<DomainEventLifecycle>().await.unwrap();
    assert!(matches!(soon(again.next()).await, Some(Notice::Event(_))));
}

#[tokio::test]
async fn without_that_wish_a_lost_connection_is_over() {
    let mut daemon = Daemon::start();
    let connection = Connection::open(&daemon.uri()).await.unwrap();
    let mut events = connection.events::<DomainEventLifecycle>().await.unwrap();
    daemon.restart().await;
    assert!(matches!(soon(events.next()).await, Some(Notice::Lost(_))));
    assert!(soon(events.next()).await.is_none());
    let error = connection.domain_by_name("vm").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Rpc);
}

#[tokio::test]
async fn a_daemon_that_never_answers_does_not_hold_up_opening() {
    let socket = std::env::temp_dir().join(format!("virtus-silent-{}.sock", std::process::id()));
    let _silent = UnixListener::bind(&socket).unwrap();
    let options = Connection::options().deadline(Duration::from_millis(50));
    let opened = options.open(&format!("place+unix:///?socket={}", socket.display())).await;
    std::fs::remove_file(&socket).unwrap();
    assert_eq!(opened.err().unwrap().code(), ErrorCode::OperationTimeout);
}

#[tokio::test]
async fn dropping_everything_closes_the_connection() {
    let daemon = Daemon::start();
    let connection = Connection::open(&daemon.uri()).await.unwrap();
    let events = connection.events::<DomainEventLifecycle>().await.unwrap();
    let domain = connection.domain_by_name("vm").await.unwrap();
    drop((connection, events));
    assert_eq!(daemon.server.clients(), 1);
    drop(domain);
    soon(async {
        while daemon.server.clients() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// The blocking face: the same calls, waited for.
#[test]
fn no_runtime_is_needed() {
    use std::io::{Read, Write};
    use virtus_client::blocking::{Blocking, Wait};

    let connection = Connection::options().drivers(&[DRIVER]).open("place:///").wait().unwrap();
    let volume = connection.storage_vol_by_key("blocking").wait().unwrap();
    let mut upload = Blocking(volume.upload(0, 0).wait().unwrap());
    upload.write_all(b"blocking").unwrap();
    upload.0.finish().wait().unwrap();
    let mut text = String::new();
    let request =
        StorageVolDownload { vol: volume.reference().clone(), offset: 0, length: 0, flags: 0 };
    assert_eq!(volume.download(0, 0).request(), &request);
    Blocking(volume.download(0, 0).wait().unwrap()).read_to_string(&mut text).unwrap();
    assert_eq!(text, "blocking");
    let events = connection.events::<DomainEventLifecycle>().wait().unwrap();
    connection.close().wait();
    assert_eq!(Blocking(events).count(), 0);
}

/// Events are a stream like any other.
#[tokio::test]
async fn events_combine_with_other_streams() {
    let daemon = Daemon::start();
    let connection = Connection::open(&daemon.uri()).await.unwrap();
    let events = connection.events::<DomainEventLifecycle>().await.unwrap();
    for detail in 0..3 {
        daemon.place.emit(detail);
    }
    let details = events.filter_map(|notice| async { notice.event().map(|event| event.detail) });
    let seen: Vec<i32> = soon(details.take(3).collect()).await;
    assert_eq!(seen, [0, 1, 2]);
}

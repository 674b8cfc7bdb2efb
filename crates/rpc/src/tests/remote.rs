// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The remote driver, against our server and against daemons that misbehave.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use virtus_api::{
    AnyRequest, AuthList, AuthType, ConnectDomainEventCallbackRegisterAny, ConnectGetType,
    ConnectOpen, ConnectSupportsFeature, DomainFdAssociate, DomainLookupByName, DomainOpenConsole,
    DomainOpenGraphicsFd, Error, ErrorCode, Request, Result, StorageVolDownload, StorageVolRef,
    StorageVolUpload,
};
use virtus_core::events::{Delivery, EventSink, NoEvents};
use virtus_core::stream::{self, Packet, Stream};
use virtus_core::{Call, Connection, Identity, Responder, Session, Uri};
use virtus_wire::frame::{Frame, Header, MessageKind, Status, encode_frame, frame_length};
use virtus_wire::{codec, program};

use super::driver::domain;
use super::peer::House;
use crate::engine::Authentication;
use crate::{Access, Hello, KeepalivePolicy, Limits, Remote};

/// A bound on what must not hang; the clock is stopped, so it costs nothing.
const SOON: Duration = Duration::from_secs(60);

fn hello() -> Hello {
    let keepalive = Some(KeepalivePolicy { interval: Duration::from_secs(5), count: 5 });
    Hello {
        name: "dummy:///x".into(),
        read_only: false,
        authentication: Authentication::default(),
        keepalive,
    }
}

async fn open_on(house: &House, events: Arc<dyn EventSink>) -> (Arc<Remote>, Connection) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    house.server.adopt(theirs, Access::default()).await.unwrap();
    let remote = Remote::open(ours.try_into().unwrap(), hello(), events).await.unwrap();
    let session = Session::new(Identity::default(), false, Uri::default(), Arc::new(NoEvents));
    (remote.clone(), Connection::new(session, vec![remote]))
}

async fn open(house: &House) -> (Arc<Remote>, Connection) {
    open_on(house, Arc::new(NoEvents)).await
}

/// Makes a call that opens a stream.
async fn streaming<R: Request>(connection: &Connection, request: R) -> Result<Stream> {
    let (theirs, ours) = stream::pair();
    let mut call = Call::new(connection.session().clone());
    call.stream = Some(theirs);
    connection.respond(call, AnyRequest::new(request)).await?;
    Ok(ours)
}

fn volume() -> StorageVolRef {
    StorageVolRef { pool: "p".into(), name: "v".into(), key: "k".into() }
}

#[tokio::test(start_paused = true)]
async fn calls_are_answered_at_once_late_and_with_errors() {
    let house = House::new(Limits::default());
    let (remote, connection) = open(&house).await;
    assert!(remote.abilities().keepalive && remote.abilities().callbacks);
    let late = connection.call(DomainLookupByName { name: "late".into() });
    let at_once = connection.call(ConnectGetType);
    let let_go = async {
        assert_eq!(at_once.await.unwrap(), "dummy");
        house.dummy.gate.notify_one();
    };
    let (late, ()) = tokio::join!(late, let_go);
    assert_eq!(late.unwrap().name, "late");
    let panic = connection.call(DomainLookupByName { name: "panic".into() }).await;
    assert_eq!(panic.unwrap_err().code(), ErrorCode::InternalError);
    let unknown = connection.call(virtus_api::ConnectGetCapabilities).await;
    assert_eq!(unknown.unwrap_err().code(), ErrorCode::NoSupport);
}

#[derive(Default)]
struct Seen(Mutex<Vec<Option<i32>>>);

impl EventSink for Seen {
    fn deliver(&self, delivery: Delivery) {
        self.0.lock().unwrap().push(delivery.callback);
    }
}

#[tokio::test(start_paused = true)]
async fn events_go_to_the_sink() {
    let house = House::new(Limits::default());
    let seen = Arc::new(Seen::default());
    let (_, connection) = open_on(&house, seen.clone()).await;
    let register = ConnectDomainEventCallbackRegisterAny { event_id: 0, dom: None };
    let callback = connection.call(register).await.unwrap();
    house.dummy.emit(1);
    connection.call(ConnectGetType).await.unwrap();
    assert_eq!(*seen.0.lock().unwrap(), [Some(callback)]);
}

#[tokio::test(start_paused = true)]
async fn descriptors_travel_both_ways() {
    let house = House::new(Limits::default());
    let (_, connection) = open(&house).await;
    let mut call = Call::new(connection.session().clone());
    for text in ["na", "me"] {
        let (read, write) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&write, text.as_bytes()).unwrap();
        call.fds.push(read);
    }
    let request = DomainFdAssociate { dom: domain("vm"), name: "name".into(), flags: 0 };
    connection.respond(call, AnyRequest::new(request)).await.unwrap();
    let call = Call::new(connection.session().clone());
    let request = DomainOpenGraphicsFd { dom: domain("vm"), idx: 2, flags: 0 };
    let reply = connection.respond(call, AnyRequest::new(request)).await.unwrap();
    assert_eq!(reply.fds.len(), 2);
    for fd in reply.fds {
        assert_eq!(std::fs::File::from(fd).read(&mut [0]).unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_console_runs_both_ways() {
    let house = House::new(Limits::default());
    let (_, connection) = open(&house).await;
    let request = DomainOpenConsole { dom: domain("vm"), dev_name: None, flags: 0 };
    let mut console = streaming(&connection, request).await.unwrap();
    console.sender.send(Packet::Data(Bytes::from_static(b"hello"))).await.unwrap();
    assert!(matches!(console.receiver.recv().await, Packet::Data(data) if data == "hello"));
    console.sender.send(Packet::Finish).await.unwrap();
    assert!(matches!(console.receiver.recv().await, Packet::Finish));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_stops_the_daemon_and_loses_nothing() {
    let house = House::new(Limits::default());
    let (_, connection) = open(&house).await;
    let length = 32 << 20;
    let request = StorageVolDownload { vol: volume(), offset: 0, length, flags: 0 };
    let mut download = streaming(&connection, request).await.unwrap();
    // Long enough for all of it if nothing held it back, and for keepalive to give us up.
    tokio::time::sleep(Duration::from_secs(55)).await;
    let mut received = 0;
    loop {
        match timeout(SOON, download.receiver.recv()).await.unwrap() {
            Packet::Data(data) => received += data.len() as u64,
            Packet::Finish => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received, length);
    download.finish().await;
    assert_eq!(connection.call(ConnectGetType).await.unwrap(), "dummy");
}

#[tokio::test(start_paused = true)]
async fn an_upload_with_a_hole_is_confirmed_and_one_too_long_is_refused() {
    let house = House::new(Limits::default());
    let (_, connection) = open(&house).await;
    for (length, confirmed) in [(3 + (1 << 40), true), (4, false)] {
        let request = StorageVolUpload { vol: volume(), offset: 0, length, flags: 1 };
        let mut upload = streaming(&connection, request).await.unwrap();
        upload.sender.send(Packet::Data(Bytes::from_static(b"abc"))).await.unwrap();
        upload.sender.send(Packet::Hole(1 << 40)).await.unwrap();
        upload.sender.send(Packet::Finish).await.unwrap();
        match upload.receiver.recv().await {
            Packet::Finish => assert!(confirmed),
            Packet::Abort(Some(error)) => {
                assert!(!confirmed && error.text().contains("more data than announced"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_is_aborted_and_its_place_is_free_again() {
    let house = House::new(Limits::default());
    let (_, connection) = open(&house).await;
    for _ in 0..200 {
        let request = DomainOpenConsole { dom: domain("stuck"), dev_name: None, flags: 0 };
        drop(streaming(&connection, request).await.unwrap());
        connection.call(ConnectGetType).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn closing_tells_the_daemon_and_the_handles() {
    let house = House::new(Limits::default());
    let (remote, connection) = open(&house).await;
    connection.close();
    let reason = timeout(SOON, remote.ended()).await.unwrap();
    assert_eq!(reason.text(), "the connection is closed");
    timeout(SOON, house.dummy.ended.notified()).await.unwrap();
    connection.call(ConnectGetType).await.unwrap_err();
}

/// Reads one frame of the client.
async fn frame(socket: &mut UnixStream) -> Header {
    let mut bytes = vec![0; 4];
    socket.read_exact(&mut bytes).await.unwrap();
    let length = frame_length(&bytes).unwrap().unwrap();
    bytes.resize(length, 0);
    socket.read_exact(&mut bytes[4..]).await.unwrap();
    Frame::decode(&bytes).unwrap().header
}

async fn answer<R: Request>(socket: &mut UnixStream, reply: R::Reply) {
    let header = frame(socket).await;
    let mut bytes = Vec::new();
    let reply = virtus_api::AnyReply::new::<R>(reply);
    encode_frame(&header.answer(MessageKind::Reply, Status::Ok), 0, &mut bytes, |out| {
        codec::encode_reply(R::CALL, &reply, out)
    })
    .unwrap();
    socket.write_all(&bytes).await.unwrap();
}

/// A daemon that greets as it should, and what follows is the test's.
async fn impostor() -> (UnixStream, Arc<Remote>) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let daemon = async {
        answer::<AuthList>(&mut theirs, vec![AuthType::None]).await;
        answer::<ConnectSupportsFeature>(&mut theirs, 1).await;
        answer::<ConnectOpen>(&mut theirs, ()).await;
        answer::<ConnectSupportsFeature>(&mut theirs, 1).await;
    };
    let (remote, ()) =
        tokio::join!(Remote::open(ours.try_into().unwrap(), hello(), Arc::new(NoEvents)), daemon);
    (theirs, remote.unwrap())
}

fn get_type(remote: &Remote) -> virtus_core::BoxFuture<Result<virtus_api::AnyReply>> {
    let session = Session::new(Identity::default(), false, Uri::default(), Arc::new(NoEvents));
    remote.respond(Call::new(session), AnyRequest::new(ConnectGetType))
}

#[tokio::test(start_paused = true)]
async fn a_silent_daemon_is_noticed_by_keepalive() {
    let (_theirs, remote) = impostor().await;
    let begun = tokio::time::Instant::now();
    let error = timeout(SOON, get_type(&remote)).await.unwrap().unwrap_err();
    assert!(error.text().contains("keepalive"), "{error}");
    assert_eq!(begun.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_hangs_up_fails_what_waits() {
    let (mut theirs, remote) = impostor().await;
    let (reply, _) = tokio::join!(get_type(&remote), async {
        frame(&mut theirs).await;
        drop(theirs);
    });
    let error: Error = reply.unwrap_err();
    assert!(error.text().contains("connection to the daemon is lost"), "{error}");
    assert!(remote.lost().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_lies_is_cut_off() {
    let wrong_serial = {
        let header = Header::call(program::address(ConnectGetType::CALL), 4711);
        let mut bytes = Vec::new();
        let reply = header.answer(MessageKind::Reply, Status::Ok);
        virtus_wire::frame::encode_raw(&reply, &[], &mut bytes).unwrap();
        bytes
    };
    for (bytes, word) in [(wrong_serial, "4711"), (vec![0xff; 64], "cannot be")] {
        let (mut theirs, remote) = impostor().await;
        theirs.write_all(&bytes).await.unwrap();
        let error = timeout(SOON, remote.ended()).await.unwrap();
        assert!(error.text().contains(word), "{error}");
        get_type(&remote).await.unwrap_err();
        assert_eq!(theirs.read(&mut [0; 4096]).await.unwrap_or(0), 0, "it should be closed");
    }
}

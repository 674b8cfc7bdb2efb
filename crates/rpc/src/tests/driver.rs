// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The driver of these tests: answers `dummy:///x` at once, late, never, with a panic, by streams.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;
use virtus_api::{
    ConnectDomainEventCallbackDeregisterAny, ConnectDomainEventCallbackRegisterAny,
    ConnectDomainEventDeregisterAny, ConnectDomainEventRegisterAny, ConnectGetType,
    DomainCreateXml, DomainEventLifecycle, DomainFdAssociate, DomainLookupByName,
    DomainOpenConsole, DomainOpenGraphicsFd, DomainRef, Error, ErrorCode, Family, Result,
    StorageVolDownload, StorageVolUpload,
};
use virtus_core::events::{Hub, Interest};
use virtus_core::stream::{Packet, Stream};
use virtus_core::{BoxFuture, Call, Driver, Responder, Role, Routes, Service, Session, Uri};

#[derive(Default)]
pub(super) struct Dummy {
    /// Lets the lookup of "late" answer.
    pub(super) gate: Notify,
    /// Sessions that have ended.
    pub(super) ended: Notify,
    /// Lookups of "busy" so far; each takes 300 µs of the processor.
    pub(super) busy: AtomicUsize,
    pub(super) hub: Hub,
    /// In the order in which they were opened.
    pub(super) sessions: Mutex<Vec<Arc<Session>>>,
}

pub(super) struct Handle(pub(super) Arc<Dummy>);

impl Dummy {
    pub(super) fn emit(&self, detail: i32) {
        self.hub.emit(DomainEventLifecycle { dom: domain("vm"), event: 2, detail });
    }
}

pub(super) fn domain(name: &str) -> DomainRef {
    DomainRef { name: name.to_owned(), uuid: uuid::Uuid::nil(), id: 7 }
}

impl Driver for Handle {
    fn name(&self) -> &'static str {
        "dummy"
    }

    fn serves(&self, uri: &Uri) -> Result<bool> {
        Ok(uri.scheme == "dummy")
    }

    fn default_uri(&self) -> Option<Uri> {
        Uri::parse("dummy:///default").ok()
    }

    fn role(&self) -> Role {
        Role::Hypervisor
    }

    fn open(&self, session: &Arc<Session>) -> BoxFuture<Result<Arc<dyn Responder>>> {
        self.0.sessions.lock().unwrap().push(session.clone());
        let routes = Routes::new()
            .on(get_type)
            .on(lookup)
            .on(create)
            .on(console)
            .on(upload)
            .on(download)
            .on(associate)
            .on_with_fds(graphics)
            .on(register)
            .on(deregister)
            .on(register_old)
            .on(deregister_old);
        let service = Service::new(self.0.clone(), routes, |dummy, session| {
            dummy.hub.session_closed(session);
            dummy.ended.notify_one();
        });
        Box::pin(async { Ok(service as Arc<dyn Responder>) })
    }
}

async fn get_type(_: Arc<Dummy>, _: Call, _: ConnectGetType) -> Result<String> {
    Ok("dummy".to_owned())
}

async fn lookup(dummy: Arc<Dummy>, _: Call, request: DomainLookupByName) -> Result<DomainRef> {
    match request.name.as_str() {
        "late" => dummy.gate.notified().await,
        "never" => std::future::pending().await,
        "busy" => {
            dummy.busy.fetch_add(1, Ordering::Relaxed);
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(300) {}
        }
        "panic" => panic!("the handler's own mistake"),
        "late panic" => {
            tokio::task::yield_now().await;
            panic!("the handler's own mistake");
        }
        "nul" => return Ok(domain("a\0b")),
        _ => {}
    }
    Ok(domain(&request.name))
}

async fn create(_: Arc<Dummy>, _: Call, _: DomainCreateXml) -> Result<DomainRef> {
    Ok(domain("made"))
}

/// Gives back what it gets; "stuck" takes nothing; "broken" lets go at once.
async fn console(_: Arc<Dummy>, mut call: Call, request: DomainOpenConsole) -> Result<()> {
    let Some(stream) = call.stream.take() else { return Err(no_stream()) };
    match request.dom.name.as_str() {
        "broken" => drop(stream),
        "stuck" => {
            tokio::spawn(async move {
                stream.sender.closed().await;
                drop(stream);
            });
        }
        _ => {
            tokio::spawn(echo(stream));
        }
    }
    Ok(())
}

async fn echo(mut stream: Stream) {
    loop {
        match stream.receiver.recv().await {
            Packet::Finish => return stream.finish().await,
            Packet::Abort(_) => return,
            packet => {
                if stream.sender.send(packet).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Takes as many bytes as announced; more is an error.
async fn upload(_: Arc<Dummy>, mut call: Call, request: StorageVolUpload) -> Result<()> {
    let Some(mut stream) = call.stream.take() else { return Err(no_stream()) };
    tokio::spawn(async move {
        let mut rest = request.length;
        loop {
            let taken = match stream.receiver.recv().await {
                Packet::Data(data) => u64::try_from(data.len()).unwrap_or(u64::MAX),
                Packet::Hole(length) => length,
                Packet::Finish => return stream.finish().await,
                Packet::Abort(_) => return,
            };
            match rest.checked_sub(taken) {
                Some(left) => rest = left,
                None => {
                    let text = "more data than announced for volume 'v'";
                    return stream.fail(Error::new(ErrorCode::OperationFailed, text)).await;
                }
            }
        }
    });
    Ok(())
}

/// Sends `length` bytes, a hole of `offset` bytes if asked for sparse, and finishes.
async fn download(_: Arc<Dummy>, mut call: Call, request: StorageVolDownload) -> Result<()> {
    let Some(stream) = call.stream.take() else { return Err(no_stream()) };
    tokio::spawn(async move {
        if request.flags & 1 != 0 {
            let _gone = stream.sender.send(Packet::Hole(request.offset)).await;
        }
        let mut rest = usize::try_from(request.length).unwrap_or(0);
        while rest > 0 {
            let part = rest.min(1 << 20);
            rest -= part;
            if stream.sender.send(Packet::Data(Bytes::from(vec![7; part]))).await.is_err() {
                return;
            }
        }
        stream.finish().await;
    });
    Ok(())
}

fn no_stream() -> Error {
    Error::new(ErrorCode::InternalError, "a stream call came without its stream")
}

/// Refuses unless the descriptors can be read and hold the domain's name, one after another.
async fn associate(_: Arc<Dummy>, call: Call, request: DomainFdAssociate) -> Result<()> {
    let mut text = String::new();
    for fd in call.fds {
        std::fs::File::from(fd).read_to_string(&mut text).map_err(|e| Error::system("read", &e))?;
    }
    if text == request.name {
        return Ok(());
    }
    Err(Error::new(ErrorCode::InvalidArg, format!("the descriptors hold '{text}'")))
}

/// Answers with `idx` descriptors.
async fn graphics(
    _: Arc<Dummy>,
    _: Call,
    request: DomainOpenGraphicsFd,
) -> Result<((), Vec<OwnedFd>)> {
    let mut fds = Vec::new();
    for _ in 0..request.idx {
        let (fd, _other) = rustix::pipe::pipe().map_err(|e| Error::system("pipe", &e.into()))?;
        fds.push(fd);
    }
    Ok(((), fds))
}

async fn register(
    dummy: Arc<Dummy>,
    call: Call,
    request: ConnectDomainEventCallbackRegisterAny,
) -> Result<i32> {
    dummy.hub.register(&call.session, Interest::new(Family::Domain, request.event_id, None))
}

async fn deregister(
    dummy: Arc<Dummy>,
    call: Call,
    request: ConnectDomainEventCallbackDeregisterAny,
) -> Result<()> {
    dummy.hub.deregister(&call.session, Family::Domain, request.callback_id)
}

async fn register_old(
    dummy: Arc<Dummy>,
    call: Call,
    request: ConnectDomainEventRegisterAny,
) -> Result<()> {
    dummy.hub.register_legacy(&call.session, Family::Domain, request.event_id)
}

async fn deregister_old(
    dummy: Arc<Dummy>,
    call: Call,
    request: ConnectDomainEventDeregisterAny,
) -> Result<()> {
    dummy.hub.deregister_legacy(&call.session, Family::Domain, request.event_id)
}

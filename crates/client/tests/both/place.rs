// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A driver with volumes and one console, in this process and behind a socket: both look the same
//! to an application.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::UnixListener;
use virtus_client::api::{
    CallId, ConnectDomainEventCallbackDeregisterAny, ConnectDomainEventCallbackRegisterAny,
    DomainEventLifecycle, DomainLookupByName, DomainOpenConsole, DomainRef, Error, ErrorCode,
    Family, Result, StorageVolDownload, StorageVolLookupByKey, StorageVolRef, StorageVolUpload,
};
use virtus_core::events::{Hub, Interest, Key};
use virtus_core::stream::{Packet, Stream};
use virtus_core::{
    BoxFuture, Call, Driver, DriverEntry, Responder, Role, Routes, Service, Session, Uri,
};
use virtus_rpc::{Access, Limits, Listener, Server, Serving};

/// Volumes: what was uploaded last to each, holes and all. Tests of one process share those of the driver in it.
#[derive(Default)]
pub(crate) struct Place {
    volumes: Mutex<HashMap<String, Vec<Packet>>>,
    pub(crate) hub: Hub,
    /// Whether events of one domain alone are refused, as if it were gone.
    pub(crate) deserted: AtomicBool,
    /// Whether something happens between a registration and the answer to it.
    pub(crate) busy: AtomicBool,
}

pub(crate) const DRIVER: DriverEntry = DriverEntry {
    name: "Place",
    for_users: true,
    conf: None,
    calls: Vec::<CallId>::new,
    start: |_| Box::pin(async { Ok(Arc::new(Handle::default()) as Arc<dyn Driver>) }),
    rehearse: |_, _| Box::pin(async { Ok(None) }),
};

#[derive(Default)]
pub(crate) struct Handle(pub(crate) Arc<Place>);

impl Driver for Handle {
    fn name(&self) -> &'static str {
        DRIVER.name
    }

    fn role(&self) -> Role {
        Role::World
    }

    fn serves(&self, uri: &Uri) -> Result<bool> {
        Ok(uri.scheme == "place")
    }

    fn default_uri(&self) -> Option<Uri> {
        Uri::parse("place:///").ok()
    }

    fn open(&self, _: &Arc<Session>) -> BoxFuture<Result<Arc<dyn Responder>>> {
        let routes = Routes::new()
            .on(domain)
            .on(volume)
            .on(console)
            .on(upload)
            .on(download)
            .on(register)
            .on(deregister);
        let service = Service::new(self.0.clone(), routes, |place, session| {
            place.hub.session_closed(session)
        });
        Box::pin(async { Ok(service as Arc<dyn Responder>) })
    }
}

impl Place {
    pub(crate) fn emit(&self, detail: i32) {
        let dom = DomainRef { name: "vm".into(), uuid: uuid::Uuid::nil(), id: 1 };
        self.hub.emit(DomainEventLifecycle { dom, event: 2, detail });
    }
}

/// "stuck" is found by nobody, ever.
async fn domain(_: Arc<Place>, _: Call, request: DomainLookupByName) -> Result<DomainRef> {
    if request.name == "stuck" {
        std::future::pending::<()>().await;
    }
    Ok(DomainRef { name: request.name, uuid: uuid::Uuid::nil(), id: 1 })
}

async fn volume(_: Arc<Place>, _: Call, request: StorageVolLookupByKey) -> Result<StorageVolRef> {
    Ok(StorageVolRef { pool: "p".into(), name: request.key.clone(), key: request.key })
}

fn taken(mut call: Call) -> Result<Stream> {
    call.stream.take().ok_or_else(|| Error::new(ErrorCode::InternalError, "no stream"))
}

async fn console(_: Arc<Place>, call: Call, _: DomainOpenConsole) -> Result<()> {
    let mut stream = taken(call)?;
    tokio::spawn(async move {
        while let Packet::Data(data) = stream.receiver.recv().await {
            if stream.sender.send(Packet::Data(data)).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// A volume "full" takes nothing.
async fn upload(place: Arc<Place>, call: Call, request: StorageVolUpload) -> Result<()> {
    let mut stream = taken(call)?;
    tokio::spawn(async move {
        let mut packets = Vec::new();
        loop {
            match stream.receiver.recv().await {
                Packet::Finish => {
                    place.volumes.lock().unwrap().insert(request.vol.key, packets);
                    return stream.finish().await;
                }
                Packet::Abort(_) => return,
                _ if request.vol.name == "full" => {
                    let error = Error::new(ErrorCode::OperationFailed, "volume 'full' has no room");
                    return stream.fail(error).await;
                }
                packet => packets.push(packet),
            }
        }
    });
    Ok(())
}

async fn download(place: Arc<Place>, call: Call, request: StorageVolDownload) -> Result<()> {
    let stream = taken(call)?;
    let packets = place.volumes.lock().unwrap().remove(&request.vol.key).unwrap_or_default();
    tokio::spawn(async move {
        for packet in packets {
            if stream.sender.send(packet).await.is_err() {
                return;
            }
        }
        stream.finish().await;
    });
    Ok(())
}

async fn register(
    place: Arc<Place>,
    call: Call,
    request: ConnectDomainEventCallbackRegisterAny,
) -> Result<i32> {
    if request.event_id != 0 {
        return Err(Error::new(ErrorCode::InvalidArg, "there are no such events"));
    }
    if request.dom.is_some() && place.deserted.load(Ordering::SeqCst) {
        return Err(Error::new(ErrorCode::NoDomain, "'vm' is gone"));
    }
    let interest =
        Interest::new(Family::Domain, request.event_id, request.dom.map(|dom| Key::Uuid(dom.uuid)));
    let callback = place.hub.register(&call.session, interest)?;
    if place.busy.load(Ordering::SeqCst) {
        place.emit(0);
    }
    Ok(callback)
}

async fn deregister(
    place: Arc<Place>,
    call: Call,
    request: ConnectDomainEventCallbackDeregisterAny,
) -> Result<()> {
    place.hub.deregister(&call.session, Family::Domain, request.callback_id)
}

/// A daemon with the driver on a socket of its own.
pub(crate) struct Daemon {
    pub(crate) place: Arc<Place>,
    pub(crate) server: Arc<Server>,
    socket: PathBuf,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("virtus-client-{}-{number}.sock", std::process::id());
        let socket = std::env::temp_dir().join(name);
        let place = Arc::new(Place::default());
        let server = serve(&place, &socket);
        Self { place, server, socket }
    }

    pub(crate) fn uri(&self) -> String {
        format!("place+unix:///?socket={}", self.socket.display())
    }

    /// A daemon that comes after this one has gone.
    pub(crate) async fn restart(&mut self) {
        self.server.stop(std::time::Duration::ZERO).await;
        std::fs::remove_file(&self.socket).unwrap();
        self.server = serve(&self.place, &self.socket);
    }
}

fn serve(place: &Arc<Place>, socket: &std::path::Path) -> Arc<Server> {
    let drivers: Vec<Arc<dyn Driver>> = vec![Arc::new(Handle(place.clone()))];
    let server = Server::new("place", Limits::default(), Serving::Drivers(drivers));
    let listener = UnixListener::bind(socket).unwrap();
    server.listen(Listener::Unix(listener), Access::default());
    server
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The system may have tidied up.
        let _gone = std::fs::remove_file(&self.socket);
    }
}

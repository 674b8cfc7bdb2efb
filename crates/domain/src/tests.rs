// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The machinery on a hypervisor that exists only in memory: what clients see and hear.

mod life;
mod many;
mod null;
mod paper;
mod restart;
mod sick;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use null::{Host, Null};
use virtus_api::{DomainEvent, DomainLookupByName, DomainRef, Event, Family, Request, Result};
use virtus_core::events::{Delivery, EventSink, Hub, Interest};
use virtus_core::{Connection, Identity, Paths, Service, Session, Uri};

use crate::machines::Machines;
use crate::routes::{HasMachines, device_routes, routes};

/// A folder that goes when the test ends.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("virtus-domain-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn paths(&self) -> Paths {
        Paths::system_below(&self.0)
    }

    fn file(&self, path: &str) -> std::path::PathBuf {
        self.0.join(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _litter = std::fs::remove_dir_all(&self.0);
    }
}

struct Driver {
    machines: Arc<Machines<Null>>,
}

impl HasMachines for Driver {
    type Machine = Null;

    fn machines(&self) -> &Arc<Machines<Null>> {
        &self.machines
    }
}

/// What a client has heard, in libvirt's words.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl EventSink for Heard {
    fn deliver(&self, delivery: Delivery) {
        let text = match &*delivery.event {
            Event::Domain(DomainEvent::Lifecycle(event)) => {
                format!("{} {}.{}", event.dom.name, event.event, event.detail)
            }
            other => format!("event {}", other.id()),
        };
        self.0.lock().unwrap().push(text);
    }
}

impl Heard {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// A daemon with one client.
struct Daemon {
    machines: Arc<Machines<Null>>,
    client: Connection,
    heard: Arc<Heard>,
}

fn connect(session: Arc<Session>, machines: &Arc<Machines<Null>>) -> Connection {
    let driver = Arc::new(Driver { machines: machines.clone() });
    let service = Service::new(driver, routes().include(device_routes()), |driver, session| {
        driver.machines.session_closed(session);
    });
    Connection::new(session, vec![service])
}

impl Daemon {
    async fn start(folder: &Folder, host: &Arc<Host>) -> Self {
        let hub = Arc::new(Hub::new());
        let heard = Arc::new(Heard::default());
        let session = Session::new(Identity::default(), false, Uri::default(), heard.clone());
        for id in [0, 1, 11, 12, 14, 23] {
            hub.register(&session, Interest::new(Family::Domain, id, None)).unwrap();
        }
        let null = Arc::new(Null { host: host.clone() });
        let machines = Machines::open(null, hub, &folder.paths()).await.unwrap();
        let client = connect(session, &machines);
        Self { machines, client, heard }
    }

    async fn call<R: Request>(&self, request: R) -> Result<R::Reply> {
        self.client.call(request).await
    }

    async fn dom(&self, name: &str) -> DomainRef {
        self.call(DomainLookupByName { name: name.into() }).await.unwrap()
    }

    /// A second client of the same daemon.
    fn other_client(&self) -> Connection {
        let session =
            Session::new(Identity::default(), false, Uri::default(), Arc::new(Heard::default()));
        connect(session, &self.machines)
    }

    /// kill -9: nobody is told, nothing is finished.
    fn killed(self) {
        self.machines.abandon();
    }
}

fn xml(name: &str) -> String {
    let name = name.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<domain type='test'><name>{name}</name><memory>1048576</memory><vcpu current='2'>4</vcpu>\
         <os><type>hvm</type></os></domain>"
    )
}

/// The same with a UUID.
fn xml_with(name: &str, uuid: u128) -> String {
    let uuid = uuid::Uuid::from_u128(uuid);
    xml(name).replace("<memory>", &format!("<uuid>{uuid}</uuid><memory>"))
}

/// Writes a file as somebody else would.
fn put(path: impl AsRef<std::path::Path>, text: impl AsRef<[u8]>) {
    use std::io::Write;
    std::fs::File::create(path).unwrap().write_all(text.as_ref()).unwrap();
}

/// Waits until `ready`; paused clocks run on meanwhile.
async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if ready() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("{what} did not come");
}

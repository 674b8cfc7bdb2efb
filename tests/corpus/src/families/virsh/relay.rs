// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A server of the test driver that asks our client for everything.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use virtus_api::{
    AnyReply, AnyRequest, CallId, ConnectDomainEventCallbackDeregisterAny,
    ConnectDomainEventCallbackRegisterAny, Family, Result,
};
use virtus_client::{Connection, Notice};
use virtus_core::events::{Hub, Interest, Key};
use virtus_core::{BoxFuture, Call, Driver, Responder, Role, Routes, Session, Uri};
use virtus_rpc::{Access, Limits, Listener, Server, Serving};

/// How long sessions may take to end.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server on a socket of its own.
pub(super) struct Relay {
    socket: PathBuf,
    sessions: watch::Sender<usize>,
    server: Arc<Server>,
    runtime: &'static Runtime,
}

/// The runtime of all relays: the test driver, which is started once, lives on it.
static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(Runtime::new);

impl Relay {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = RUNTIME.as_ref().map_err(|cause| io::Error::other(cause.to_string()))?;
        let _inside = runtime.enter();
        let socket = std::env::temp_dir().join(format!("virtus-relay-{}.sock", std::process::id()));
        let sessions = watch::Sender::new(0);
        let driver: Arc<dyn Driver> = Arc::new(Passing { sessions: sessions.clone() });
        let server = Server::new("relay", Limits::default(), Serving::Drivers(vec![driver]));
        server.listen(Listener::Unix(UnixListener::bind(&socket)?), Access::default());
        Ok(Self { socket, sessions, server, runtime })
    }

    /// The URI under which a client of this process' server finds what `test://…` is to others.
    pub(super) fn uri(&self, plain: &str) -> String {
        let (head, parameters) = plain.split_once('?').unwrap_or((plain, ""));
        let head = head.replacen("test:", "test+unix:", 1);
        let mark = if parameters.is_empty() { "" } else { "&" };
        format!("{head}?socket={}{mark}{parameters}", self.socket.display())
    }

    /// A text with the URIs as they were.
    pub(super) fn unnamed(&self, text: &str) -> String {
        let socket = format!("?socket={}", self.socket.display());
        text.replace("test+unix:", "test:").replace(&format!("{socket}&"), "?").replace(&socket, "")
    }

    /// Waits until all sessions, and the worlds that they saw, have ended.
    pub(super) fn settle(&self) -> std::result::Result<(), String> {
        let mut sessions = self.sessions.subscribe();
        let ended = async {
            tokio::time::timeout(DEADLINE, sessions.wait_for(|count| *count == 0)).await.is_ok()
        };
        if self.runtime.block_on(ended) { Ok(()) } else { Err("a session does not end".to_owned()) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.runtime.block_on(self.server.stop(Duration::ZERO));
        let _gone = std::fs::remove_file(&self.socket);
    }
}

/// Opens a connection of our client for each session.
struct Passing {
    sessions: watch::Sender<usize>,
}

impl Driver for Passing {
    fn name(&self) -> &'static str {
        "Relay"
    }

    fn role(&self) -> Role {
        Role::World
    }

    fn serves(&self, uri: &Uri) -> Result<bool> {
        Ok(uri.scheme == "test")
    }

    fn open(&self, session: &Arc<Session>) -> BoxFuture<Result<Arc<dyn Responder>>> {
        let (uri, sessions) = (session.uri.to_string(), self.sessions.clone());
        Box::pin(async move {
            let connection = Connection::open(&uri).await?;
            let mut events = connection.domain_events().await?;
            sessions.send_modify(|count| *count += 1);
            let hub = Arc::new(Hub::new());
            let heard = hub.clone();
            tokio::spawn(async move {
                while let Some(notice) = events.next().await {
                    if let Notice::Event(event) = notice {
                        heard.emit(event);
                    }
                }
            });
            let own = Routes::new().on(register).on(deregister);
            Ok(Arc::new(Asked { connection, hub, own, sessions }) as Arc<dyn Responder>)
        })
    }
}

/// Hands calls to the client; its events go to who registers here.
struct Asked {
    connection: Connection,
    hub: Arc<Hub>,
    own: Routes<Hub>,
    sessions: watch::Sender<usize>,
}

impl Responder for Asked {
    fn answers(&self, _: CallId) -> bool {
        true
    }

    fn respond(&self, call: Call, request: AnyRequest) -> BoxFuture<Result<AnyReply>> {
        if self.own.answers(request.call()) {
            return self.own.respond(&self.hub, call, request);
        }
        let connection = self.connection.clone();
        Box::pin(async move { connection.call_any(request).await })
    }

    fn session_closed(&self, _: &Arc<Session>) {
        let (connection, sessions) = (self.connection.clone(), self.sessions.clone());
        tokio::spawn(async move {
            connection.close().await;
            sessions.send_modify(|count| *count -= 1);
        });
    }
}

async fn register(
    hub: Arc<Hub>,
    call: Call,
    request: ConnectDomainEventCallbackRegisterAny,
) -> Result<i32> {
    let key = request.dom.map(|dom| Key::Uuid(dom.uuid));
    hub.register(&call.session, Interest::new(Family::Domain, request.event_id, key))
}

async fn deregister(
    hub: Arc<Hub>,
    call: Call,
    request: ConnectDomainEventCallbackDeregisterAny,
) -> Result<()> {
    hub.deregister(&call.session, Family::Domain, request.callback_id)
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One listening socket.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::net::sockopt::set_socket_keepalive;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};
use virtus_core::Identity;
use virtus_host::peer::selinux_context;
use virtus_host::process::Stat;

use super::{Access, Opened, Place, Server};
use crate::bell::Bell;
use crate::client::{Authentication, Client, SILENT_LIMIT};
use crate::transport::{self, Admitted, Refused, Transport};

/// Pause after a failed accept: the usual cause (no descriptors left) passes when clients leave.
const PAUSE: Duration = Duration::from_millis(100);

/// Where clients come from.
#[derive(Debug)]
pub enum Listener {
    /// From this host.
    Unix(UnixListener),
    /// From anywhere, in clear text.
    Tcp(TcpListener),
    /// From anywhere, with TLS; see [`Server::set_tls`].
    Tls(TcpListener),
}

/// A connection as it comes.
pub(super) enum Arrived {
    /// The client may speak.
    Ready(Transport),
    /// The client has to shake hands first.
    Encrypted(TcpStream),
}

impl Listener {
    async fn accept(&self) -> io::Result<Arrived> {
        Ok(match self {
            Self::Unix(listener) => Arrived::Ready(listener.accept().await?.0.try_into()?),
            Self::Tcp(listener) => Arrived::Ready(prepared(listener.accept().await?.0).into()),
            Self::Tls(listener) => Arrived::Encrypted(prepared(listener.accept().await?.0)),
        })
    }
}

/// Small answers go out at once, and a host that vanished is noticed some day.
fn prepared(socket: TcpStream) -> TcpStream {
    // Neither is worth losing a client for, and both fail only if it is gone already.
    let _slower = socket.set_nodelay(true);
    let _later = set_socket_keepalive(&socket, true);
    socket
}

pub(super) async fn run(server: Arc<Server>, listener: Listener, access: Access) {
    let mut stopping = server.stopping();
    let accepting = async {
        let mut failing = false;
        loop {
            match listener.accept().await {
                Ok(arrived) => {
                    failing = false;
                    admit(&server, arrived, access, None).await;
                }
                Err(error) => {
                    if !failing {
                        warn!("cannot accept a client: {error}");
                    }
                    failing = true;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
}

/// Starts the client's task. Waits while `max_clients` clients have opened connections: the next
/// ones stand in the socket's own queue.
pub(super) async fn admit(
    server: &Arc<Server>,
    arrived: Arrived,
    access: Access,
    opened: Option<Opened>,
) {
    let (id, bell) = loop {
        let left = server.clients.some_left();
        match server.clients.enter(&server.limits(), Instant::now()) {
            Some(entered) => break entered,
            None => left.await,
        }
    };
    let place = Place::new(server.clone(), id);
    let newcomer = Newcomer { server: server.clone(), place, id, bell, access, opened };
    server.arrivals.fetch_add(1, Ordering::Relaxed);
    match arrived {
        Arrived::Ready(transport) => {
            tokio::spawn(newcomer.serve(transport, None, Vec::new()));
        }
        Arrived::Encrypted(socket) => {
            tokio::spawn(newcomer.shake_hands(socket));
        }
    }
}

/// A client before it can say anything.
pub(crate) struct Newcomer {
    pub(crate) server: Arc<Server>,
    pub(crate) place: Place,
    pub(crate) id: u64,
    pub(crate) bell: Arc<Bell>,
    pub(crate) access: Access,
    pub(crate) opened: Option<Opened>,
}

impl Newcomer {
    /// Shakes hands with a client of TLS, then serves it. Until then it is as silent as any other.
    async fn shake_hands(self, socket: TcpStream) {
        let Some(tls) = self.server.tls() else { return };
        let handshake = timeout(SILENT_LIMIT, transport::accept(socket, &tls));
        let outcome = tokio::select! {
            outcome = handshake => outcome,
            _ = self.bell.end(true) => return,
        };
        drop(tls);
        match outcome {
            Ok(Ok(Admitted { stream, name, input })) => {
                self.serve(Transport::Tls(Box::new(stream)), name, input).await;
            }
            Ok(Err(Refused::Stranger(cause))) => warn!("client {} is refused: {cause}", self.id),
            Ok(Err(Refused::Handshake(cause))) => {
                info!("client {} is refused: the TLS handshake failed: {cause}", self.id);
            }
            Err(_) => debug!("client {} did not finish the TLS handshake in time", self.id),
        }
    }

    /// Serves a client of whom a certificate has proven this name, and who has said this already.
    async fn serve(self, transport: Transport, x509_dname: Option<String>, input: Vec<u8>) {
        let id = self.id;
        let mut identity = Identity { x509_dname, ..peer(&transport) };
        let serving = self.server.serving();
        if self.access.authentication == Authentication::Polkit
            || self.server.gate().is_some()
            || serving.directory().is_some()
        {
            let process = identity.pid.and_then(|pid| Stat::read(pid.cast_unsigned()));
            identity.pid_start_time = process.map(|process| process.start_time);
        }
        if !serving.welcomes(&identity) {
            debug!("client {id} is not the daemon's own user");
            return;
        }
        debug!("client {id} connected: {:?}, {identity:?}", transport.remote());
        self.place.describe(self.access, &identity, transport.remote());
        Client::new(self, transport, identity, input).run().await;
    }
}

/// What the kernel knows of the other end.
fn peer(transport: &Transport) -> Identity {
    let Transport::Unix(socket) = transport else { return Identity::default() };
    let peer = &socket.peer;
    Identity {
        uid: Some(peer.uid()),
        gid: Some(peer.gid()),
        pid: peer.pid(),
        selinux_context: selinux_context(socket),
        ..Identity::default()
    }
}

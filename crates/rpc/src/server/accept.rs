// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One listening socket.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::net::sockopt::set_socket_keepalive;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::time::Instant;
use tracing::{debug, warn};
use virtus_core::Identity;

use super::{Access, Place, Server};
use crate::client::Client;
use crate::transport::Transport;

/// Pause after a failed accept: the usual cause (no descriptors left) passes when clients leave.
const PAUSE: Duration = Duration::from_millis(100);

/// Where clients come from.
#[derive(Debug)]
pub enum Listener {
    /// From this host.
    Unix(UnixListener),
    /// From anywhere, in clear text.
    Tcp(TcpListener),
}

impl Listener {
    async fn accept(&self) -> io::Result<Transport> {
        match self {
            Self::Unix(listener) => Ok(Transport::Unix(listener.accept().await?.0)),
            Self::Tcp(listener) => Ok(Transport::Tcp(prepared(listener.accept().await?.0))),
        }
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
                Ok(transport) => {
                    failing = false;
                    admit(&server, transport, access).await;
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
pub(super) async fn admit(server: &Arc<Server>, transport: Transport, access: Access) {
    let (id, kick) = loop {
        let left = server.clients.some_left();
        match server.clients.enter(&server.limits(), Instant::now()) {
            Some(entered) => break entered,
            None => left.await,
        }
    };
    let place = Place::new(server.clone(), id);
    let (identity, peer) = match known(&transport) {
        Ok(known) => known,
        Err(error) => {
            debug!("client {id} is gone before it was looked at: {error}");
            return;
        }
    };
    if !server.serving().welcomes(&identity) {
        debug!("client {id} ({peer}) is not the daemon's own user");
        return;
    }
    place.describe(access, &identity, transport.remote());
    debug!("client {id} ({peer}) connected");
    server.arrivals.fetch_add(1, Ordering::Relaxed);
    tokio::spawn(Client::new(server.clone(), place, id, kick, transport, access, identity).run());
}

/// What the transport alone proves of a client, and what the log calls it.
fn known(transport: &Transport) -> io::Result<(Identity, String)> {
    match transport {
        Transport::Unix(socket) => {
            let peer = socket.peer_cred()?;
            let identity = Identity {
                uid: Some(peer.uid()),
                gid: Some(peer.gid()),
                pid: peer.pid(),
                ..Identity::default()
            };
            Ok((identity, format!("uid {}, pid {:?}", peer.uid(), peer.pid())))
        }
        Transport::Tcp(socket) => Ok((Identity::default(), socket.peer_addr()?.to_string())),
    }
}

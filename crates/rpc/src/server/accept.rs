// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One listening socket.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;
use tracing::{debug, warn};
use virtus_core::Identity;

use super::{Access, Place, Server};
use crate::client::Client;

/// Pause after a failed accept: the usual cause (no descriptors left) passes when clients leave.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn run(server: Arc<Server>, listener: UnixListener, access: Access) {
    let mut stopping = server.stopping();
    let accepting = async {
        let mut failing = false;
        loop {
            match listener.accept().await {
                Ok((socket, _)) => {
                    failing = false;
                    admit(&server, socket, access).await;
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
pub(super) async fn admit(server: &Arc<Server>, socket: UnixStream, access: Access) {
    let (id, kick) = loop {
        let left = server.clients.some_left();
        match server.clients.enter(&server.limits(), Instant::now()) {
            Some(entered) => break entered,
            None => left.await,
        }
    };
    let place = Place::new(server.clone(), id);
    let identity = match socket.peer_cred() {
        Ok(peer) => Identity {
            uid: Some(peer.uid()),
            gid: Some(peer.gid()),
            pid: peer.pid(),
            ..Identity::default()
        },
        Err(error) => {
            debug!("client {id} is gone before it was looked at: {error}");
            return;
        }
    };
    debug!("client {id} (uid {:?}, pid {:?}) connected", identity.uid, identity.pid);
    server.arrivals.fetch_add(1, Ordering::Relaxed);
    tokio::spawn(Client::new(server.clone(), place, id, kick, socket, access, identity).run());
}

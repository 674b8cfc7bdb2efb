// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What all clients share: limits, drivers, the list of who is connected.
//!
//! Policy on workers (`max_workers`, `prio_workers`): `Snapshot` calls answer from memory and never
//! queue. `Job` and `Guest` calls wait for one machine, so counting them together would let one
//! frozen guest hold up the others; they are bounded per client alone (`max_client_requests`).
//! `Host` calls share `max_workers` places, and `prio_workers` more are for urgent ones.

mod accept;
mod clients;
mod workers;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::watch;
use virtus_core::{Driver, Responder};

use crate::client::KeepalivePolicy;
use crate::generic;
use crate::transport::Transport;
pub use accept::Listener;
use clients::Clients;
pub(crate) use clients::{Kick, Place};
pub(crate) use workers::{Admission, Workers};

/// What may be configured; libvirt's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Clients at the same time.
    pub max_clients: usize,
    /// Clients that have not opened a connection yet, before the oldest of them has to go.
    pub max_anonymous_clients: usize,
    /// Calls of one client that run at the same time.
    pub max_client_requests: usize,
    /// `Host` calls that run at the same time.
    pub max_workers: usize,
    /// Further `Host` calls of high priority.
    pub prio_workers: usize,
    /// Pings to clients that asked for them; `None` turns them off.
    pub keepalive: Option<KeepalivePolicy>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_clients: 5000,
            max_anonymous_clients: 20,
            max_client_requests: 5,
            max_workers: 20,
            prio_workers: 5,
            keepalive: Some(KeepalivePolicy { interval: Duration::from_secs(5), count: 5 }),
        }
    }
}

/// What the socket that a client came through allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Access {
    /// The `-ro` socket: forces every connection to be read-only.
    pub read_only: bool,
}

/// One daemon's server.
pub struct Server {
    limits: RwLock<Limits>,
    drivers: Vec<Arc<dyn Driver>>,
    /// For clients whom nobody on the way can read along with, and for the others.
    generic: [Arc<dyn Responder>; 2],
    workers: Workers,
    clients: Clients,
    arrivals: AtomicU64,
    stopping: watch::Sender<bool>,
}

impl Server {
    /// A server for `drivers`; it serves once it is given something to [`listen`](Self::listen) on.
    #[must_use]
    pub fn new(limits: Limits, drivers: Vec<Arc<dyn Driver>>) -> Arc<Self> {
        Arc::new(Self {
            limits: RwLock::new(limits),
            drivers,
            generic: [true, false].map(generic::responder),
            workers: Workers::new(limits.max_workers, limits.prio_workers),
            clients: Clients::default(),
            arrivals: AtomicU64::new(0),
            stopping: watch::Sender::new(false),
        })
    }

    /// Accepts clients from `listener` until [`Server::stop`]. Must be called within a runtime.
    pub fn listen(self: &Arc<Self>, listener: Listener, access: Access) {
        tokio::spawn(accept::run(self.clone(), listener, access));
    }

    /// Serves one client that is connected already. Must be called within a runtime.
    pub async fn adopt(self: &Arc<Self>, client: UnixStream, access: Access) {
        accept::admit(self, Transport::Unix(client), access).await;
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> Limits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the limits; connected clients keep what they have.
    pub fn set_limits(&self, limits: Limits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
        self.workers.resize(limits.max_workers, limits.prio_workers);
    }

    /// Clients connected now.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.count()
    }

    /// Clients that were ever accepted; tells whether anyone came since the last look.
    #[must_use]
    pub fn arrivals(&self) -> u64 {
        self.arrivals.load(Ordering::Relaxed)
    }

    /// Accepts no one any more, lets calls in flight finish, and disconnects everybody, at the
    /// latest after `grace`.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.send_replace(true);
        if tokio::time::timeout(grace, self.clients.none_left()).await.is_err() {
            self.clients.kick_all();
        }
    }

    pub(crate) fn drivers(&self) -> &[Arc<dyn Driver>] {
        &self.drivers
    }

    pub(crate) fn generic(&self, secure: bool) -> &Arc<dyn Responder> {
        &self.generic[usize::from(!secure)]
    }

    pub(crate) fn workers(&self) -> &Workers {
        &self.workers
    }

    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }
}

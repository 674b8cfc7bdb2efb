// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the clients of one server share: limits, who answers, the list of who is connected.
//!
//! A daemon has a main server, and one for its administrator, so that a crowd at the first keeps
//! nobody from the second. What differs between them is what they [serve](Serving).
//!
//! Policy on workers (`max_workers`, `prio_workers`): `Snapshot` calls answer from memory and never
//! queue. `Job` and `Guest` calls wait for one machine, so counting them together would let one
//! frozen guest hold up the others; they are bounded per client alone (`max_client_requests`).
//! `Host` calls share `max_workers` places, and `prio_workers` more are for urgent ones; no user but root takes more than
//! `max_user_requests` of them.

mod accept;
mod admin;
mod clients;
mod serving;
mod tls;
mod user;
mod workers;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::watch;
use virtus_core::access::Gate;
use virtus_core::{Responder, Session};

use crate::client::Authentication;
use crate::generic;
use crate::keepalive::Policy as KeepalivePolicy;
use crate::sasl::SaslSettings;
use crate::tls::Tls;
use accept::Arrived;
pub use accept::Listener;
pub(crate) use accept::Newcomer;
pub use admin::{ClientLimits, Pool, PoolSizes};
pub use clients::ClientInfo;
use clients::Clients;
pub(crate) use clients::Place;
pub use serving::{Destination, Directory, Serving};
pub(crate) use user::{Shares, User};
pub(crate) use workers::Workers;

/// What may be configured; libvirt's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Clients at the same time.
    pub max_clients: usize,
    /// Open connections of one user who is not root.
    pub max_user_clients: usize,
    /// Clients that have not opened a connection yet, before the oldest of them has to go.
    pub max_anonymous_clients: usize,
    /// Calls of one client that run at the same time.
    pub max_client_requests: usize,
    /// `Host` calls of one user who is not root that run at the same time.
    pub max_user_requests: usize,
    /// `Host` calls for which there are always places; no less than these may be set while we run.
    pub min_workers: usize,
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
            max_user_clients: 4500,
            max_anonymous_clients: 20,
            max_client_requests: 5,
            max_user_requests: 15,
            min_workers: 5,
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
    /// What clients are asked for.
    pub authentication: Authentication,
}

/// One server of a daemon.
pub struct Server {
    name: &'static str,
    limits: RwLock<Limits>,
    serving: Serving,
    /// For clients whom nobody on the way can read along with, and for the others.
    generic: [Arc<dyn Responder>; 2],
    workers: Workers,
    clients: Clients,
    tls: RwLock<Option<Arc<Tls>>>,
    sasl: RwLock<Option<Arc<SaslSettings>>>,
    gate: RwLock<Option<Arc<Gate>>>,
    arrivals: AtomicU64,
    stopping: watch::Sender<bool>,
    /// Where clients go that are handed over, while they are.
    handed: Mutex<Option<Vec<Handed>>>,
}

/// What is told of the session of a client that need not open one.
pub(crate) type Opened = Box<dyn FnOnce(&Arc<Session>) + Send>;

/// A client that is left to another program.
#[derive(Debug)]
pub struct Handed {
    /// Its connection.
    pub socket: OwnedFd,
    /// The id of its session, which is not told to have ended.
    pub session: u64,
}

impl Server {
    /// A server that administrators know as `name`; it serves once it is given something to
    /// [`listen`](Self::listen) on.
    #[must_use]
    pub fn new(name: &'static str, limits: Limits, serving: Serving) -> Arc<Self> {
        Arc::new(Self {
            name,
            limits: RwLock::new(limits),
            serving,
            generic: [true, false].map(generic::responder),
            workers: Workers::new(&limits),
            clients: Clients::default(),
            tls: RwLock::default(),
            sasl: RwLock::default(),
            gate: RwLock::default(),
            arrivals: AtomicU64::new(0),
            stopping: watch::Sender::new(false),
            handed: Mutex::default(),
        })
    }

    /// Accepts clients from `listener` until [`Server::stop`]. Must be called within a runtime.
    pub fn listen(self: &Arc<Self>, listener: Listener, access: Access) {
        tokio::spawn(accept::run(self.clone(), listener, access));
    }

    /// Serves one client that is connected already. Must be called within a runtime.
    ///
    /// # Errors
    /// The kernel's, if it does not want to watch the socket.
    pub async fn adopt(self: &Arc<Self>, client: UnixStream, access: Access) -> io::Result<()> {
        accept::admit(self, Arrived::Ready(client.try_into()?), access, None).await;
        Ok(())
    }

    /// Serves on a client that another program has served; `opened` is told of its session, if it need not open one.
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// As [`adopt`](Self::adopt).
    pub async fn take_over(
        self: &Arc<Self>,
        client: UnixStream,
        opened: impl FnOnce(&Arc<Session>) + Send + 'static,
    ) -> io::Result<()> {
        let (arrived, opened) = (Arrived::Ready(client.try_into()?), Box::new(opened));
        accept::admit(self, arrived, Access::default(), Some(opened)).await;
        Ok(())
    }

    /// Accepts no one any more, and gives up every client on a unix socket as soon as its calls are answered. Those
    /// that are in the middle of a message, or not at rest after `grace`, are disconnected.
    pub async fn hand_over(&self, grace: Duration) -> Vec<Handed> {
        *self.handed() = Some(Vec::new());
        self.stop(grace).await;
        self.handed().take().unwrap_or_default()
    }

    fn handed(&self) -> MutexGuard<'_, Option<Vec<Handed>>> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a client that is at rest; `false` if nobody is handed over.
    pub(crate) fn hand(&self, client: Handed) -> bool {
        let mut handed = self.handed();
        let wanted = handed.as_mut().map(|clients| clients.push(client));
        wanted.is_some()
    }

    /// What administrators call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> Limits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the limits; connected clients keep what they have.
    pub fn set_limits(&self, limits: Limits) {
        // Never refused: nothing is asked of them.
        let _always = self.change_limits(|wanted| {
            *wanted = limits;
            Ok::<_, std::convert::Infallible>(())
        });
    }

    /// Changes the limits in one step, unless `change` objects.
    fn change_limits<E>(&self, change: impl FnOnce(&mut Limits) -> Result<(), E>) -> Result<(), E> {
        let mut limits = self.limits.write().unwrap_or_else(PoisonError::into_inner);
        let mut wanted = *limits;
        change(&mut wanted)?;
        *limits = wanted;
        self.workers.resize(&wanted);
        drop(limits);
        self.clients.may_enter();
        Ok(())
    }

    /// Lets in by SASL whom these settings let in, from now on.
    pub fn set_sasl(&self, settings: SaslSettings) {
        *self.sasl.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(settings));
    }

    /// Asks at this gate, or at none, who may do what. That holds for connections that are opened from now on.
    pub fn set_gate(&self, gate: Option<Arc<Gate>>) {
        *self.gate.write().unwrap_or_else(PoisonError::into_inner) = gate;
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

    /// Resolves when a client leaves.
    pub async fn some_left(&self) {
        self.clients.some_left().await;
    }

    /// Accepts no one any more, lets calls in flight finish, and disconnects everybody, at the
    /// latest after `grace`.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.send_replace(true);
        self.clients.stop();
        if tokio::time::timeout(grace, self.clients.none_left()).await.is_err() {
            self.clients.kick_all();
        }
    }

    pub(crate) fn sasl(&self) -> Option<Arc<SaslSettings>> {
        self.sasl.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn gate(&self) -> Option<Arc<Gate>> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn serving(&self) -> &Serving {
        &self.serving
    }

    pub(crate) fn generic(&self, secure: bool) -> &Arc<dyn Responder> {
        &self.generic[usize::from(!secure)]
    }

    pub(crate) fn workers(&self) -> &Workers {
        &self.workers
    }

    fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }
}

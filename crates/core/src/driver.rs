// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a daemon knows of a driver: how to start it, which URIs it serves, when it is busy.

use std::sync::Arc;

use virtus_api::{CallId, Result};

use crate::conf::manual::Manual;
use crate::rehearsal::Rehearsal;
use crate::routes::BoxFuture;
use crate::{Paths, Peers, Responder, Session, Uri};

/// The surroundings in which a driver is started.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Where definitions, state, logs and sockets live; also tells system from session.
    pub paths: Paths,
    /// The drivers of other objects on this host.
    pub peers: Peers,
}

/// A driver as the table of daemons lists it: a name and how to start it.
#[derive(Clone, Copy)]
pub struct DriverEntry {
    /// The driver's name in logs and in the support matrix ("QEMU").
    pub name: &'static str,
    /// Whether users' own daemons have it too, or only root's.
    pub for_users: bool,
    /// Its own configuration file, if it has one.
    pub conf: Option<&'static Manual>,
    /// The calls that it answers; known without starting it.
    pub calls: fn() -> Vec<CallId>,
    /// Loads configuration and state, reattaches to what runs, and starts to serve.
    pub start: fn(Environment) -> Starting,
    /// States what defining and starting a domain document would do; changes nothing. `None` answers for a
    /// document of another hypervisor.
    pub rehearse: fn(Environment, String) -> Rehearsing,
}

/// A driver on its way.
pub type Starting = BoxFuture<Result<Arc<dyn Driver>>>;

/// A rehearsal on its way.
pub type Rehearsing = BoxFuture<Result<Option<Rehearsal>>>;

/// What a driver is to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs machines; the daemon's companions serve beside it.
    Hypervisor,
    /// Answers for machines, networks, storage and all the rest by itself, so that nothing of this
    /// host shows beside it: the test driver, hypervisors elsewhere.
    World,
    /// Networks, storage, … of this host; serves beside every hypervisor of its daemon.
    Companion,
    /// The same in another daemon, who does the work.
    Elsewhere,
}

/// A started driver. What most companions and worlds need not say has a default.
pub trait Driver: Send + Sync {
    /// The name of its [`DriverEntry`].
    fn name(&self) -> &'static str;

    /// What it is to a connection.
    fn role(&self) -> Role;

    /// Whether connections to `uri` are its own. An error says why a URI of its scheme is wrong.
    fn serves(&self, uri: &Uri) -> Result<bool>;

    /// The URI meant by a client that names none, if this driver offers one; who names none wants a hypervisor.
    fn default_uri(&self) -> Option<Uri> {
        None
    }

    /// Who answers the requests of a session that begins: the same for all sessions, or one of its own.
    fn open(&self, session: &Arc<Session>) -> BoxFuture<Result<Arc<dyn Responder>>>;

    /// How many things keep the daemon from exiting when it is idle (running guests).
    fn busy(&self) -> usize {
        0
    }

    /// Starts what is marked for start at boot; called once, after the daemon serves.
    fn autostart(&self) -> BoxFuture<()> {
        Box::pin(async {})
    }

    /// Reads the configuration anew (SIGHUP), if there is any.
    fn reload(&self) -> BoxFuture<Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// The daemon will exit: finish writes and let go of guests without touching them. What a client was told is
    /// kept is on disk already.
    fn stop(&self) -> BoxFuture<()> {
        Box::pin(async {})
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Peers in the daemons beside this process: the one of their own, or else the one of all drivers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use virtus_api::{AnyRequest, Error, ErrorDomain, Result};
use virtus_core::events::{EventSink, NoEvents};
use virtus_core::{BoxFuture, Connection, Identity, Paths, Peer, Session, Ways};

use crate::behalf::on_behalf_of;
use crate::engine::Authentication;
use crate::transport::Transport;
use crate::{Hello, KeepalivePolicy, Remote};

/// What the socket of the daemon of all drivers is called.
const ALL: &str = "libvirt";

/// When a silent peer counts as dead.
const PINGS: KeepalivePolicy = KeepalivePolicy { interval: Duration::from_secs(5), count: 5 };

/// The daemons beside this process.
#[derive(Clone)]
pub struct Beside {
    paths: Paths,
    own: &'static str,
}

impl Beside {
    /// Those whose sockets are in the folder of `paths`. `own` is what this process' own sockets are called, if it
    /// has any: it does not call itself.
    #[must_use]
    pub fn new(paths: Paths, own: &'static str) -> Self {
        Self { paths, own }
    }
}

impl Beside {
    /// Opens a connection to `peer` for a session: on behalf of its client, who hears the events of it.
    ///
    /// # Errors
    /// The peer's, or what to start where nobody answers.
    pub async fn enter(&self, peer: Peer, session: &Session) -> Result<Arc<Remote>> {
        let remote = self.connect(peer, session.read_only, session.events()).await?;
        // Only root may speak for others; a user's own daemon knows its user.
        if rustix::process::geteuid().is_root() {
            let identity = AnyRequest::new(on_behalf_of(&session.identity));
            remote.ask(identity, Vec::new(), None).await?;
        }
        Ok(remote)
    }

    async fn connect(
        &self,
        peer: Peer,
        read_only: bool,
        events: Arc<dyn EventSink>,
    ) -> Result<Arc<Remote>> {
        let names = [peer.daemon(), ALL.to_owned()].into_iter().filter(|name| *name != self.own);
        let sockets = names.map(|name| self.paths.run.join(format!("{name}-sock"))).collect();
        let system = self.paths.system;
        let hello = Hello {
            name: peer.uri(system).to_string(),
            read_only,
            authentication: Authentication::default(),
            keepalive: Some(PINGS),
        };
        Remote::open(connect(peer, sockets, system).await?, hello, events).await
    }
}

impl Ways for Beside {
    fn open(&self, peer: Peer) -> BoxFuture<Result<Connection>> {
        let beside = self.clone();
        Box::pin(async move {
            let remote = beside.connect(peer, false, Arc::new(NoEvents)).await?;
            let uri = peer.uri(beside.paths.system);
            let session = Session::new(Identity::default(), false, uri, Arc::new(NoEvents));
            Ok(Connection::new(session, vec![remote]))
        })
    }
}

/// The first socket at which somebody listens.
async fn connect(peer: Peer, sockets: Vec<PathBuf>, system: bool) -> Result<Transport> {
    let mut missing = None;
    for socket in sockets {
        let connected = UnixStream::connect(&socket).await.and_then(Transport::try_from);
        match connected {
            Ok(transport) => return Ok(transport),
            Err(cause) => {
                let attempt = format!("Failed to connect socket to '{}'", socket.display());
                missing.get_or_insert_with(|| Error::system(attempt, &cause));
            }
        }
    }
    let (name, daemon) = (peer.scheme(), peer.daemon());
    let start = if system { format!("systemctl start {daemon}.socket") } else { daemon };
    let missing = missing.unwrap_or_else(|| Error::no_support(name));
    Err(missing.in_domain(ErrorDomain::Rpc).hint(format!("start the {name} driver: '{start}'")))
}

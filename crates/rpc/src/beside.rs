// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Peers in the daemons beside this process: the one of their own, or else the one of all drivers.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::UnixStream;
use virtus_api::{Error, ErrorDomain, Result};
use virtus_core::events::NoEvents;
use virtus_core::{BoxFuture, Connection, Identity, Paths, Peer, Session, Ways};

use crate::engine::Authentication;
use crate::transport::Transport;
use crate::{Hello, Remote};

/// What the socket of the daemon of all drivers is called.
const ALL: &str = "libvirt";

/// The daemons beside this process.
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

impl Ways for Beside {
    fn open(&self, peer: Peer) -> BoxFuture<Result<Connection>> {
        let names = [peer.daemon(), ALL.to_owned()].into_iter().filter(|name| *name != self.own);
        let sockets = names.map(|name| self.paths.run.join(format!("{name}-sock"))).collect();
        let system = self.paths.system;
        Box::pin(async move {
            let uri = peer.uri(system);
            let hello = Hello {
                name: uri.to_string(),
                read_only: false,
                authentication: Authentication::default(),
                keepalive: None,
            };
            let transport = connect(peer, sockets, system).await?;
            let remote = Remote::open(transport, hello, Arc::new(NoEvents)).await?;
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

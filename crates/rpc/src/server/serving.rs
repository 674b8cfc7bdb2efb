// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a server answers, and to whom.

use std::path::PathBuf;
use std::sync::Arc;

use virtus_api::{Program, Result};
use virtus_core::{Connection, Driver, Identity, Responder, Session, Uri};

use super::Workers;
use crate::client::Outbox;

/// Who answers the clients of a server.
pub enum Serving {
    /// Drivers: a client says which of them it means when it opens a connection.
    Drivers(Vec<Arc<dyn Driver>>),
    /// Other daemons of this host, for the URIs that a directory knows, and drivers for the rest.
    Others(Arc<dyn Directory>, Vec<Arc<dyn Driver>>),
    /// The daemon itself, in one program about its own affairs. Only for clients that run as the
    /// daemon's own user; their connection is open from the start.
    Own(Program, Arc<dyn Responder>),
}

/// Which daemon of this host serves which URI.
pub trait Directory: Send + Sync {
    /// The daemon that serves `uri`, or for an empty one the first that is there; `None`: none of them does.
    ///
    /// # Errors
    /// It is no URI.
    fn find(&self, uri: &str) -> Result<Option<Destination>>;
}

/// A daemon behind a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// What it is asked to open.
    pub uri: String,
    /// Its name, which is also its unit's.
    pub daemon: String,
    /// Where it listens.
    pub socket: PathBuf,
}

impl Serving {
    /// The programs that are understood here.
    pub(crate) fn programs(&self) -> &[Program] {
        match self {
            Self::Drivers(_) | Self::Others(..) => &[Program::Remote, Program::Qemu, Program::Lxc],
            Self::Own(program, _) => std::slice::from_ref(program),
        }
    }

    pub(crate) fn drivers(&self) -> &[Arc<dyn Driver>] {
        match self {
            Self::Drivers(drivers) | Self::Others(_, drivers) => drivers,
            Self::Own(..) => &[],
        }
    }

    pub(crate) fn directory(&self) -> Option<&dyn Directory> {
        match self {
            Self::Others(directory, _) => Some(directory.as_ref()),
            Self::Drivers(_) | Self::Own(..) => None,
        }
    }

    /// Whether this peer may be a client at all.
    pub(super) fn welcomes(&self, peer: &Identity) -> bool {
        match self {
            Self::Drivers(_) | Self::Others(..) => true,
            Self::Own(..) => peer.uid == Some(rustix::process::geteuid().as_raw()),
        }
    }

    /// The connection of a client that need not ask for one.
    pub(crate) fn open_at_once(
        &self,
        identity: &Identity,
        outbox: &Arc<Outbox>,
        workers: &Workers,
    ) -> Option<Connection> {
        match self {
            Self::Drivers(_) | Self::Others(..) => None,
            Self::Own(_, responder) => {
                let session = Session::new(identity.clone(), false, Uri::default(), outbox.clone());
                Some(Connection::new(session, vec![workers.before(responder.clone())]))
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a server answers, and to whom.

use std::sync::Arc;

use virtus_api::Program;
use virtus_core::{Connection, Driver, Identity, Responder, Session, Uri};

use super::Workers;
use crate::client::Outbox;

/// Who answers the clients of a server.
pub enum Serving {
    /// Drivers: a client says which of them it means when it opens a connection.
    Drivers(Vec<Arc<dyn Driver>>),
    /// The daemon itself, in one program about its own affairs. Only for clients that run as the
    /// daemon's own user; their connection is open from the start.
    Own(Program, Arc<dyn Responder>),
}

impl Serving {
    /// The programs that are understood here.
    pub(crate) fn programs(&self) -> &[Program] {
        match self {
            Self::Drivers(_) => &[Program::Remote, Program::Qemu, Program::Lxc],
            Self::Own(program, _) => std::slice::from_ref(program),
        }
    }

    pub(crate) fn drivers(&self) -> &[Arc<dyn Driver>] {
        match self {
            Self::Drivers(drivers) => drivers,
            Self::Own(..) => &[],
        }
    }

    /// Whether this peer may be a client at all.
    pub(super) fn welcomes(&self, peer: &Identity) -> bool {
        match self {
            Self::Drivers(_) => true,
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
            Self::Drivers(_) => None,
            Self::Own(_, responder) => {
                let session = Session::new(identity.clone(), false, Uri::default(), outbox.clone());
                Some(Connection::new(session, vec![workers.before(responder.clone())]))
            }
        }
    }
}

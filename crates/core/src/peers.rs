// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Drivers of other objects that a driver needs: who plugs a machine's cards in, who knows what its disks ask for.
//!
//! A driver depends on no other. It opens a connection to its peer and makes calls, and need not know whether they
//! are answered in this process or by another daemon; [`Ways`] does, and each process has its own.
//!
//! Invariant: whoever waits for a peer has a deadline.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use virtus_api::{CallId, Error, ErrorCode, ErrorDomain, Meta, Program, Request, Result};

use crate::{BoxFuture, Connection, Uri};

/// How long a peer may take until it serves, and for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A driver of other objects on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Virtual networks.
    Network,
    /// Filters of packets.
    Nwfilter,
    /// Passphrases and keys.
    Secret,
    /// Pools and volumes.
    Storage,
    /// Devices of this host.
    Nodedev,
    /// Network interfaces of this host.
    Interface,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Network,
        Self::Nwfilter,
        Self::Secret,
        Self::Storage,
        Self::Nodedev,
        Self::Interface,
    ];

    /// Whose objects a call is about; `None` where a hypervisor answers it.
    #[must_use]
    pub fn of(call: CallId) -> Option<Self> {
        let Meta { name, program: Program::Remote, .. } = call.meta() else { return None };
        // It is hypervisors that take devices from this host.
        const TAKING: [&str; 4] =
            ["NodeDeviceDettach", "NodeDeviceDetachFlags", "NodeDeviceReAttach", "NodeDeviceReset"];
        if name.starts_with("Domain") || TAKING.contains(name) {
            return None;
        }
        // A filter is a network filter, so it goes first.
        let words = [
            ("Nwfilter", Self::Nwfilter),
            ("Network", Self::Network),
            ("Secret", Self::Secret),
            ("Storage", Self::Storage),
            ("NodeDevice", Self::Nodedev),
            ("NodeNumOfDevices", Self::Nodedev),
            ("NodeListDevices", Self::Nodedev),
            ("Interface", Self::Interface),
        ];
        words.into_iter().find_map(|(word, peer)| name.contains(word).then_some(peer))
    }

    /// Its name in URIs.
    #[must_use]
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Nwfilter => "nwfilter",
            Self::Secret => "secret",
            Self::Storage => "storage",
            Self::Nodedev => "nodedev",
            Self::Interface => "interface",
        }
    }

    /// The daemon in which it is where each driver has its own.
    #[must_use]
    pub fn daemon(self) -> String {
        format!("virt{}d", self.scheme())
    }

    /// What is opened: the system's objects, or those of one user.
    #[must_use]
    pub fn uri(self, system: bool) -> Uri {
        let path = if system { "/system" } else { "/session" };
        Uri { scheme: self.scheme().to_owned(), path: path.to_owned(), ..Uri::default() }
    }

    /// Waits for what it does, but not for ever.
    ///
    /// # Errors
    /// Those of `work`, or `VIR_ERR_OPERATION_TIMEOUT` after 30 s.
    pub async fn within<T>(self, work: impl Future<Output = Result<T>>) -> Result<T> {
        timeout(PATIENCE, work).await.unwrap_or_else(|_| {
            let (name, daemon) = (self.scheme(), self.daemon());
            let text = format!("the {name} driver did not answer within {PATIENCE:?}");
            Err(Error::new(ErrorCode::OperationTimeout, text)
                .in_domain(ErrorDomain::Rpc)
                .hint(format!("see what it waits for: 'journalctl -u {daemon}'")))
        })
    }
}

/// How to get to peers.
pub trait Ways: Send + Sync {
    /// Opens a connection to `peer`; an error names what to start where nobody answers.
    fn open(&self, peer: Peer) -> BoxFuture<Result<Connection>>;
}

/// The peers of a driver.
#[derive(Clone)]
pub struct Peers(Arc<dyn Ways>);

impl Peers {
    /// Peers that are reached by `ways`.
    #[must_use]
    pub fn new(ways: Arc<dyn Ways>) -> Self {
        Self(ways)
    }

    /// Opens a connection to a peer, for one piece of work: the peer may be another one tomorrow.
    ///
    /// # Errors
    /// That it cannot be reached, or `VIR_ERR_OPERATION_TIMEOUT` after 30 s.
    pub async fn open(&self, peer: Peer) -> Result<Peered> {
        let connection = peer.within(self.0.open(peer)).await?;
        Ok(Peered { peer, connection })
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peers")
    }
}

/// An open connection to a peer; it ends when it is dropped.
pub struct Peered {
    peer: Peer,
    connection: Connection,
}

impl Peered {
    /// Makes a call.
    ///
    /// # Errors
    /// The peer's own, or `VIR_ERR_OPERATION_TIMEOUT` after 30 s.
    pub async fn call<R: Request>(&self, request: R) -> Result<R::Reply> {
        self.peer.within(self.connection.call(request)).await
    }
}

impl Drop for Peered {
    fn drop(&mut self) {
        self.connection.close();
    }
}

#[cfg(test)]
mod tests {
    use virtus_api::Object;

    use super::*;

    #[test]
    fn every_call_goes_to_who_has_its_object() {
        for call in CallId::ALL {
            let meta = call.meta();
            let filtered = meta.filter.first().copied();
            let taken = meta.acl.iter().map(|acl| acl.permission).chain(filtered);
            let Some(object) = taken.map(|one| one.object).find(|one| *one != Object::Connect)
            else {
                continue;
            };
            let wanted = match object {
                Object::Connect | Object::Domain => None,
                Object::Network | Object::NetworkPort => Some(Peer::Network),
                Object::Nwfilter | Object::NwfilterBinding => Some(Peer::Nwfilter),
                Object::Secret => Some(Peer::Secret),
                Object::StoragePool | Object::StorageVol => Some(Peer::Storage),
                Object::NodeDevice => Some(Peer::Nodedev),
                Object::Interface => Some(Peer::Interface),
            };
            let passed_through = Peer::of(call).is_none() && object == Object::NodeDevice;
            assert!(passed_through || Peer::of(call) == wanted, "{}", meta.name);
        }
        let through = CallId::ALL
            .into_iter()
            .filter(|call| Peer::of(*call).is_none() && call.meta().name.starts_with("NodeDevice"));
        assert_eq!(through.count(), 4);
    }
}

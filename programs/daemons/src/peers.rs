// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The peers of this daemon's drivers: those in it, or else those in the daemons beside it.

use std::sync::{Arc, PoisonError, RwLock, Weak};

use virtus_api::Result;
use virtus_core::events::NoEvents;
use virtus_core::{
    BoxFuture, Connection, Driver, Identity, Paths, Peer, Peers, Role, Session, Ways,
};
use virtus_rpc::Beside;

/// The drivers of this daemon, as far as they are started, and the daemons beside it.
pub(crate) struct Household {
    system: bool,
    drivers: RwLock<Vec<Weak<dyn Driver>>>,
    beside: Beside,
}

impl Household {
    /// Of the daemon whose sockets have names that begin with `socket`; nobody is at home yet.
    pub(crate) fn new(paths: &Paths, socket: &'static str) -> Arc<Self> {
        let beside = Beside::new(paths.clone(), socket);
        Arc::new(Self { system: paths.system, drivers: RwLock::default(), beside })
    }

    /// What drivers are told of it.
    pub(crate) fn peers(self: &Arc<Self>) -> Peers {
        Peers::new(self.clone())
    }

    /// Adds a driver that has started.
    pub(crate) fn add(&self, driver: &Arc<dyn Driver>) {
        if driver.role() == Role::Companion {
            let mut drivers = self.drivers.write().unwrap_or_else(PoisonError::into_inner);
            drivers.push(Arc::downgrade(driver));
        }
    }

    fn at_home(&self, peer: Peer) -> Option<Arc<dyn Driver>> {
        let uri = peer.uri(self.system);
        let drivers = self.drivers.read().unwrap_or_else(PoisonError::into_inner);
        let mut drivers = drivers.iter().filter_map(Weak::upgrade);
        drivers.find(|driver| driver.serves(&uri).is_ok_and(|serves| serves))
    }
}

impl Ways for Household {
    fn open(&self, peer: Peer) -> BoxFuture<Result<Connection>> {
        let Some(driver) = self.at_home(peer) else { return self.beside.open(peer) };
        let uri = peer.uri(self.system);
        Box::pin(async move {
            let session = Session::new(Identity::default(), false, uri, Arc::new(NoEvents));
            let responder = driver.open(&session).await?;
            Ok(Connection::new(session, vec![responder]))
        })
    }
}

#[cfg(test)]
mod tests {
    use virtus_api::ConnectListAllSecrets;
    use virtus_core::Environment;

    use super::*;

    #[tokio::test]
    async fn a_peer_answers_at_home_and_who_is_missing_is_named() {
        let root = std::env::temp_dir().join(format!("virtus-peers-{}", std::process::id()));
        let paths = Paths::system_below(&root);
        let household = Household::new(&paths, "libvirt");
        let environment = Environment { paths, peers: household.peers() };
        let secrets = (virtus_secret::DRIVER.start)(environment).await.unwrap();
        household.add(&secrets);
        let peer = household.peers().open(Peer::Secret).await.unwrap();
        let all = ConnectListAllSecrets { need_results: 1, flags: 0 };
        assert!(peer.call(all).await.unwrap().secrets.is_empty());
        let error = household.peers().open(Peer::Network).await.err().unwrap();
        assert!(error.text().contains("virtnetworkd-sock"), "{error}");
        let hint = error.hint_text().unwrap_or_default();
        assert!(hint.contains("systemctl start virtnetworkd.socket"), "{error}");
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Networks, storage, secrets and the like beside a hypervisor whose daemon has no drivers of them: clients ask
//! `qemu:///system` for both, and calls about the former go on to the daemon that has them.
//!
//! Invariants: a daemon is not asked, nor started, before a client wants something of it; what it is asked is
//! asked on behalf of the client. Where it ends, what clients registered for there ends too; the next call finds
//! its successor.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use virtus_api::{AnyReply, AnyRequest, CallId, Result};
use virtus_core::{BoxFuture, Call, Driver, Paths, Peer, Responder, Role, Session, Uri};
use virtus_rpc::{Beside, Remote};

/// The drivers that this daemon has not.
pub(crate) fn drivers(paths: &Paths, socket: &'static str) -> Vec<Arc<dyn Driver>> {
    let beside = Beside::new(paths.clone(), socket);
    let of = |peer| Arc::new(Elsewhere { peer, beside: beside.clone() }) as Arc<dyn Driver>;
    Peer::ALL.into_iter().map(of).collect()
}

/// The objects of one peer.
struct Elsewhere {
    peer: Peer,
    beside: Beside,
}

impl Driver for Elsewhere {
    fn name(&self) -> &'static str {
        self.peer.scheme()
    }

    fn role(&self) -> Role {
        Role::Elsewhere
    }

    /// Its own clients go to its own daemon.
    fn serves(&self, _: &Uri) -> Result<bool> {
        Ok(false)
    }

    fn open(&self, session: &Arc<Session>) -> BoxFuture<Result<Arc<dyn Responder>>> {
        let (peer, beside) = (self.peer, self.beside.clone());
        let way = Way { peer, beside, session: session.clone(), opened: Mutex::default() };
        Box::pin(async { Ok(Arc::new(way) as Arc<dyn Responder>) })
    }
}

/// The way of one session to a peer, from its first call on.
struct Way {
    peer: Peer,
    beside: Beside,
    session: Arc<Session>,
    opened: Mutex<Opened>,
}

/// The connection, for all calls that wait for it.
type Opened = Arc<OnceCell<Arc<Remote>>>;

impl Way {
    /// The connection to the peer that is there now.
    fn opened(&self) -> Opened {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.get().is_some_and(|remote| remote.lost().is_some()) {
            *opened = Opened::default();
        }
        opened.clone()
    }
}

impl Responder for Way {
    fn answers(&self, call: CallId) -> bool {
        Peer::of(call) == Some(self.peer)
    }

    fn respond(&self, call: Call, request: AnyRequest) -> BoxFuture<Result<AnyReply>> {
        let (peer, beside, session) = (self.peer, self.beside.clone(), self.session.clone());
        let opened = self.opened();
        Box::pin(async move {
            let opening = opened.get_or_try_init(|| beside.enter(peer, &session));
            let remote = peer.within(opening).await?;
            remote.respond(call, request).await
        })
    }

    fn session_closed(&self, session: &Arc<Session>) {
        if let Some(remote) = self.opened().get() {
            remote.session_closed(session);
        }
    }
}

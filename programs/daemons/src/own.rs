// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A program that a daemon answers itself, where others have drivers: what virtlogd and virtlockd are.

use std::io;
use std::sync::Arc;

use serde_json::{Map, Value};
use virtus_api::{Program, Result};
use virtus_core::conf::Conf;
use virtus_core::{BoxFuture, Paths, Responder, Session};

use crate::reexec::Kept;

/// The program in the table of daemons.
#[derive(Clone, Copy)]
pub struct Own {
    /// What its clients speak.
    pub program: Program,
    /// Starts it, with what a predecessor has left.
    pub(crate) start: fn(&Paths, &Conf, Option<&Value>) -> Starting,
}

/// A keeper that has started.
pub(crate) type Starting = Result<Arc<dyn Keeper>>;

/// Whoever answers the program, and keeps what it is about: logs, locks.
pub(crate) trait Keeper: Send + Sync {
    /// Who answers the calls.
    fn responder(self: Arc<Self>) -> Arc<dyn Responder>;

    /// How many things keep the daemon from ending when it has no clients.
    fn busy(&self) -> usize;

    /// Reads the keys of its own anew. A mistake in them changes nothing.
    fn reload(&self, conf: &Conf) -> Result<()>;

    /// The daemon is about to disconnect its clients, or to leave them to its successor.
    fn end(&self) {}

    /// Comes to rest, so that nothing is half done when a successor takes over.
    ///
    /// # Errors
    /// That is not possible now: everything goes on as before.
    fn rest(&self) -> BoxFuture<Result<()>>;

    /// What a successor needs, in libvirt's words.
    ///
    /// # Errors
    /// There are too many descriptors.
    fn state(&self, kept: &mut Kept) -> io::Result<Value>;

    /// What a successor needs of a client.
    fn describe(&self, _session: u64) -> Value {
        Value::Object(Map::new())
    }

    /// Takes a client over that a predecessor has described so.
    fn adopt(self: Arc<Self>, _session: &Session, _described: &Value) {}

    /// The daemon will exit: finish writes.
    fn stop(&self) -> BoxFuture<()>;
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A program that a daemon answers itself, where others have drivers: what virtlogd and virtlockd are.

use std::sync::Arc;

use virtus_api::{Program, Result};
use virtus_core::conf::Conf;
use virtus_core::{BoxFuture, Paths, Responder};

/// The program in the table of daemons.
#[derive(Clone, Copy)]
pub struct Own {
    /// What its clients speak.
    pub program: Program,
    pub(crate) start: fn(&Paths, &Conf) -> Result<Arc<dyn Keeper>>,
}

/// Whoever answers the program, and keeps what it is about: logs, locks.
pub(crate) trait Keeper: Send + Sync {
    /// Who answers the calls.
    fn responder(self: Arc<Self>) -> Arc<dyn Responder>;

    /// How many things keep the daemon from ending when it has no clients.
    fn busy(&self) -> usize;

    /// Reads the keys of its own anew. A mistake in them changes nothing.
    fn reload(&self, conf: &Conf) -> Result<()>;

    /// The daemon is about to disconnect its clients.
    fn end(&self) {}

    /// The daemon will exit: finish writes.
    fn stop(&self) -> BoxFuture<()>;
}

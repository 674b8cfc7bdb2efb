// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The administrator's scripts around the life of a machine.
//!
//! ```text
//! prepare -> (what the machine needs on the host) start -> (the VMM) started
//! stopped -> (what it leaves is removed) release REASON             reconnect, by a daemon that takes it over
//! ```
//! The former can refuse; after `prepare` the latter follow in any case. Each gets the machine's live definition.

use tokio::sync::Semaphore;
use virtus_api::{Error, Result};
use virtus_core::Paths;
use virtus_host::hooks::{Event, Failure, Hooks};
use virtus_xml::{Domain, FormatFlags};

use crate::notice::End;

/// Machines about whose takeover scripts are asked at the same time: a daemon takes over all at once, and scripts may
/// wait for each other.
const TAKEOVERS: usize = 4;

/// The scripts of one driver.
#[derive(Debug)]
pub struct MachineHooks {
    scripts: Hooks,
    takeovers: Semaphore,
}

/// What is about to be done with a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// It is to start; nothing is there yet.
    Prepare,
    /// What it needs on the host is there; its process is not.
    Start,
    /// It runs; its caller does not know yet.
    Started,
}

impl MachineHooks {
    /// The scripts of the driver `name` ("qemu").
    #[must_use]
    pub fn new(paths: &Paths, name: &'static str) -> Self {
        Self { scripts: Hooks::new(paths.hooks(), name), takeovers: Semaphore::new(TAKEOVERS) }
    }

    /// Asks the scripts.
    ///
    /// # Errors
    /// `VIR_ERR_HOOK_SCRIPT_FAILED`: it must not go on.
    pub async fn ask(&self, before: Before, def: &Domain) -> Result<()> {
        let operation = match before {
            Before::Prepare => "prepare",
            Before::Start => "start",
            Before::Started => "started",
        };
        Ok(self.call(operation, "begin", "-", def).await?)
    }

    /// Asks them whether a daemon may take the machine over. Scripts that do not work end no machine that runs.
    ///
    /// # Errors
    /// `VIR_ERR_HOOK_SCRIPT_FAILED`: one refuses.
    pub(crate) async fn reconnect(&self, def: &Domain) -> Result<()> {
        // It is never closed.
        let _turn = self.takeovers.acquire().await;
        match self.call("reconnect", "begin", "-", def).await {
            Err(Failure::Unheard(error)) => {
                tracing::warn!("domain '{}' is taken over all the same: {error}", def.name);
                Ok(())
            }
            answer => Ok(answer?),
        }
    }

    /// Tells them that the machine's process has ended.
    pub(crate) async fn stopped(&self, def: &Domain) {
        self.tell("stopped", "-", def).await;
    }

    /// Tells them that nothing of it is left.
    pub(crate) async fn released(&self, def: &Domain, end: End) {
        self.tell("release", end.word(), def).await;
    }

    async fn tell(&self, operation: &str, extra: &str, def: &Domain) {
        if let Err(failure) = self.call(operation, "end", extra, def).await {
            tracing::warn!("{}", Error::from(failure));
        }
    }

    async fn call(
        &self,
        operation: &str,
        stage: &str,
        extra: &str,
        def: &Domain,
    ) -> Result<(), Failure> {
        let event = Event { object: &def.name, operation, stage, extra };
        self.scripts.call(event, || def.format(FormatFlags::empty())).await
    }
}

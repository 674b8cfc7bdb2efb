// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The administrator's scripts around the life of a machine.
//!
//! ```text
//! prepare -> (what the machine needs on the host) start -> (the VMM) started
//! stopped -> (what it leaves is removed) release REASON             reconnect, by a daemon that takes it over
//! ```
//! The former can refuse; after `prepare` the latter follow in any case. Each gets the machine's live definition.

use virtus_api::Result;
use virtus_core::Paths;
use virtus_host::hooks::{Event, Hooks};
use virtus_xml::{Domain, FormatFlags};

use crate::notice::End;

/// The scripts of one driver.
#[derive(Debug, Clone)]
pub struct MachineHooks(Hooks);

/// What is about to be done with a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// It is to start; nothing is there yet.
    Prepare,
    /// What it needs on the host is there; its process is not.
    Start,
    /// It runs; its caller does not know yet.
    Started,
    /// A daemon takes it over.
    Reconnect,
}

impl MachineHooks {
    /// The scripts of the driver `name` ("qemu").
    #[must_use]
    pub fn new(paths: &Paths, name: &'static str) -> Self {
        Self(Hooks::new(paths.hooks(), name))
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
            Before::Reconnect => "reconnect",
        };
        self.call(operation, "begin", "-", def).await
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
        if let Err(error) = self.call(operation, "end", extra, def).await {
            tracing::warn!("{error}");
        }
    }

    async fn call(&self, operation: &str, stage: &str, extra: &str, def: &Domain) -> Result<()> {
        let event = Event { object: &def.name, operation, stage, extra };
        self.0.call(event, || def.format(FormatFlags::empty())).await
    }
}

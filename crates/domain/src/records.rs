// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where a daemon writes down what it must find again when it starts anew: in files, or nowhere.
//!
//! Invariant: machines that are recorded nowhere never make anything of this host's disk; otherwise they are as
//! all others.

use std::sync::Arc;

use virtus_api::Result;
use virtus_core::store;

use crate::definitions::Places;
use crate::moments::{Moment, Moments};
use crate::status::Status;

/// The records of one set of machines. All methods block.
#[derive(Debug, Clone)]
pub(crate) enum Records {
    /// libvirt's files.
    Disk(Places),
    /// The machines are gone when their set is.
    Nowhere,
}

impl Records {
    /// The folders, if there are any.
    pub(crate) fn places(&self) -> Option<&Places> {
        match self {
            Self::Disk(places) => Some(places),
            Self::Nowhere => None,
        }
    }

    /// Writes a definition.
    pub(crate) fn save(&self, name: &str, definition: &str) -> Result<()> {
        self.places().map_or(Ok(()), |places| places.save(name, definition))
    }

    /// Removes a definition and its autostart link.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        self.places().map_or(Ok(()), |places| places.remove(name))
    }

    /// Sets or removes the autostart link.
    pub(crate) fn set_autostart(&self, name: &str, on: bool) -> Result<()> {
        self.places().map_or(Ok(()), |places| places.set_autostart(name, on))
    }

    /// Writes the status file of a machine that runs, or removes that of one that does not.
    pub(crate) fn save_status(&self, name: &str, status: Option<&Status>) -> Result<()> {
        let Some(path) = self.places().map(|places| places.status(name)) else { return Ok(()) };
        match status {
            Some(status) => store::write(&path, status.format().as_bytes(), store::PRIVATE),
            None => store::remove(&path),
        }
    }

    /// Writes what has changed in the moments of a machine.
    pub(crate) fn save_moments<T: Moment>(
        &self,
        machine: &str,
        before: &Moments<T>,
        after: &Moments<T>,
    ) -> Result<()> {
        let Some(places) = self.places() else { return Ok(()) };
        let file = |name: &str| places.moment(T::WORD, machine, name);
        for gone in before.iter().filter(|one| !after.contains(one.name())) {
            store::remove(&file(gone.name()))?;
        }
        for one in after.iter() {
            let current = after.is_current(one.name());
            let same = before.iter().any(|old| Arc::ptr_eq(old, one));
            if !same || before.is_current(one.name()) != current {
                let text = one.on_paper(current);
                store::write(&file(one.name()), text.as_bytes(), store::PRIVATE)?;
            }
        }
        Ok(())
    }

    /// Removes saved memory.
    pub(crate) fn discard_saved(&self, name: &str) -> Result<()> {
        self.places().map_or(Ok(()), |places| store::remove(&places.managed_save(name)))
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files that were given to the QEMU user for as long as a guest runs, and go back when it has ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::spawn_blocking;
use uuid::Uuid;
use virtus_host::label::{self, Step};

/// The files of one run; shared by the start and by what undoes it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given(Arc<Mutex<Vec<Step>>>);

impl Given {
    /// Files that a former daemon gave away.
    pub(crate) fn found(steps: Vec<Step>) -> Self {
        Self(Arc::new(Mutex::new(steps)))
    }

    /// Takes note of what was given away.
    pub(crate) fn note(&self, steps: Vec<Step>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = steps;
    }

    /// Takes note of more.
    pub(crate) fn add(&self, steps: Vec<Step>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(steps);
    }

    /// Takes everything back.
    pub(crate) async fn take_back(self) {
        let steps = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if !steps.is_empty() {
            // The pool refuses work only when the daemon ends.
            let _ = spawn_blocking(move || label::restore(&steps)).await;
        }
    }
}

/// The files of all guests that run.
#[derive(Debug, Default)]
pub(crate) struct GivenFiles(Mutex<HashMap<Uuid, Given>>);

impl GivenFiles {
    /// A guest has started with these.
    pub(crate) fn note(&self, guest: Uuid, given: Given) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(guest, given);
    }

    /// A guest that runs has got more.
    pub(crate) fn add(&self, guest: Uuid, steps: Vec<Step>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(guest).or_default().add(steps);
    }

    /// A guest has ended; none are known of one that a former daemon started.
    pub(crate) fn forget(&self, guest: Uuid) -> Option<Given> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&guest)
    }
}

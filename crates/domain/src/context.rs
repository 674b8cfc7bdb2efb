// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a job gets to work with: the running machine, and its definitions to change.
//!
//! Changes of the live definition say what has happened to the machine: they are published at once
//! and stay, whatever becomes of the job. Changes of the persistent definition are a wish: they are
//! saved and published when the job succeeds, and forgotten when it fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use virtus_api::{DomainEvent, DomainEventLifecycle, DomainRef, Result};
use virtus_xml::Domain;

use crate::actor::clean_up;
use crate::at_rest::{AtRest, text_of};
use crate::handle::Handle;
use crate::ink::{Ink, Written};
use crate::machine::{Machine, Stop};
use crate::moments::{Moment, Moments};
use crate::notice::End;
use crate::snapshot::{Snapshot, not_running};
use crate::state::{Change, Lifecycle};
use crate::undo::Undo;

/// A job's hold on its machine.
pub struct Context<M: Machine> {
    handle: Arc<Handle<M>>,
    pub(crate) ink: Ink,
    staged: Arc<Mutex<Option<Arc<Domain>>>>,
    /// Whether the status file was written for this job, and nobody waited for it yet.
    unsettled: Arc<AtomicBool>,
    pub(crate) undo: Arc<Mutex<Option<Undo>>>,
}

impl<M: Machine> Clone for Context<M> {
    fn clone(&self) -> Self {
        Self {
            handle: self.handle.clone(),
            ink: self.ink.clone(),
            staged: self.staged.clone(),
            unsettled: self.unsettled.clone(),
            undo: self.undo.clone(),
        }
    }
}

impl<M: Machine> Context<M> {
    pub(crate) fn new(handle: Arc<Handle<M>>, ink: Ink, undo: Arc<Mutex<Option<Undo>>>) -> Self {
        Self { handle, ink, staged: Arc::default(), unsettled: Arc::default(), undo }
    }

    /// The machine's handle.
    #[must_use]
    pub fn handle(&self) -> &Arc<Handle<M>> {
        &self.handle
    }

    /// The hypervisor.
    #[must_use]
    pub fn machine(&self) -> &Arc<M> {
        self.handle.set().machine()
    }

    /// What everybody sees of the machine now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.handle.snapshot()
    }

    /// The running machine.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if it does not run.
    pub fn running(&self) -> Result<Arc<M::Running>> {
        self.handle.running().ok_or_else(|| not_running(&self.snapshot().name))
    }

    /// The live definition.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if it does not run.
    pub fn live(&self) -> Result<Arc<Domain>> {
        self.snapshot().live().cloned()
    }

    /// The persistent definition, with the changes of this job.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if the machine is transient.
    pub fn persistent(&self) -> Result<Arc<Domain>> {
        if let Some(staged) = &*self.staged.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(staged.clone());
        }
        self.snapshot().persistent()
    }

    /// Writes into the live definition what has happened to the machine.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if it does not run.
    pub fn change_live<R>(&self, change: impl FnOnce(&mut Domain) -> R) -> Result<R> {
        let mut core = self.handle.core();
        let Some(live) = core.live.as_mut() else { return Err(not_running(&core.name)) };
        let result = change(Arc::make_mut(&mut live.def));
        self.handle.publish(&core);
        drop(core);
        self.save_status();
        Ok(result)
    }

    /// Changes the persistent definition, if the job succeeds.
    ///
    /// # Errors
    /// Those of `change`; `VIR_ERR_OPERATION_INVALID` if the machine is transient.
    pub fn change_persistent<R>(&self, change: impl FnOnce(&mut Domain) -> Result<R>) -> Result<R> {
        let mut def = self.persistent()?;
        let result = change(Arc::make_mut(&mut def))?;
        self.set_persistent(def);
        Ok(result)
    }

    /// Replaces the persistent definition, if the job succeeds. Its name and UUID must not change.
    pub fn set_persistent(&self, def: Arc<Domain>) {
        *self.staged.lock().unwrap_or_else(PoisonError::into_inner) = Some(def);
    }

    /// Ends the machine as a part of this job.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if it does not run; the driver's if it cannot be ended.
    pub async fn end(&self, end: End) -> Result<()> {
        let running = self.running()?;
        if let Some(live) = self.handle.core().live.as_mut() {
            live.leaving = true;
        }
        if let Err(error) = self.machine().stop(&running, Stop::Destroy).await {
            if let Some(live) = self.handle.core().live.as_mut() {
                live.leaving = false;
            }
            return Err(error);
        }
        self.clean_up(end).await;
        self.handle.forget_live(end);
        Ok(())
    }

    /// Removes what the machine, whose process has ended, left on the host, and its status file.
    pub(crate) async fn clean_up(&self, end: End) {
        clean_up(self.handle.clone(), self.ink.clone(), None, end).await;
    }

    /// Changes the machine's snapshots or checkpoints: on disk first, then for all to see.
    ///
    /// # Errors
    /// Those of `change`, then nothing has changed; that of the disk.
    pub async fn change_moments<T: Moment, R>(
        &self,
        change: impl FnOnce(&mut Moments<T>) -> Result<R>,
    ) -> Result<R> {
        let snapshot = self.snapshot();
        let before = T::of(&snapshot.moments).clone();
        let mut after = (*before).clone();
        let result = change(&mut after)?;
        let after = Arc::new(after);
        let (records, written) = (self.handle.set().records().clone(), after.clone());
        let name = snapshot.name.clone();
        self.ink.put(move || records.save_moments(&name, &before, &written)).wait().await?;
        let mut core = self.handle.core();
        *T::of_mut(&mut core.moments) = after;
        self.handle.publish(&core);
        Ok(result)
    }

    /// Notes that the machine's memory is saved where its next start looks for it.
    pub fn has_saved(&self) {
        let mut core = self.handle.core();
        core.managed_save = true;
        self.handle.publish(&core);
    }

    /// Removes saved memory, if there is some: the next start boots.
    pub(crate) async fn discard_saved(&self) -> Result<()> {
        if !self.snapshot().managed_save {
            return Ok(());
        }
        let (records, name) = (self.handle.set().records().clone(), self.snapshot().name.clone());
        self.ink.put(move || records.discard_saved(&name)).wait().await?;
        let mut core = self.handle.core();
        core.managed_save = false;
        self.handle.publish(&core);
        Ok(())
    }

    /// Tells clients of something that happened to the machine.
    pub fn emit(&self, event: impl FnOnce(DomainRef) -> DomainEvent) {
        self.handle.emit(event);
    }

    /// Changes the state and tells; what changes nothing is passed over. Saves the status.
    pub fn apply(&self, change: Change) {
        if self.handle.apply(change) {
            self.save_status();
        }
    }

    /// Queues a write of the status file as it should then be.
    pub(crate) fn save_status(&self) -> Written {
        self.unsettled.store(true, Ordering::Relaxed);
        save_status(&self.handle, &self.ink)
    }

    /// Saves and publishes what the job staged, and waits for the status file: what the caller is
    /// told survives a crash.
    pub(crate) async fn settle(&self) -> Result<()> {
        if self.unsettled.swap(false, Ordering::Relaxed) {
            self.ink.put(|| Ok(())).wait().await?;
        }
        let staged = self.staged.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(def) = staged else { return Ok(()) };
        let records = self.handle.set().records().clone();
        let text = text_of(&def);
        let at_rest = Arc::new(AtRest::written(&def, &text));
        let name = def.name.clone();
        self.ink.put(move || records.save(&name, &text)).wait().await?;
        let mut core = self.handle.core();
        core.updated = core.live.is_some();
        core.persistent = Some(at_rest);
        self.handle.publish(&core);
        Ok(())
    }
}

/// Queues a write of the status file as it should be when the write happens: or its removal.
pub(crate) fn save_status<M: Machine>(handle: &Arc<Handle<M>>, ink: &Ink) -> Written {
    let handle = handle.clone();
    ink.put(move || {
        let (name, status) = {
            let core = handle.core();
            (core.name.clone(), core.status())
        };
        handle.set().records().save_status(&name, status.as_ref())
    })
}

impl<M: Machine> Handle<M> {
    /// Changes the state, publishes it and tells of it; whether anything changed.
    pub(crate) fn apply(&self, change: Change) -> bool {
        let mut core = self.core();
        let Some((state, told)) = core.state.after(change, M::TELLS_FIRST_RESUME) else {
            return false;
        };
        core.state = state;
        self.publish(&core);
        drop(core);
        self.tell(told);
        true
    }

    /// Emits lifecycle events.
    pub(crate) fn tell(&self, events: &[Lifecycle]) {
        for Lifecycle(kind, detail) in events {
            self.emit(|dom| {
                DomainEventLifecycle { dom, event: *kind as i32, detail: *detail }.into()
            });
        }
    }

    /// Emits an event of this machine.
    pub(crate) fn emit(&self, event: impl FnOnce(DomainRef) -> DomainEvent) {
        self.set().hub().emit(event(self.snapshot().domain_ref()));
    }
}

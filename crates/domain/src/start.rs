// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a machine starts. The order of the steps, and what a crash between two of them leaves behind,
//! is stated at [`crate::Machine`].

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use virtus_api::{DomainRef, Error, ErrorCode, Result};
use virtus_xml::Domain;

use crate::context::Context;
use crate::core::{Live, StatusPart};
use crate::handle::Handle;
use crate::hooks::Before;
use crate::jobs::{Job, Long};
use crate::machine::{Files, Machine, Start};
use crate::machines::Machines;
use crate::notice::End;
use crate::state::{Begin, Change};
use crate::undo::Undo;

/// What a caller can wish for a start.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Leave the vCPUs stopped.
    pub paused: bool,
    /// Make a fresh NVRAM file first.
    pub reset_nvram: bool,
    /// Boot even if there is saved memory to continue from; it is discarded.
    pub force_boot: bool,
    /// The session that takes the machine with it when it closes.
    pub owner: Option<u64>,
    /// What it begins to run from.
    pub from: Begin,
    /// Descriptors for the machine's first process.
    pub files: Files,
}

impl<M: Machine> Handle<M> {
    /// Starts a defined machine.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if it runs already; the driver's error otherwise.
    pub async fn start(self: &Arc<Self>, name: &'static str, wishes: Wishes) -> Result<DomainRef> {
        self.job(Job::long(Long::Start, name), move |context| async move {
            let snapshot = context.snapshot();
            if snapshot.is_active() {
                return Err(Error::new(ErrorCode::OperationInvalid, "domain is already running"));
            }
            let def = snapshot.def()?;
            bring_up(&context, &def, wishes).await
        })
        .await
    }
}

impl<M: Machine> Machines<M> {
    /// Starts a machine from a definition that is not kept. It is transient unless a machine with
    /// the same name and UUID is defined: then that one runs with this definition.
    ///
    /// # Errors
    /// As [`Handle::start`]; `VIR_ERR_OPERATION_FAILED` if name or UUID belong to another machine.
    pub async fn create(
        self: &Arc<Self>,
        name: &'static str,
        def: Domain,
        wishes: Wishes,
    ) -> Result<DomainRef> {
        let job = Job::long(Long::Start, name);
        self.job_on(job, def, move |context, def| {
            let wishes = wishes.clone();
            async move {
                if context.snapshot().is_active() {
                    let text = format!("domain '{}' is already active", def.name);
                    return Err(Error::new(ErrorCode::OperationInvalid, text));
                }
                bring_up(&context, &def, wishes).await
            }
        })
        .await
    }
}

impl<M: Machine> Context<M> {
    /// Starts the machine, which is off, as a part of this job.
    ///
    /// # Errors
    /// The driver's.
    pub async fn start(&self, def: &Domain, wishes: Wishes) -> Result<DomainRef> {
        bring_up(self, def, wishes).await
    }
}

async fn bring_up<M: Machine>(
    context: &Context<M>,
    def: &Domain,
    wishes: Wishes,
) -> Result<DomainRef> {
    let handle = context.handle();
    let set = handle.set();
    if wishes.force_boot {
        context.discard_saved().await?;
    }
    let id = set.claim_id(handle);
    let saved = context.snapshot().managed_save;
    let Wishes { paused, reset_nvram, files, .. } = wishes;
    let start = Start { id, paused, reset_nvram, saved, files };
    let plan = match context.machine().plan(def, &start) {
        Ok(plan) => plan,
        Err(error) => {
            set.release_id(id);
            return Err(error);
        }
    };

    let (notices, heard) = mpsc::unbounded_channel();
    let mut live = def.clone();
    live.id = Some(id);
    {
        let mut core = handle.core();
        core.live = Some(Live { owner: wishes.owner, ..Live::new(Arc::new(live), heard) });
        if let Some((state, _)) = core.state.after(Change::Starting, false) {
            core.state = state;
        }
        handle.publish(&core);
    }
    let mut undo = Homing { undo: Undo::new(), home: context.undo.clone() };
    match launch(context, plan, &mut undo.undo, notices, paused).await {
        Ok(()) => {
            std::mem::take(&mut undo.undo).keep();
            if saved {
                context.discard_saved().await?;
            }
            context.apply(Change::Started { from: wishes.from, paused });
            Ok(context.snapshot().domain_ref())
        }
        Err(error) => {
            std::mem::take(&mut undo.undo).unwind().await;
            let told = {
                let core = handle.core();
                core.live.as_ref().filter(|live| live.hooked).map(|live| live.def.clone())
            };
            if let (Some(hooks), Some(def)) = (context.machine().hooks(), told) {
                hooks.stopped(&def).await;
                hooks.released(&def, End::Failed).await;
            }
            if let Some(live) = handle.core().live.as_mut() {
                live.leaving = true;
            }
            if let Err(litter) = context.save_status().wait().await {
                tracing::warn!("{litter}");
            }
            handle.forget_live(End::Failed);
            Err(error)
        }
    }
}

/// From a plan to a machine whose vCPUs run, with its status file before them.
async fn launch<M: Machine>(
    context: &Context<M>,
    plan: M::Plan,
    undo: &mut Undo,
    notices: crate::Notices,
    paused: bool,
) -> Result<()> {
    context.save_status().wait().await?;
    if let Some(live) = context.handle().core().live.as_mut() {
        live.hooked = true;
    }
    ask(context, Before::Prepare).await?;
    let launched = context.machine().launch(plan, undo, notices).await?;
    let running = launched.running.clone();
    {
        let mut core = context.handle().core();
        if let Some(live) = core.live.as_mut() {
            let id = live.def.id;
            let (mut def, status) = StatusPart::of(launched.status);
            let set = context.handle().set();
            def.id = match (id, def.id) {
                (Some(old), Some(new)) => Some(set.renumber(context.handle(), old, new)),
                _ => id,
            };
            live.def = Arc::new(def);
            live.status = status;
        }
        context.handle().publish(&core);
    }
    context.save_status().wait().await?;
    if !paused {
        context.machine().resume(&running).await?;
    }
    ask(context, Before::Started).await?;
    // From here on the actor hears its notices.
    let mut core = context.handle().core();
    if let Some(live) = core.live.as_mut() {
        live.running = Some(running);
        live.started = std::time::SystemTime::now();
    }
    Ok(())
}

async fn ask<M: Machine>(context: &Context<M>, before: Before) -> Result<()> {
    match context.machine().hooks() {
        Some(hooks) => hooks.ask(before, &*context.live()?).await,
        None => Ok(()),
    }
}

/// An undo that is found by the actor when the start is dropped, so that a destroy can wait for it.
struct Homing {
    undo: Undo,
    home: Arc<Mutex<Option<Undo>>>,
}

impl Drop for Homing {
    fn drop(&mut self) {
        if !self.undo.is_empty() {
            let undo = std::mem::take(&mut self.undo);
            *self.home.lock().unwrap_or_else(PoisonError::into_inner) = Some(undo);
        }
    }
}

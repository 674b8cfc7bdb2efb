// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What changes a machine on paper: define, undefine, rename, autostart.
//!
//! Invariant: a definition is on disk before anybody sees it, and gone from disk before it is gone
//! from sight: what a client was told survives a crash.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use virtus_api::{
    DomainEventDefinedDetailType as Defined, DomainEventType,
    DomainEventUndefinedDetailType as Undefined, DomainRef, Error, ErrorCode, Result,
};
use virtus_core::store;
use virtus_xml::value::YesNo;
use virtus_xml::{Checkpoint, Domain, Snapshot as XmlSnapshot};

use crate::at_rest::{AtRest, text_of};
use crate::definitions::{Places, check_name};
use crate::handle::Handle;
use crate::jobs::Job;
use crate::machine::Machine;
use crate::machines::Machines;
use crate::moments::Moment;
use crate::snapshot::{Snapshot, no_domain_uuid};
use crate::state::Lifecycle;

const ADDED: Lifecycle = Lifecycle(DomainEventType::Defined, Defined::Added as i32);
const UPDATED: Lifecycle = Lifecycle(DomainEventType::Defined, Defined::Updated as i32);
const RENAMED: Lifecycle = Lifecycle(DomainEventType::Defined, Defined::Renamed as i32);
pub(crate) const REMOVED: Lifecycle =
    Lifecycle(DomainEventType::Undefined, Undefined::Removed as i32);
const RENAMED_AWAY: Lifecycle = Lifecycle(DomainEventType::Undefined, Undefined::Renamed as i32);

/// What of a machine's other files an undefine may remove or leave.
#[derive(Debug, Clone, Copy, Default)]
pub struct Leftovers {
    /// Remove saved memory.
    pub managed_save: bool,
    /// Forget snapshots.
    pub snapshots: bool,
    /// Forget checkpoints.
    pub checkpoints: bool,
    /// Remove the NVRAM file.
    pub nvram: bool,
    /// Leave the NVRAM file.
    pub keep_nvram: bool,
    /// Remove the state of the TPM even if its definition says that it stays.
    pub tpm: bool,
    /// Leave the state of the TPM.
    pub keep_tpm: bool,
}

impl<M: Machine> Machines<M> {
    /// Defines a machine, or changes the definition of the one with this name and UUID.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_FAILED` if name or UUID belong to another machine; that of the disk.
    pub async fn define(self: &Arc<Self>, name: &'static str, def: Domain) -> Result<DomainRef> {
        self.job_on(Job::define(name), def, |context, def| async move {
            let told = if context.snapshot().persistent.is_some() { &[UPDATED] } else { &[ADDED] };
            context.set_persistent(def);
            context.settle().await?;
            context.handle().tell(told);
            Ok(context.snapshot().domain_ref())
        })
        .await
    }
}

impl<M: Machine> Handle<M> {
    /// Removes the definition. A machine that runs goes on as a transient one.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if it has none, or has files that nobody decided about.
    pub async fn undefine(
        self: &Arc<Self>,
        name: &'static str,
        leftovers: Leftovers,
    ) -> Result<()> {
        self.job(Job::define(name), move |context| async move {
            let handle = context.handle().clone();
            let snapshot = context.snapshot();
            if snapshot.persistent.is_none() && !snapshot.is_active() {
                // Somebody else was quicker.
                return Err(no_domain_uuid(snapshot.uuid, &snapshot.name));
            }
            if snapshot.persistent.is_none() {
                return Err(Error::new(
                    ErrorCode::OperationInvalid,
                    "cannot undefine transient domain",
                )
                .hint(format!("end it with 'virsh destroy {}'", snapshot.name)));
            }
            if snapshot.managed_save && !leftovers.managed_save {
                let text = "Refusing to undefine while domain managed save image exists";
                return Err(Error::new(ErrorCode::OperationInvalid, text).hint(format!(
                    "discard the image with 'virsh undefine --managed-save {}'",
                    snapshot.name
                )));
            }
            let known = &snapshot.moments;
            for (count, what, forget) in [
                (known.snapshots.len(), "snapshots", leftovers.snapshots),
                (known.checkpoints.len(), "checkpoints", leftovers.checkpoints),
            ] {
                if count > 0 && !forget && !snapshot.is_active() {
                    let text = format!("cannot delete inactive domain with {count} {what}");
                    return Err(Error::new(ErrorCode::OperationInvalid, text).hint(format!(
                        "forget them with 'virsh undefine --{what}-metadata {}'",
                        snapshot.name
                    )));
                }
            }
            let records = handle.set().records().clone();
            let def = snapshot.persistent()?;
            let others = records.places().map(|places| Others::of(places, &snapshot, &def));
            let machine_name = snapshot.name.clone();
            let removal = move || {
                if let Some(others) = others {
                    others.remove(leftovers, &machine_name)?;
                }
                records.discard_saved(&machine_name)?;
                records.remove(&machine_name)
            };
            context.ink.put(removal).wait().await?;
            {
                let mut core = handle.core();
                core.undefine();
                handle.publish(&core);
            }
            let dom = snapshot.domain_ref();
            handle.set().remove_if_gone(&handle);
            handle.tell_as(&dom, REMOVED);
            Ok(())
        })
        .await
    }

    /// Removes saved memory: the next start boots.
    ///
    /// # Errors
    /// That of the disk.
    pub async fn discard_saved(self: &Arc<Self>, name: &'static str) -> Result<()> {
        self.job(Job::modify(name), move |context| async move { context.discard_saved().await })
            .await
    }

    /// Gives a machine that is off another name.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if it runs, is transient, or the name is taken.
    pub async fn rename(self: &Arc<Self>, name: &'static str, to: String) -> Result<()> {
        self.job(Job::whole(name), move |context| async move {
            check_name(&to)?;
            let handle = context.handle().clone();
            let set = handle.set();
            let snapshot = context.snapshot();
            let refuse = |text: &'static str| Err(Error::new(ErrorCode::OperationInvalid, text));
            if *to == *snapshot.name {
                return refuse("Can't rename domain to itself");
            }
            if snapshot.is_active() {
                return refuse("cannot rename active domain");
            }
            let Some(old) = &snapshot.persistent else {
                return refuse("cannot rename a transient domain");
            };
            let mut def = Domain::clone(&*old.definition()?);
            if snapshot.managed_save {
                return refuse("domain with a managed saved state can't be renamed");
            }
            let known = &snapshot.moments;
            if set.records().places().is_some() && !known.snapshots.is_empty() {
                return refuse("cannot rename domain with snapshots");
            }
            if set.records().places().is_some() && !known.checkpoints.is_empty() {
                return refuse("cannot rename domain with checkpoints");
            }
            set.claim_name(&handle, &to)?;
            def.name.clone_from(&to);
            let text = text_of(&def);
            let at_rest = Arc::new(AtRest::written(&def, &text));
            let (records, autostart) = (set.records().clone(), snapshot.autostart);
            let from = snapshot.name.clone();
            let moved = context.ink.put(move || {
                records.save(&def.name, &text)?;
                if autostart {
                    records.set_autostart(&def.name, true)?;
                }
                records.remove(&from)
            });
            if let Err(error) = moved.wait().await {
                set.release_name(&to);
                let (records, litter) = (set.records().clone(), to.clone());
                // The old definition stands; the new one must not appear at the next start.
                context.ink.put(move || records.remove(&litter));
                return Err(error);
            }
            {
                let mut core = handle.core();
                core.persistent = Some(at_rest);
                core.name = to.as_str().into();
                handle.publish(&core);
            }
            set.release_name(&snapshot.name);
            handle.tell_as(&snapshot.domain_ref(), RENAMED_AWAY);
            handle.tell(&[RENAMED]);
            Ok(())
        })
        .await
    }

    /// Chooses whether the machine starts when the host boots.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` for a transient machine; that of the disk.
    pub async fn set_autostart(self: &Arc<Self>, name: &'static str, on: bool) -> Result<()> {
        self.job(Job::define(name), move |context| async move {
            let handle = context.handle();
            let snapshot = context.snapshot();
            if snapshot.persistent.is_none() && !snapshot.is_active() {
                // Somebody else was quicker.
                return Err(no_domain_uuid(snapshot.uuid, &snapshot.name));
            }
            if snapshot.persistent.is_none() {
                return Err(Error::new(
                    ErrorCode::OperationInvalid,
                    "cannot set autostart for transient domain",
                ));
            }
            if snapshot.autostart == on {
                return Ok(());
            }
            let (records, machine) = (handle.set().records().clone(), snapshot.name.clone());
            context.ink.put(move || records.set_autostart(&machine, on)).wait().await?;
            let mut core = handle.core();
            core.autostart = on;
            handle.publish(&core);
            Ok(())
        })
        .await
    }

    /// Tells of a machine under the name it had.
    pub(crate) fn tell_as(&self, dom: &DomainRef, event: Lifecycle) {
        let event = virtus_api::DomainEventLifecycle {
            dom: dom.clone(),
            event: event.0 as i32,
            detail: event.1,
        };
        self.set().hub().emit(event);
    }
}

/// The files of a machine beside its definition.
struct Others {
    moments: [PathBuf; 2],
    nvram: Option<PathBuf>,
    /// Where the TPM keeps its state, and whether that outlives the definition.
    tpm: Option<(PathBuf, bool)>,
}

impl Others {
    fn of(places: &Places, snapshot: &Snapshot, def: &Domain) -> Self {
        let nvram = def.os.nvram.as_ref();
        let tpm = def.devices.tpms.first();
        Self {
            moments: [XmlSnapshot::WORD, Checkpoint::WORD]
                .map(|word| places.moments(word).join(&*snapshot.name)),
            nvram: nvram.and_then(|nvram| {
                let source = nvram.source.as_ref().and_then(|source| source.file.as_ref());
                nvram.path.as_ref().or(source).map(PathBuf::from)
            }),
            tpm: tpm.map(|tpm| {
                let backend = tpm.backend.as_ref();
                let stays = backend.and_then(|b| b.persistent_state) == Some(YesNo::Yes);
                (places.tpm(snapshot.uuid), stays)
            }),
        }
    }

    /// Removes what may go; refuses first if something stands that nobody decided about. Blocks.
    fn remove(&self, leftovers: Leftovers, name: &str) -> Result<()> {
        let refuse = |text: &'static str, hint: String| {
            Err(Error::new(ErrorCode::OperationInvalid, text).hint(hint))
        };
        let nvram = self.nvram.as_ref().filter(|path| path.exists());
        if nvram.is_some() && !leftovers.nvram && !leftovers.keep_nvram {
            return refuse(
                "cannot undefine domain with nvram",
                format!(
                    "remove the NVRAM file with 'virsh undefine --nvram {name}', or leave it with \
                     '--keep-nvram'"
                ),
            );
        }
        self.moments.iter().try_for_each(|folder| remove_folder(folder))?;
        if let Some(nvram) = nvram.filter(|_| leftovers.nvram) {
            store::remove(nvram)?;
        }
        match &self.tpm {
            Some((state, stays)) if leftovers.tpm || !(leftovers.keep_tpm || *stays) => {
                remove_folder(state)
            }
            _ => Ok(()),
        }
    }
}

fn remove_folder(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::system(format!("cannot remove '{}'", folder.display()), &cause))
        }
        _ => Ok(()),
    }
}

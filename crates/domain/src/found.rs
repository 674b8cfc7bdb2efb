// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Definitions as a daemon that starts finds them.
//!
//! Of each file the name and the UUID are looked at, and the daemon serves. Behind its back every definition is then
//! read in full, completed and kept in its final form. One that turns out to be no definition is reported with its
//! file, and is forgotten as if it had been undefined; the file is left alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::{JoinSet, spawn_blocking};
use uuid::Uuid;
use virtus_api::{Error, ErrorCode, Result};
use virtus_core::store;
use virtus_xml::glance;

use crate::at_rest::{AtRest, Complete};
use crate::define::REMOVED;
use crate::definitions::{Places, check_name};
use crate::handle::Handle;
use crate::jobs::Job;
use crate::machine::{Machine, Origin};
use crate::machines::Machines;
use crate::restore::{blocking, broken};
use crate::snapshot::Snapshot;

/// Files that one blocking task looks at.
const BATCH: usize = 256;

/// A definition that was found.
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) uuid: Uuid,
    pub(crate) at_rest: AtRest,
}

/// All definitions that look like some, by name.
pub(crate) async fn definitions<M: Machine>(
    machine: &Arc<M>,
    places: Places,
) -> Result<Vec<Found>> {
    let files = blocking(move || store::open(places.config(), ".xml")).await?;
    let machine = machine.clone();
    let complete: Complete = Arc::new(move |def| machine.complete(def, Origin::Disk));
    let mut tasks = JoinSet::new();
    for (place, batch) in files.chunks(BATCH).enumerate() {
        let (complete, batch) = (complete.clone(), batch.to_vec());
        let look = move |(name, path): (String, PathBuf)| {
            look_at(name, &path, &complete).inspect_err(|error| passed_over(&path, error)).ok()
        };
        tasks.spawn_blocking(move || {
            (place, batch.into_iter().filter_map(look).collect::<Vec<_>>())
        });
    }
    let mut batches = tasks.join_all().await;
    batches.sort_by_key(|(place, _)| *place);
    Ok(batches.into_iter().flat_map(|(_, batch)| batch).collect())
}

/// Looks at the head of a definition; where that does not tell, reads it in full.
fn look_at(name: String, path: &Path, complete: &Complete) -> Result<Found> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| Error::system(format!("cannot read '{}'", path.display()), &cause))?;
    check_name(&name)?;
    let seen = glance(&text).filter(|seen| seen.name == name).map(|seen| seen.uuid);
    let at_rest = AtRest::found(text, complete.clone());
    let uuid = match seen {
        Some(uuid) => uuid,
        None => check(&at_rest, &name, path)?,
    };
    Ok(Found { name, uuid, at_rest })
}

/// Reads in full what was only looked at; answers its UUID.
fn check(at_rest: &AtRest, name: &str, path: &Path) -> Result<Uuid> {
    let checked = at_rest.check()?;
    for warning in &checked.warnings {
        tracing::warn!("{}:{}:{}: {}", path.display(), warning.line, warning.column, warning.text);
    }
    // What this host cannot run now (a missing binary) is still defined.
    if let Some(error) = checked.incomplete {
        tracing::warn!("domain '{name}': {error}");
    }
    if checked.def.name != name {
        let text =
            format!("it defines domain '{}', which belongs in another file", checked.def.name);
        return Err(Error::new(ErrorCode::XmlError, text));
    }
    checked.def.uuid.filter(|uuid| !uuid.is_nil()).ok_or_else(|| broken("it has no uuid"))
}

/// Reads in full what was only looked at, beside the daemon's work.
pub(crate) async fn check_all<M: Machine>(set: Arc<Machines<M>>, places: Places) {
    let all = set.all();
    for batch in all.chunks(BATCH) {
        let unread: Vec<_> = batch.iter().filter_map(Unread::of).collect();
        let places = places.clone();
        let wrong = spawn_blocking(move || {
            unread.into_iter().filter(|unread| !unread.is_right(&places)).collect::<Vec<_>>()
        });
        // A panic costs its batch the check: those definitions stay as they were found.
        for unread in wrong.await.unwrap_or_default() {
            unread.handle.forget_definition(unread.at_rest).await;
        }
    }
    if !all.is_empty() {
        // What thousands took to be read is not needed again.
        let _given_back = spawn_blocking(virtus_host::memory::give_back).await;
    }
}

/// A definition that was only looked at, and whose it is.
struct Unread<M: Machine> {
    handle: Arc<Handle<M>>,
    snapshot: Arc<Snapshot>,
    at_rest: Arc<AtRest>,
}

impl<M: Machine> Unread<M> {
    fn of((handle, snapshot): &(Arc<Handle<M>>, Arc<Snapshot>)) -> Option<Self> {
        let at_rest = snapshot.persistent.clone().filter(|at_rest| at_rest.is_unread())?;
        Some(Self { handle: handle.clone(), snapshot: snapshot.clone(), at_rest })
    }

    /// Whether it is what it looked like; says so if not.
    fn is_right(&self, places: &Places) -> bool {
        let Snapshot { name, uuid, .. } = &*self.snapshot;
        let path = places.definition(name);
        let outcome = match check(&self.at_rest, name, &path) {
            Ok(read) if read != *uuid => Err(broken("it has two uuids")),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        outcome.inspect_err(|error| passed_over(&path, error)).is_ok()
    }
}

impl<M: Machine> Handle<M> {
    /// Takes a definition that is none away, unless there is another by now. What runs goes on as a transient machine.
    async fn forget_definition(self: &Arc<Self>, broken: Arc<AtRest>) {
        let forgotten = self.job(Job::define("check"), move |context| async move {
            let handle = context.handle();
            let dom = context.snapshot().domain_ref();
            let mut core = handle.core();
            if core.persistent.as_ref().is_some_and(|now| Arc::ptr_eq(now, &broken)) {
                core.undefine();
                handle.publish(&core);
                drop(core);
                handle.set().remove_if_gone(handle);
                handle.tell_as(&dom, REMOVED);
            }
            Ok(())
        });
        if let Err(error) = forgotten.await {
            tracing::error!("a definition that cannot be read stays: {error}");
        }
    }
}

fn passed_over(path: &Path, error: &Error) {
    tracing::error!("'{}' is passed over: {error}", path.display());
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How the machines come back when the daemon starts: definitions from their files, running machines
//! from their status files.
//!
//! A file that cannot be read is reported and left alone; it stops nothing else. The daemon serves as soon as it
//! knows names and UUIDs ([`crate::found`]). A machine that runs
//! is shown at once as its status file says, and its jobs wait until it is taken over: a monitor that
//! does not answer delays nobody but its own machine. What has ended meanwhile is cleaned up and told.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use virtus_api::{Error, ErrorCode, Result};
use virtus_core::events::Hub;
use virtus_core::{Paths, store};
use virtus_xml::ParseFlags;

use crate::context::Context;
use crate::core::{Core, Live, StatusPart};
use crate::definitions::Places;
use crate::found::{Found, check_all, definitions};
use crate::handle::Handle;
use crate::jobs::{Job, Long};
use crate::machine::{Launched, Machine, Notices, Stop};
use crate::machines::Machines;
use crate::moments::{Known, Moment, Moments};
use crate::notice::End;
use crate::records::Records;
use crate::snapshot::Snapshot;
use crate::start::Wishes;
use crate::state::State;
use crate::status::Status;

/// How long [`Machines::open`] waits for machines to be taken over before the daemon serves.
const PATIENCE: Duration = Duration::from_secs(2);
/// Machines that start at the same time when the host boots.
const AT_ONCE: usize = 4;

impl<M: Machine> Machines<M> {
    /// Loads all machines of `machine`'s driver and takes over those that run.
    ///
    /// # Errors
    /// Only if the folders themselves cannot be read.
    pub async fn open(machine: Arc<M>, hub: Arc<Hub>, paths: &Paths) -> Result<Arc<Self>> {
        let places = Places::new(paths, M::NAME);
        let set = Self::empty(machine, hub, Records::Disk(places.clone()));
        let saved = saved_names(places.clone()).await?;
        let mut known = all_moments(places.clone()).await?;
        let of_autostart = places.clone();
        let marked = blocking(move || of_autostart.autostarted_names()).await?;
        for found in definitions(set.machine(), places.clone()).await? {
            let (autostart, managed_save) =
                (marked.contains(&found.name), saved.contains(&found.name));
            let moments = known.remove(&found.name).unwrap_or_default();
            set.add_found(found, autostart, managed_save, moments);
        }
        let found = statuses(places.clone()).await?;
        let mut takeovers = JoinSet::new();
        for (path, status) in found {
            match set.add_running(&status) {
                Ok(handle) => {
                    takeovers.spawn(async move { handle.take_over(status).await });
                }
                Err(error) => tracing::error!("'{}': {error}", path.display()),
            }
        }
        let all = async { while takeovers.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("{} domains have not been taken over yet", takeovers.len());
            takeovers.detach_all();
        }
        tokio::spawn(check_all(set.clone(), places));
        Ok(set)
    }

    /// Starts the machines that are marked for it, once per boot of the host.
    pub async fn autostart(self: &Arc<Self>) {
        let Some(mark) = self.records().places().map(Places::autostarted) else { return };
        let first = spawn_blocking(move || {
            if mark.exists() {
                return false;
            }
            if let Err(error) = store::write(&mark, b"", store::PRIVATE) {
                tracing::warn!("{error}");
            }
            true
        });
        if !first.await.unwrap_or(false) {
            return;
        }
        let marked = self.all().into_iter().filter(|(_, s)| s.autostart && !s.is_active());
        let start = |(handle, snapshot): (Arc<Handle<M>>, Arc<Snapshot>)| async move {
            if let Err(error) = handle.start("autostart", Wishes::default()).await {
                tracing::error!("cannot autostart domain '{}': {error}", snapshot.name);
            }
        };
        stream::iter(marked).for_each_concurrent(AT_ONCE, start).await;
    }

    fn add_found(
        self: &Arc<Self>,
        found: Found,
        autostart: bool,
        managed_save: bool,
        moments: Known,
    ) {
        let mut core = Core::claimed(&found.name);
        core.persistent = Some(Arc::new(found.at_rest));
        core.autostart = autostart;
        core.managed_save = managed_save;
        core.moments = moments;
        if let Err(error) = self.add(found.uuid, core) {
            tracing::error!("a definition is passed over: {error}");
        }
    }

    fn add_running(self: &Arc<Self>, status: &Status) -> Result<Arc<Handle<M>>> {
        let def = &status.def;
        let uuid = def.uuid.ok_or_else(|| broken("it has no uuid"))?;
        let id = def.id.filter(|id| *id > 0).ok_or_else(|| broken("it has no id"))?;
        let (_, heard) = mpsc::unbounded_channel();
        let mut live = Live::new(Arc::new(def.clone()), heard);
        live.status = StatusPart::of(status.clone()).1;
        live.hooked = true;
        let Some(handle) = self.by_uuid(uuid) else {
            let mut core = Core::claimed(&def.name);
            core.live = Some(live);
            core.state = status.state;
            return self.add(uuid, core);
        };
        if handle.snapshot().is_active() {
            return Err(broken("another status file has its uuid"));
        }
        self.adopt_id(id, &handle)?;
        let mut core = handle.core();
        core.live = Some(live);
        core.state = status.state;
        handle.publish(&core);
        drop(core);
        Ok(handle)
    }
}

impl<M: Machine> Handle<M> {
    /// Takes over a machine that a former daemon left running, or removes its traces.
    async fn take_over(self: Arc<Self>, status: Status) {
        let name = status.def.name.clone();
        let job = Job::long(Long::Start, "reattach");
        let outcome =
            self.job(job, move |context| async move { reattach(&context, &status).await });
        match outcome.await {
            Ok(()) => tracing::info!("domain '{name}' runs on"),
            Err(error) => tracing::warn!("domain '{name}' is gone: {error}"),
        }
    }
}

async fn reattach<M: Machine>(context: &Context<M>, status: &Status) -> Result<()> {
    let handle = context.handle();
    let (notices, heard) = mpsc::unbounded_channel();
    let attached = if status.state == State::STARTING {
        Err(Error::new(ErrorCode::OperationFailed, "its start was not finished"))
    } else {
        adopt(context, status, notices).await
    };
    match attached {
        Ok(launched) => {
            {
                let mut core = handle.core();
                core.state = launched.status.state;
                if let Some(live) = core.live.as_mut() {
                    let (mut def, part) = StatusPart::of(launched.status);
                    def.id = status.def.id;
                    live.def = Arc::new(def);
                    live.status = part;
                    live.running = Some(launched.running);
                    live.notices = Some(heard);
                }
                handle.publish(&core);
            }
            context.save_status().wait().await
        }
        Err(error) => {
            context.clean_up(End::Failed).await;
            handle.forget_live(End::Failed);
            Err(error)
        }
    }
}

async fn adopt<M: Machine>(
    context: &Context<M>,
    status: &Status,
    notices: Notices,
) -> Result<Launched<M>> {
    let machine = context.machine();
    let launched = machine.reattach(status, notices).await?;
    let Some(hooks) = machine.hooks() else { return Ok(launched) };
    if let Err(refusal) = hooks.reconnect(&launched.status.def).await {
        if let Err(error) = machine.stop(&launched.running, Stop::Destroy).await {
            tracing::error!("{error}");
        }
        return Err(refusal);
    }
    Ok(launched)
}

/// What is known of the moments of machines, by their names.
async fn all_moments(places: Places) -> Result<HashMap<String, Known>> {
    blocking(move || {
        let mut known: HashMap<String, Known> = HashMap::new();
        for (machine, moments) in moments_of(&places)? {
            known.entry(machine).or_default().snapshots = moments;
        }
        for (machine, moments) in moments_of(&places)? {
            known.entry(machine).or_default().checkpoints = moments;
        }
        Ok(known)
    })
    .await
}

/// All moments of one kind, by machine. Blocks.
fn moments_of<T: Moment>(places: &Places) -> Result<Vec<(String, Arc<Moments<T>>)>> {
    let folder = places.moments(T::WORD);
    let explain = |cause| Error::system(format!("cannot read '{}'", folder.display()), &cause);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(explain(cause)),
    };
    let mut all = Vec::new();
    for entry in entries {
        let Ok(machine) = entry.map_err(explain)?.file_name().into_string() else { continue };
        let mut found: Vec<T> = Vec::new();
        for (_, path) in store::open(&folder.join(&machine), ".xml")? {
            let text = std::fs::read_to_string(&path).map_err(|cause| {
                Error::system(format!("cannot read '{}'", path.display()), &cause)
            });
            let flags = ParseFlags::INACTIVE | ParseFlags::SKIP_VALIDATE;
            match text.and_then(|text| T::parse(&text, flags)) {
                Ok(parsed) => found.push(parsed.value),
                Err(error) => tracing::error!("'{}' is passed over: {error}", path.display()),
            }
        }
        all.push((machine, Arc::new(Moments::of(found))));
    }
    Ok(all)
}

/// The machines that have saved memory to continue from.
async fn saved_names(places: Places) -> Result<HashSet<String>> {
    let files = blocking(move || store::open(places.saved(), ".save")).await?;
    Ok(files.into_iter().map(|(name, _)| name).collect())
}

async fn statuses(places: Places) -> Result<Vec<(PathBuf, Status)>> {
    blocking(move || {
        let files = store::open(places.state(), ".xml")?;
        let mut read = Vec::with_capacity(files.len());
        for (_, path) in files {
            let text = std::fs::read_to_string(&path).map_err(|cause| {
                Error::system(format!("cannot read '{}'", path.display()), &cause)
            });
            match text.and_then(|text| Status::parse(&text)) {
                Ok(status) => read.push((path, status)),
                Err(error) => tracing::error!("'{}' is passed over: {error}", path.display()),
            }
        }
        Ok(read)
    })
    .await
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::new(ErrorCode::InternalError, "reading definitions was cut short")),
    }
}

pub(crate) fn broken(why: &'static str) -> Error {
    Error::new(ErrorCode::XmlError, why)
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The machines of one driver: by UUID, name and number.
//!
//! Invariants: a name and a UUID belong to at most one machine; a number to at most one that runs.
//! All claims are made under one lock, which is held for the look-up only. Lists and look-ups read
//! published snapshots and never wait for a machine.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::oneshot;
use uuid::Uuid;
use virtus_api::{DomainRef, Error, ErrorCode, Result};
use virtus_core::Session;
use virtus_core::events::Hub;
use virtus_xml::Domain;

use crate::actor::Command;
use crate::context::Context;
use crate::core::Core;
use crate::handle::Handle;
use crate::jobs::Job;
use crate::machine::{Machine, Stop};
use crate::notice::End;
use crate::records::Records;
use crate::snapshot::{Snapshot, no_domain_uuid};
use crate::state::Change;

/// All machines of one driver.
pub struct Machines<M: Machine> {
    machine: Arc<M>,
    hub: Arc<Hub>,
    records: Records,
    index: RwLock<Index<M>>,
}

struct Index<M: Machine> {
    by_uuid: HashMap<Uuid, Arc<Handle<M>>>,
    by_name: BTreeMap<Arc<str>, Arc<Handle<M>>>,
    by_id: BTreeMap<i32, Arc<Handle<M>>>,
    last_id: i32,
}

impl<M: Machine> Machines<M> {
    /// No machines yet, and none that will outlive this set: nothing of them touches the disk.
    #[must_use]
    pub fn in_memory(machine: Arc<M>, hub: Arc<Hub>) -> Arc<Self> {
        Self::empty(machine, hub, Records::Nowhere)
    }

    pub(crate) fn empty(machine: Arc<M>, hub: Arc<Hub>, records: Records) -> Arc<Self> {
        let index = Index {
            by_uuid: HashMap::new(),
            by_name: BTreeMap::new(),
            by_id: BTreeMap::new(),
            last_id: 0,
        };
        Arc::new(Self { machine, hub, records, index: RwLock::new(index) })
    }

    /// The hypervisor.
    #[must_use]
    pub fn machine(&self) -> &Arc<M> {
        &self.machine
    }

    /// Where events go.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Where they are written down.
    pub(crate) fn records(&self) -> &Records {
        &self.records
    }

    /// Every machine and what is known of it, by name.
    #[must_use]
    pub fn all(&self) -> Vec<(Arc<Handle<M>>, Arc<Snapshot>)> {
        let handles: Vec<_> = self.index().by_name.values().cloned().collect();
        visible(handles).collect()
    }

    /// Every machine that runs, by number.
    #[must_use]
    pub fn active(&self) -> Vec<(Arc<Handle<M>>, Arc<Snapshot>)> {
        let handles: Vec<_> = self.index().by_id.values().cloned().collect();
        visible(handles).filter(|(_, snapshot)| snapshot.is_active()).collect()
    }

    /// The machine that a client refers to.
    ///
    /// # Errors
    /// `VIR_ERR_NO_DOMAIN`.
    pub fn find(&self, dom: &DomainRef) -> Result<Arc<Handle<M>>> {
        self.by_uuid(dom.uuid)
            .ok_or_else(|| no_domain_uuid(dom.uuid, &dom.name).in_domain(M::ERROR_DOMAIN))
    }

    #[must_use]
    pub fn by_uuid(&self, uuid: Uuid) -> Option<Arc<Handle<M>>> {
        let found = self.index().by_uuid.get(&uuid).cloned();
        found.filter(|handle| handle.snapshot().is_visible())
    }

    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Arc<Handle<M>>> {
        let found = self.index().by_name.get(name).cloned();
        found.filter(|handle| handle.snapshot().is_visible())
    }

    #[must_use]
    pub fn by_id(&self, id: i32) -> Option<Arc<Handle<M>>> {
        self.index().by_id.get(&id).cloned()
    }

    /// The machine with this name and UUID: the one that has both, or a new one that is not visible
    /// until its first job makes it so.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_FAILED` if another machine has one of them.
    pub(crate) fn reserve(self: &Arc<Self>, name: &str, uuid: Uuid) -> Result<Arc<Handle<M>>> {
        let mut index = self.index_mut();
        if let Some(handle) = index.holder(name, uuid)? {
            return Ok(handle);
        }
        let handle = Handle::new(self.clone(), uuid, Core::claimed(name));
        index.insert(&handle, name);
        Ok(handle)
    }

    /// Makes sure that a machine that was reserved still is: a job before may have removed it. False if a newer
    /// one took its place while it was on its way out.
    pub(crate) fn keep(&self, handle: &Arc<Handle<M>>, name: &str) -> Result<bool> {
        let mut index = self.index_mut();
        match index.holder(name, handle.uuid())? {
            Some(holder) => Ok(Arc::ptr_eq(&holder, handle)),
            None => {
                index.insert(handle, name);
                Ok(true)
            }
        }
    }

    /// Runs `work` as a job of the machine that has this definition's name and UUID, or of a new one.
    pub(crate) async fn job_on<T, F, Fut>(
        self: &Arc<Self>,
        job: Job,
        def: Domain,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(Context<M>, Arc<Domain>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let def = Arc::new(def);
        let uuid = def.uuid.unwrap_or_default();
        loop {
            let handle =
                self.reserve(&def.name, uuid).map_err(|error| error.or_domain(M::ERROR_DOMAIN))?;
            let (def, work) = (def.clone(), work.clone());
            let done = handle.job(job, move |context| async move {
                if !context.handle().set().keep(context.handle(), &def.name)? {
                    return Ok(None);
                }
                work(context, def).await.map(Some)
            });
            match done.await {
                Ok(Some(answer)) => return Ok(answer),
                // Somebody removed this one, and somebody else made another: that is meant now.
                Ok(None) => {}
                Err(error) => {
                    self.remove_if_gone(&handle);
                    return Err(error);
                }
            }
        }
    }

    /// Adds a machine that was found on disk.
    pub(crate) fn add(self: &Arc<Self>, uuid: Uuid, core: Core<M>) -> Result<Arc<Handle<M>>> {
        let mut index = self.index_mut();
        let name = core.name.clone();
        if index.holder(&name, uuid)?.is_some() {
            return Err(exists(&name, uuid));
        }
        let id = core.live.as_ref().and_then(|live| live.def.id);
        if let Some(id) = id {
            index.adopt_id(id)?;
        }
        let handle = Handle::new(self.clone(), uuid, core);
        index.insert(&handle, &name);
        if let Some(id) = id {
            index.by_id.insert(id, handle.clone());
        }
        Ok(handle)
    }

    /// Forgets a machine that is neither defined nor running.
    pub(crate) fn remove_if_gone(&self, handle: &Arc<Handle<M>>) {
        let mut index = self.index_mut();
        let snapshot = handle.snapshot();
        if snapshot.is_visible() {
            return;
        }
        let same = |found: Option<&Arc<Handle<M>>>| found.is_some_and(|f| Arc::ptr_eq(f, handle));
        if same(index.by_uuid.get(&snapshot.uuid)) {
            index.by_uuid.remove(&snapshot.uuid);
        }
        if same(index.by_name.get(&snapshot.name)) {
            index.by_name.remove(&snapshot.name);
        }
    }

    /// A number for a machine that starts. Never used before in this daemon.
    pub(crate) fn claim_id(&self, handle: &Arc<Handle<M>>) -> i32 {
        let mut index = self.index_mut();
        loop {
            // Two thousand million starts later it begins anew, past what still runs.
            index.last_id = index.last_id.checked_add(1).unwrap_or(1);
            let id = index.last_id;
            if let Entry::Vacant(free) = index.by_id.entry(id) {
                free.insert(handle.clone());
                return id;
            }
        }
    }

    /// The number of a machine that was found running.
    pub(crate) fn adopt_id(&self, id: i32, handle: &Arc<Handle<M>>) -> Result<()> {
        let mut index = self.index_mut();
        index.adopt_id(id)?;
        index.by_id.insert(id, handle.clone());
        Ok(())
    }

    /// Gives a running machine another number, if nobody has it; the number that it has then.
    pub(crate) fn renumber(&self, handle: &Arc<Handle<M>>, old: i32, new: i32) -> i32 {
        let mut index = self.index_mut();
        match index.by_id.entry(new) {
            Entry::Vacant(free) => free.insert(handle.clone()),
            Entry::Occupied(_) => return old,
        };
        index.by_id.remove(&old);
        new
    }

    pub(crate) fn release_id(&self, id: i32) {
        self.index_mut().by_id.remove(&id);
    }

    /// Claims a second name for a machine that is being renamed.
    pub(crate) fn claim_name(&self, handle: &Arc<Handle<M>>, name: &str) -> Result<()> {
        let mut index = self.index_mut();
        if index.by_name.contains_key(name) {
            return Err(Error::new(
                ErrorCode::OperationInvalid,
                format!("domain with name '{name}' already exists"),
            ));
        }
        index.by_name.insert(name.into(), handle.clone());
        Ok(())
    }

    /// Gives a name back.
    pub(crate) fn release_name(&self, name: &str) {
        self.index_mut().by_name.remove(name);
    }

    /// Ends the machines that were started with autodestroy by a session that has closed.
    pub fn session_closed(&self, session: &Session) {
        self.hub.session_closed(session);
        let handles: Vec<_> = self.index().by_id.values().cloned().collect();
        for handle in handles {
            if handle.core().live.as_ref().is_some_and(|live| live.owner == Some(session.id())) {
                let (reply, _nobody_waits) = oneshot::channel();
                let owner = Some(session.id());
                handle.send(Command::Destroy {
                    how: Stop::Destroy,
                    end: End::Destroyed,
                    owner,
                    reply,
                });
            }
        }
    }

    /// The daemon ends: finishes writes and lets go of all machines; those that run go on.
    pub async fn let_go(&self) {
        let handles: Vec<_> = {
            let mut index = self.index_mut();
            index.by_name.clear();
            index.by_id.clear();
            index.by_uuid.drain().map(|(_, handle)| handle).collect()
        };
        for handle in handles {
            if !handle.is_asleep() {
                let (reply, done) = oneshot::channel();
                handle.send(Command::LetGo(reply));
                // An actor that is gone has let go.
                let _gone = done.await;
            }
        }
    }

    /// As after a kill -9: the actors end without finishing anything.
    #[cfg(test)]
    pub(crate) fn abandon(&self) {
        let mut index = self.index_mut();
        index.by_name.clear();
        index.by_id.clear();
        for (_, handle) in index.by_uuid.drain() {
            handle.abandon();
        }
    }

    fn index(&self) -> RwLockReadGuard<'_, Index<M>> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index<M>> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Machine> Index<M> {
    /// The machine that has both name and UUID; an error if two share them.
    fn holder(&self, name: &str, uuid: Uuid) -> Result<Option<Arc<Handle<M>>>> {
        let by_uuid = self.by_uuid.get(&uuid);
        let by_name = self.by_name.get(name);
        match (by_uuid, by_name) {
            (None, None) => Ok(None),
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => Ok(Some(a.clone())),
            (Some(other), _) => Err(Error::new(
                ErrorCode::OperationFailed,
                format!("domain '{}' is already defined with uuid {uuid}", other.snapshot().name),
            )
            .hint("remove <uuid> from the XML to define a new domain, or keep its <name>")),
            (None, Some(other)) => Err(exists(name, other.uuid())),
        }
    }

    fn adopt_id(&mut self, id: i32) -> Result<()> {
        if self.by_id.contains_key(&id) {
            let text = format!("another running domain has the id {id}");
            return Err(Error::new(ErrorCode::OperationFailed, text));
        }
        self.last_id = self.last_id.max(id);
        Ok(())
    }

    fn insert(&mut self, handle: &Arc<Handle<M>>, name: &str) {
        self.by_uuid.insert(handle.uuid(), handle.clone());
        self.by_name.insert(name.into(), handle.clone());
    }
}

impl<M: Machine> Handle<M> {
    /// The machine has ended: takes the live half away, publishes and tells.
    pub(crate) fn forget_live(self: &Arc<Self>, end: End) {
        let told = {
            let mut core = self.core();
            let told = match core.state.after(Change::Ended(end), M::TELLS_FIRST_RESUME) {
                Some((state, told)) => {
                    core.state = state;
                    told
                }
                None => &[],
            };
            core.updated = false;
            if let Some(id) = core.live.take().and_then(|live| live.def.id) {
                self.set().release_id(id);
            }
            self.publish(&core);
            told
        };
        self.set().remove_if_gone(self);
        self.tell(told);
    }
}

fn exists(name: &str, uuid: Uuid) -> Error {
    Error::new(
        ErrorCode::OperationFailed,
        format!("domain '{name}' already exists with uuid {uuid}"),
    )
    .hint(format!(
        "put <uuid>{uuid}</uuid> into the XML to change that domain, or choose another name"
    ))
}

fn visible<M: Machine>(
    handles: Vec<Arc<Handle<M>>>,
) -> impl Iterator<Item = (Arc<Handle<M>>, Arc<Snapshot>)> {
    handles.into_iter().filter_map(|handle| {
        let snapshot = handle.snapshot();
        snapshot.is_visible().then_some((handle, snapshot))
    })
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Lockspaces, the resources in them that are locked, and who owns the locks.
//!
//! A lockspace is a folder with one file per resource; in the default one, without a folder, a resource is any file by
//! its path. Work on a file stands under nobody's lock: its resource is marked as changing meanwhile, and who wants
//! that one waits. What has changed is in the journal before anybody is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tracing::error;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::BoxFuture;
use virtus_host::lock::Lock;
use virtus_host::process::{Process, Stat};

use super::journal::{self, Journal};
use super::resource::{self, Locked};
use super::state;
use crate::reexec::Kept;

/// All lockspaces.
pub(super) struct Spaces {
    folders: Mutex<BTreeMap<String, Resources>>,
    /// A resource has changed.
    settled: Notify,
    journal: Journal,
}

/// Done when a lock is there again, or is lost.
pub(super) type Restoring = BoxFuture<()>;

pub(super) type Resources = BTreeMap<String, Slot>;

pub(super) enum Slot {
    Held(Held),
    /// Somebody works on its file. Until that is done the journal says what it said before, so that a daemon that is
    /// killed meanwhile has forgotten no lock.
    Changing(Option<Noted>),
}

impl Slot {
    pub(super) fn noted(&self) -> Option<Noted> {
        match self {
            Self::Held(Held { locked: Locked { how, autocreate, .. }, owners }) => {
                Some(Noted { how: *how, autocreate: *autocreate, owners: owners.clone() })
            }
            Self::Changing(noted) => noted.clone(),
        }
    }
}

/// A locked resource and the processes that own the lock.
pub(super) struct Held {
    pub(super) locked: Locked,
    pub(super) owners: Vec<Owner>,
}

/// What the journal says of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) how: Lock,
    pub(super) autocreate: bool,
    pub(super) owners: Vec<Owner>,
}

/// A process that owns a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) pid: u32,
    /// When it was started, which tells it from a later one with the same number.
    pub(super) start_time: u64,
}

impl Owner {
    /// The process that has the number now; one that has ended is like no other.
    pub(super) fn now(pid: u32) -> Self {
        Self { pid, start_time: Stat::read(pid).map_or(0, |stat| stat.start_time) }
    }
}

/// A resource by lockspace and name.
#[derive(Debug, Clone)]
pub(super) struct Name {
    /// The lockspace's folder; empty for the default one.
    pub(super) space: String,
    pub(super) name: String,
}

impl Name {
    /// Its file.
    fn path(&self) -> PathBuf {
        match self.space.as_str() {
            "" => self.name.clone().into(),
            folder => Path::new(folder).join(&self.name),
        }
    }
}

impl Spaces {
    /// The default lockspace, and what a predecessor has handed over.
    pub(super) fn new(left: Option<&Value>, journal: Journal) -> Arc<Self> {
        let mut folders = BTreeMap::from([(String::new(), Resources::new())]);
        let left = left.map(state::read);
        folders.extend(left.into_iter().flatten());
        Arc::new(Self { folders: Mutex::new(folders), settled: Notify::new(), journal })
    }

    /// Begins to lock again what a predecessor had locked that was killed. Answers for each lock the processes that own
    /// it, and when it is there.
    pub(super) fn restore(self: &Arc<Self>) -> Vec<(Vec<Process>, Restoring)> {
        let (folders, entries) = self.journal.read();
        folders.into_iter().for_each(|folder| self.insert(folder));
        let mut restored = Vec::new();
        for (name, Noted { how, autocreate, owners }) in entries {
            let alive = |owner: &Owner| Process::open(owner.pid, Some(owner.start_time)).ok()?;
            let alive: Vec<Process> = owners.iter().filter_map(alive).collect();
            let owner = |one: &Process| Owner { pid: one.pid(), start_time: one.start_time() };
            let owners: Vec<Owner> = alive.iter().map(owner).collect();
            if owners.is_empty() {
                continue;
            }
            // Nobody else gets it before.
            if let Some(space) = self.folders().get_mut(&name.space) {
                let noted = Noted { how, autocreate, owners: owners.clone() };
                space.insert(name.name.clone(), Slot::Changing(Some(noted)));
            }
            let spaces = self.clone();
            let restoring = Box::pin(async move {
                let (resource, path) = (name.name.clone(), name.path());
                let work = move || {
                    let locked = Locked::new(&resource, &path, how, autocreate)?;
                    Ok(Some(Held { locked, owners }))
                };
                let shown = name.path();
                if let Err(error) = spaces.work_on(name, work).await {
                    error!("the lock on '{}' is lost: {error}", shown.display());
                }
            });
            restored.push((alive, restoring as Restoring));
        }
        restored
    }

    /// Brings the journal up to date.
    async fn note(self: &Arc<Self>) {
        let spaces = self.clone();
        let noted =
            spawn_blocking(move || spaces.journal.write(|| journal::describe(&spaces.folders())));
        if let Err(cause) = noted.await {
            error!("the journal of locks is out of date: {cause}");
        }
    }

    /// Waits until nobody works on a file.
    pub(super) async fn rest(&self) {
        loop {
            let mut settled = pin!(self.settled.notified());
            settled.as_mut().enable();
            let changing = |slot: &Slot| matches!(slot, Slot::Changing(_));
            if !self.folders().values().any(|space| space.values().any(changing)) {
                return;
            }
            settled.await;
        }
    }

    /// What a successor needs of all of them.
    ///
    /// # Errors
    /// There are too many descriptors.
    pub(super) fn describe(&self, kept: &mut Kept) -> io::Result<Value> {
        state::write(&self.folders(), kept)
    }

    fn folders(&self) -> MutexGuard<'_, BTreeMap<String, Resources>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has(&self, space: &str) -> bool {
        self.folders().contains_key(space)
    }

    /// Adds a lockspace whose folder is there.
    pub(super) async fn add(self: &Arc<Self>, space: String) {
        self.insert(space);
        self.note().await;
    }

    fn insert(&self, space: String) {
        self.folders().entry(space).or_default();
    }

    /// How many resources are locked.
    pub(super) fn held(&self) -> usize {
        self.folders().values().map(BTreeMap::len).sum()
    }

    /// Who owns any lock.
    pub(super) fn owners(&self) -> BTreeSet<u32> {
        let folders = self.folders();
        let held = folders.values().flat_map(BTreeMap::values).filter_map(|slot| match slot {
            Slot::Held(held) => Some(held),
            Slot::Changing(_) => None,
        });
        held.flat_map(|held| &held.owners).map(|owner| owner.pid).collect()
    }

    /// Whether a process owns a lock.
    pub(super) fn owns_any(&self, owner: u32) -> bool {
        !self.owned_by(owner).is_empty()
    }

    /// Locks a resource for `owner`.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        name: Name,
        owner: u32,
        how: Lock,
        autocreate: bool,
    ) -> Result<()> {
        let owner = Owner::now(owner);
        let Some(mut held) = self.take(&name).await? else {
            let (resource, path) = (name.name.clone(), name.path());
            let work = move || {
                let locked = Locked::new(&resource, &path, how, autocreate)?;
                Ok(Some(Held { locked, owners: vec![owner] }))
            };
            return self.work_on(name, work).await;
        };
        if (held.locked.how, how) != (Lock::Shared, Lock::Shared) {
            self.put(&name, Some(held));
            return Err(resource::busy(&name.name));
        }
        held.owners.push(owner);
        self.put(&name, Some(held));
        self.note().await;
        Ok(())
    }

    /// Takes the lock on a resource away from `owner`; the last one unlocks it.
    pub(super) async fn release(self: &Arc<Self>, name: Name, owner: u32) -> Result<()> {
        let Some(mut held) = self.take(&name).await? else {
            self.put(&name, None);
            let text = format!("Lockspace resource '{}' is not locked", name.name);
            let error = Error::new(ErrorCode::ResourceBusy, text);
            return Err(error.in_domain(ErrorDomain::Lockspace));
        };
        let Some(at) = held.owners.iter().position(|known| known.pid == owner) else {
            self.put(&name, Some(held));
            let text = format!("owner {owner} does not hold the resource lock");
            let error = Error::new(ErrorCode::OperationInvalid, text);
            return Err(error.in_domain(ErrorDomain::Lockspace));
        };
        held.owners.remove(at);
        if held.owners.is_empty() {
            let work = move || {
                held.locked.release();
                Ok(None)
            };
            return self.work_on(name, work).await;
        }
        self.put(&name, Some(held));
        self.note().await;
        Ok(())
    }

    /// Unlocks all that `owner` has.
    pub(super) async fn release_all(self: &Arc<Self>, owner: u32) {
        for name in self.owned_by(owner) {
            // It may have been released meanwhile.
            drop(self.release(name, owner).await);
        }
    }

    /// Works on the file of a resource that nobody has locked.
    pub(super) async fn change_free(
        self: &Arc<Self>,
        name: Name,
        work: fn(&Path) -> Result<()>,
    ) -> Result<()> {
        if let Some(held) = self.take(&name).await? {
            self.put(&name, Some(held));
            return Err(resource::busy(&name.name));
        }
        let path = name.path();
        self.work_on(name, move || work(&path).map(|()| None)).await
    }

    /// Every resource of which `owner` has the lock.
    fn owned_by(&self, owner: u32) -> Vec<Name> {
        let folders = self.folders();
        let all = folders.iter().flat_map(|(space, resources)| {
            resources.iter().map(move |(name, slot)| (space, name, slot))
        });
        let owned = all.filter(|(.., slot)| match slot {
            Slot::Held(held) => held.owners.iter().any(|known| known.pid == owner),
            Slot::Changing(_) => false,
        });
        owned.map(|(space, name, _)| Name { space: space.clone(), name: name.clone() }).collect()
    }

    /// Waits until nobody works on the resource, and marks it as worked on: whoever takes it puts it back.
    async fn take(&self, name: &Name) -> Result<Option<Held>> {
        loop {
            let mut settled = pin!(self.settled.notified());
            settled.as_mut().enable();
            {
                let mut folders = self.folders();
                let space = folders.get_mut(&name.space).ok_or_else(|| no_space(&name.space))?;
                let slot = space.get(&name.name);
                if !matches!(slot, Some(Slot::Changing(_))) {
                    let noted = slot.and_then(Slot::noted);
                    return match space.insert(name.name.clone(), Slot::Changing(noted)) {
                        Some(Slot::Held(held)) => Ok(Some(held)),
                        _ => Ok(None),
                    };
                }
            }
            settled.await;
        }
    }

    fn put(&self, name: &Name, held: Option<Held>) {
        if let Some(space) = self.folders().get_mut(&name.space) {
            match held {
                Some(held) => space.insert(name.name.clone(), Slot::Held(held)),
                None => space.remove(&name.name),
            };
        }
        self.settled.notify_waiters();
    }

    /// Works on the file of a resource that was taken, and puts back what comes of it, also when nobody waits for that
    /// any more.
    async fn work_on(
        self: &Arc<Self>,
        name: Name,
        work: impl FnOnce() -> Result<Option<Held>> + Send + 'static,
    ) -> Result<()> {
        let spaces = self.clone();
        let working = tokio::spawn(async move {
            let worked = spawn_blocking(work).await;
            let worked = worked.unwrap_or_else(|cause| Err(broken_off(&cause)));
            let (held, answer) = match worked {
                Ok(held) => (held, Ok(())),
                Err(error) => (None, Err(error)),
            };
            spaces.put(&name, held);
            spaces.note().await;
            answer
        });
        working.await.unwrap_or_else(|cause| Err(broken_off(&cause)))
    }
}

pub(super) fn broken_off(cause: &tokio::task::JoinError) -> Error {
    Error::new(ErrorCode::InternalError, format!("work on a resource was broken off: {cause}"))
}

/// The answer to a lockspace that nobody has made.
pub(super) fn no_space(space: &str) -> Error {
    let text = format!("Lockspace for path {space} does not exist");
    Error::new(ErrorCode::InternalError, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_that_is_worked_on_stays_in_the_journal() {
        let folder = std::env::temp_dir().join(format!("virtus-spaces-{}", std::process::id()));
        let name = Name { space: String::new(), name: folder.join("disk").display().to_string() };
        let noted = || Journal::new(&folder).read().1.pop().map(|(_, noted)| noted);
        let lives = Owner::now(std::process::id());
        let spaces = Spaces::new(None, Journal::new(&folder));
        spaces.note().await;
        spaces.acquire(name.clone(), lives.pid, Lock::Shared, true).await.unwrap();
        let locked = Noted { how: Lock::Shared, autocreate: true, owners: vec![lives] };
        assert_eq!(noted(), Some(locked.clone()));
        let held = spaces.take(&name).await.unwrap();
        spaces.add("taken".to_owned()).await;
        assert_eq!(noted(), Some(locked.clone()), "somebody works on it");
        drop((spaces, held));

        let successor = Spaces::new(None, Journal::new(&folder));
        let restored = successor.restore();
        successor.add("early".to_owned()).await;
        assert_eq!(noted(), Some(locked.clone()), "it is not locked again yet");
        for (_, restoring) in restored {
            restoring.await;
        }
        assert_eq!((successor.held(), noted()), (1, Some(locked)));
        successor.release(name, lives.pid).await.unwrap();
        assert_eq!((successor.held(), noted()), (0, None));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

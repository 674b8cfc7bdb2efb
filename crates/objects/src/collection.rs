// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All objects of one kind: by name and by UUID.
//!
//! Invariants: a name and a UUID belong to at most one object. All claims are made under one lock, which is held for
//! the look-up only. Lists and look-ups read published snapshots and never wait for an object.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use uuid::Uuid;
use virtus_api::{Error, Result};

use crate::kind::Kind;
use crate::object::{Object, Snapshot, missing, not_found};
use crate::shelf::Shelf;

/// All objects of one kind that a driver has.
pub struct Collection<K: Kind> {
    shelf: Shelf,
    index: RwLock<Index<K>>,
}

struct Index<K: Kind> {
    by_name: BTreeMap<Arc<str>, Arc<Object<K>>>,
    by_uuid: HashMap<Uuid, Arc<Object<K>>>,
}

/// An object and what is known of it.
pub type Entry<K> = (Arc<Object<K>>, Arc<Snapshot<K>>);

impl<K: Kind> Collection<K> {
    /// Everything that the shelf keeps.
    ///
    /// # Errors
    /// Only if the shelf itself cannot be read: a definition that cannot be is reported and passed over.
    pub async fn open(shelf: Shelf) -> Result<Arc<Self>> {
        let found = shelf.load::<K>().await?;
        let index = Index { by_name: BTreeMap::new(), by_uuid: HashMap::new() };
        let collection = Arc::new(Self { shelf, index: RwLock::new(index) });
        for found in found {
            let added = collection.reserve(&found.def).map(|object| {
                let mut snapshot = (*object.snapshot()).clone();
                (snapshot.persistent, snapshot.autostart) =
                    (Some(Arc::new(found.def)), found.autostart);
                object.publish(snapshot);
            });
            if let Err(error) = added {
                tracing::error!("a definition is passed over: {error}");
            }
        }
        Ok(collection)
    }

    pub(crate) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Every object and what is known of it, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Entry<K>> {
        let objects: Vec<_> = self.index().by_name.values().cloned().collect();
        let entries = objects.into_iter().map(|object| {
            let snapshot = object.snapshot();
            (object, snapshot)
        });
        entries.filter(|(_, snapshot)| snapshot.is_visible()).collect()
    }

    /// What is known of each object that `wanted` picks, by name.
    #[must_use]
    pub fn select(&self, wanted: impl Fn(&Snapshot<K>) -> bool) -> Vec<Arc<Snapshot<K>>> {
        let all = self.all().into_iter().map(|(_, snapshot)| snapshot);
        all.filter(|snapshot| wanted(snapshot)).collect()
    }

    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Entry<K>> {
        visible(self.index().by_name.get(name).cloned())
    }

    #[must_use]
    pub fn by_uuid(&self, uuid: Uuid) -> Option<Entry<K>> {
        visible(self.index().by_uuid.get(&uuid).cloned())
    }

    /// The object of this name.
    ///
    /// # Errors
    /// That of a missing object.
    pub fn lookup_name(&self, name: &str) -> Result<Entry<K>> {
        self.by_name(name).ok_or_else(|| missing::<K>(None, name))
    }

    /// The object of this UUID.
    ///
    /// # Errors
    /// That of a missing object.
    pub fn lookup_uuid(&self, uuid: Uuid) -> Result<Entry<K>> {
        let text = || format!("no {} with matching uuid '{uuid}'", K::WORD);
        self.by_uuid(uuid).ok_or_else(|| not_found::<K>(text()))
    }

    /// The object that a client refers to by UUID; the name is for the error.
    ///
    /// # Errors
    /// That of a missing object.
    pub fn find(&self, uuid: Uuid, name: &str) -> Result<Entry<K>> {
        self.by_uuid(uuid).ok_or_else(|| missing::<K>(Some(uuid), name))
    }

    /// The object that `def` would be: the one that has its name and UUID, or a new one that is not visible until
    /// its first change makes it so.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_FAILED` if another object has one of them.
    pub(crate) fn reserve(&self, def: &K) -> Result<Arc<Object<K>>> {
        let mut index = self.index_mut();
        if let Some(object) = index.holder(def)? {
            return Ok(object);
        }
        let object = Object::new(Snapshot {
            name: def.name().as_ref().into(),
            uuid: def.uuid(),
            persistent: None,
            live: None,
            autostart: false,
            extra: K::Extra::default(),
        });
        index.insert(&object, def);
        Ok(object)
    }

    /// Makes sure that an object that was reserved still is.
    pub(crate) fn keep(&self, object: &Arc<Object<K>>, def: &K) -> Result<()> {
        let mut index = self.index_mut();
        match index.holder(def)? {
            Some(same) if Arc::ptr_eq(&same, object) => Ok(()),
            // A newer one took its place while this one was on its way out.
            Some(other) => Err(taken(def, &other.snapshot())),
            None => {
                index.insert(object, def);
                Ok(())
            }
        }
    }

    /// Forgets an object that is neither defined nor active.
    pub(crate) fn remove_if_gone(&self, object: &Arc<Object<K>>) {
        let mut index = self.index_mut();
        let snapshot = object.snapshot();
        if snapshot.is_visible() {
            return;
        }
        let same = |found: Option<&Arc<Object<K>>>| found.is_some_and(|f| Arc::ptr_eq(f, object));
        if same(index.by_name.get(&snapshot.name)) {
            index.by_name.remove(&snapshot.name);
        }
        if let Some(uuid) = snapshot.uuid.filter(|uuid| same(index.by_uuid.get(uuid))) {
            index.by_uuid.remove(&uuid);
        }
    }

    fn index(&self) -> RwLockReadGuard<'_, Index<K>> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index<K>> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Kind> Index<K> {
    /// The object that has both name and UUID; an error if two share them.
    fn holder(&self, def: &K) -> Result<Option<Arc<Object<K>>>> {
        let by_name = self.by_name.get(&*def.name());
        let Some(uuid) = def.uuid() else { return Ok(by_name.cloned()) };
        match (self.by_uuid.get(&uuid), by_name) {
            (None, None) => Ok(None),
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => Ok(Some(a.clone())),
            (Some(other), _) | (None, Some(other)) => Err(taken(def, &other.snapshot())),
        }
    }

    fn insert(&mut self, object: &Arc<Object<K>>, def: &K) {
        self.by_name.insert(def.name().as_ref().into(), object.clone());
        if let Some(uuid) = def.uuid() {
            self.by_uuid.insert(uuid, object.clone());
        }
    }
}

/// The answer to a definition that shares the UUID or the name of `other`.
fn taken<K: Kind>(def: &K, other: &Snapshot<K>) -> Error {
    let error = match def.uuid().filter(|uuid| other.uuid == Some(*uuid)) {
        Some(uuid) => def.same_uuid(other, uuid),
        None => def.same_name(other.id()),
    };
    error.or_domain(K::DOMAIN)
}

fn visible<K: Kind>(object: Option<Arc<Object<K>>>) -> Option<Entry<K>> {
    let object = object?;
    let snapshot = object.snapshot();
    snapshot.is_visible().then_some((object, snapshot))
}

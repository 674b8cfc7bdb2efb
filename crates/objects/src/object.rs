// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One object: what everybody may see of it at any time, and its queue of changes.
//!
//! Invariants: a snapshot is published whole and never changed, so that what a reader sees fits together; whoever
//! reads never waits. Changes of one object happen one at a time, each in a task of its own: a client that goes
//! away leaves none half done.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;
use uuid::Uuid;
use virtus_api::{Error, ErrorCode, Result};

use crate::collection::Collection;
use crate::kind::Kind;

/// How long a change waits for the one before it.
const PATIENCE: Duration = Duration::from_secs(30);

/// An object at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot<K: Kind> {
    pub name: Arc<str>,
    /// In kinds that have them.
    pub uuid: Option<Uuid>,
    /// The definition that the next start will use; none for a transient object.
    pub persistent: Option<Arc<K>>,
    /// The definition of what is active; none if it is not.
    pub live: Option<Arc<K>>,
    /// Starts when the host boots.
    pub autostart: bool,
    /// What else this kind has.
    pub extra: K::Extra,
}

impl<K: Kind> Snapshot<K> {
    /// Whether clients may know of it: one that is being defined, or is gone, is not there.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        self.persistent.is_some() || self.live.is_some()
    }

    #[must_use]
    pub fn is_active(&self) -> bool {
        self.live.is_some()
    }

    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.persistent.is_some()
    }

    /// The definition that describes it now: the live one if it is active.
    ///
    /// # Errors
    /// That of a missing object, if it is gone.
    pub fn def(&self) -> Result<&Arc<K>> {
        self.live.as_ref().or(self.persistent.as_ref()).ok_or_else(|| self.missing())
    }

    /// The UUID; zeroes in a kind that has none.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.uuid.unwrap_or_default()
    }

    fn missing(&self) -> Error {
        missing::<K>(self.uuid, &self.name)
    }
}

/// The answer to a reference to an object that is not there.
pub(crate) fn missing<K: Kind>(uuid: Option<Uuid>, name: &str) -> Error {
    match uuid {
        Some(uuid) => {
            not_found::<K>(format!("no {} with matching uuid '{uuid}' ({name})", K::WORD))
        }
        None => not_found::<K>(format!("no {} with matching name '{name}'", K::WORD)),
    }
}

/// The answer to a look-up that finds nothing.
pub(crate) fn not_found<K: Kind>(text: String) -> Error {
    let hint = format!("list what there is with 'virsh {}'", K::LIST);
    Error::new(K::MISSING, text).hint(hint)
}

/// A queue of changes that must not overlap.
#[derive(Default)]
pub(crate) struct Turns(Mutex<()>);

impl Turns {
    /// Waits for the changes before this one.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_TIMEOUT` if they take too long.
    pub(crate) async fn turn(&self) -> Result<MutexGuard<'_, ()>> {
        timeout(PATIENCE, self.0.lock()).await.map_err(|_| {
            let text = format!("the change before has not finished in {} s", PATIENCE.as_secs());
            Error::new(ErrorCode::OperationTimeout, text)
        })
    }
}

/// One object of a [`Collection`].
pub struct Object<K: Kind> {
    published: RwLock<Arc<Snapshot<K>>>,
    turns: Turns,
}

impl<K: Kind> Object<K> {
    pub(crate) fn new(snapshot: Snapshot<K>) -> Arc<Self> {
        Arc::new(Self { published: RwLock::new(Arc::new(snapshot)), turns: Turns::default() })
    }

    /// What is known of it now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot<K>> {
        self.published.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn publish(&self, snapshot: Snapshot<K>) {
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }
}

impl<K: Kind> fmt::Debug for Object<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.snapshot();
        write!(f, "{} '{}'", K::WORD, snapshot.name)
    }
}

/// The right to change an object, for as long as the work that it is given to.
pub struct Turn<K: Kind> {
    collection: Arc<Collection<K>>,
    object: Arc<Object<K>>,
}

impl<K: Kind> Turn<K> {
    /// What is known of the object now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot<K>> {
        self.object.snapshot()
    }

    /// Shows everybody the object as `change` makes it. One that is neither defined nor active then is gone.
    pub fn publish(&self, change: impl FnOnce(&mut Snapshot<K>)) {
        let mut snapshot = (*self.snapshot()).clone();
        change(&mut snapshot);
        self.object.publish(snapshot);
        self.collection.remove_if_gone(&self.object);
    }

    /// Makes `def` the definition that the next start will use: on disk before anybody sees it.
    ///
    /// # Errors
    /// That of the disk.
    pub async fn set_persistent(&self, def: K) -> Result<()> {
        let def = Arc::new(def);
        self.collection.shelf().save(def.clone()).await?;
        self.publish(|snapshot| snapshot.persistent = Some(def));
        Ok(())
    }

    /// Removes the definition: from disk before it is gone from sight.
    ///
    /// # Errors
    /// That of the disk.
    pub async fn remove_persistent(&self) -> Result<()> {
        if let Some(def) = &self.snapshot().persistent {
            self.collection.shelf().remove(def.file()).await?;
        }
        self.publish(|snapshot| (snapshot.persistent, snapshot.autostart) = (None, false));
        Ok(())
    }

    /// Chooses whether the object starts when the host boots.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` for a transient one; that of the disk.
    pub async fn set_autostart(&self, on: bool) -> Result<()> {
        let snapshot = self.snapshot();
        let Some(def) = &snapshot.persistent else {
            let text = format!("cannot set autostart for transient {}", K::WORD);
            return Err(Error::new(ErrorCode::OperationInvalid, text));
        };
        if snapshot.autostart != on {
            self.collection.shelf().set_autostart(def.file(), on).await?;
            self.publish(|snapshot| snapshot.autostart = on);
        }
        Ok(())
    }
}

impl<K: Kind> Collection<K> {
    /// Changes an object, when it is its turn.
    ///
    /// # Errors
    /// That of a missing object if it is gone by then; `VIR_ERR_OPERATION_TIMEOUT` if the change before it takes
    /// too long; those of `work`.
    pub async fn change<T, F, Fut>(
        self: &Arc<Self>,
        object: &Arc<Object<K>>,
        name: &'static str,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Turn<K>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        self.in_turn(object, name, |turn| async move {
            match turn.snapshot() {
                snapshot if snapshot.is_visible() => work(turn).await,
                snapshot => Err(snapshot.missing()),
            }
        })
        .await
    }

    /// Defines or starts what `def` describes, when it is its turn: an object that has name and UUID already, or a
    /// new one, which is there once `work` has published one of its definitions.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_FAILED` if name or UUID belong to another object; those of `work`.
    pub async fn claim<T, F, Fut>(
        self: &Arc<Self>,
        def: K,
        name: &'static str,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Turn<K>, K) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let object = self.reserve(&def)?;
        self.in_turn(&object, name, |turn| async move {
            // A change before this one may have removed it.
            turn.collection.keep(&turn.object, &def)?;
            work(turn, def).await
        })
        .await
    }

    async fn in_turn<T, F, Fut>(
        self: &Arc<Self>,
        object: &Arc<Object<K>>,
        name: &'static str,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Turn<K>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let (collection, object) = (self.clone(), object.clone());
        let shown = object.clone();
        let task = tokio::spawn(async move {
            let waiting = object.turns.turn().await;
            let _turn =
                waiting.map_err(|error| error.context(format_args!("{name} on {object:?}")))?;
            let turn = Turn { collection: collection.clone(), object: object.clone() };
            let outcome = AssertUnwindSafe(async { work(turn).await }).catch_unwind().await;
            collection.remove_if_gone(&object);
            outcome.unwrap_or_else(|_| {
                Err(Error::new(ErrorCode::InternalError, format!("{name} on {object:?} panicked")))
            })
        });
        task.await.unwrap_or_else(|_| {
            let text = format!("{name} on {shown:?}: the daemon is ending");
            Err(Error::new(ErrorCode::OperationAborted, text))
        })
    }
}

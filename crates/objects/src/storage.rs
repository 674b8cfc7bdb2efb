// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Storage pools and volumes: what every driver of them answers the same way.
//!
//! A pool changes in its turns. Work on a volume can take long, so it stands between two turns: the first takes the
//! volume, the second gives it back as it is then. Until then nobody else changes it, and its pool neither ends
//! nor is looked through again.
//! ```text
//!  absent ──create──▶ allocating ──▶ idle ──delete, wipe, resize, copied from──▶ in use ──▶ idle or absent
//! ```

mod backend;
mod conflict;
mod contents;
mod definition;
mod find;
mod life;
mod list;
mod volume;

use std::borrow::Cow;
use std::sync::Arc;

use uuid::Uuid;
use virtus_api::{
    ConnectStoragePoolEventDeregisterAny, ConnectStoragePoolEventRegisterAny, Error, ErrorCode,
    ErrorDomain, Family, Result, StoragePoolEventId, StoragePoolEventLifecycle,
    StoragePoolEventLifecycleType, StoragePoolEventRefresh, StoragePoolRef,
};
use virtus_core::events::{Hub, Key};
use virtus_core::{Call, Routes};
use virtus_xml::StoragePool;

pub use backend::{Found, Making, StorageBackend, no_discovery};
pub use contents::{Contents, PoolVolume, Sizes};

use crate::collection::{Collection, Entry};
use crate::kind::Kind;
use crate::object::Snapshot;
use crate::shelf::Shelf;

impl Kind for StoragePool {
    type Extra = Contents;
    const WORD: &'static str = "storage pool";
    const MISSING: ErrorCode = ErrorCode::NoStoragePool;
    const LIST: &'static str = "pool-list --all";
    const EDIT: Option<&'static str> = Some("pool-edit");

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.body.name)
    }

    fn uuid(&self) -> Option<Uuid> {
        self.body.uuid
    }

    fn same_uuid(&self, other: &Snapshot<Self>, uuid: Uuid) -> Error {
        same(format!("pool '{}' is already defined with uuid {uuid}", other.name))
            .hint("remove <uuid> from the XML to define a new pool, or keep its <name>")
    }

    fn same_name(&self, other: Uuid) -> Error {
        same(format!("pool '{}' already exists with uuid {other}", self.name())).hint(format!(
            "put <uuid>{other}</uuid> into the XML to change that pool, or choose another name"
        ))
    }
}

fn same(text: String) -> Error {
    Error::new(ErrorCode::OperationFailed, text)
}

/// All pools of a driver.
pub struct Pools<B> {
    collection: Arc<Collection<StoragePool>>,
    backend: B,
    hub: Arc<Hub>,
}

/// A driver of storage.
pub trait HasPools: Send + Sync + 'static {
    /// Which part of the system speaks in its errors.
    const DOMAIN: ErrorDomain = ErrorDomain::Storage;

    /// What makes pools and volumes real.
    type Backend: StorageBackend;

    /// Its pools.
    fn pools(&self) -> &Arc<Pools<Self::Backend>>;
}

impl<B: StorageBackend> Pools<B> {
    /// The pools that the shelf keeps. None is active: what runs is found by the driver.
    ///
    /// # Errors
    /// If the shelf cannot be read.
    pub async fn open(shelf: Shelf, backend: B, hub: Arc<Hub>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { collection: Collection::open(shelf).await?, backend, hub }))
    }

    #[must_use]
    pub fn collection(&self) -> &Arc<Collection<StoragePool>> {
        &self.collection
    }

    #[must_use]
    pub fn backend(&self) -> &B {
        &self.backend
    }

    fn find(&self, pool: &StoragePoolRef) -> Result<Entry<StoragePool>> {
        self.collection.find(pool.uuid, &pool.name)
    }

    fn tell(&self, pool: StoragePoolRef, event: StoragePoolEventLifecycleType) {
        self.hub.emit(StoragePoolEventLifecycle { pool, event: event as i32, detail: 0 });
    }

    fn tell_refreshed(&self, pool: StoragePoolRef) {
        self.hub.emit(StoragePoolEventRefresh { pool });
    }
}

impl Snapshot<StoragePool> {
    /// How clients name it.
    #[must_use]
    pub fn pool_ref(&self) -> StoragePoolRef {
        StoragePoolRef { name: self.name.to_string(), uuid: self.id() }
    }

    /// The definition of what is active.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if the pool is not.
    pub fn active(&self) -> Result<&Arc<StoragePool>> {
        self.live.as_ref().ok_or_else(|| {
            Error::new(
                ErrorCode::OperationInvalid,
                format!("storage pool '{}' is not active", self.name),
            )
            .hint(format!("start it with 'virsh pool-start {}'", self.name))
        })
    }
}

/// What every driver of storage answers.
#[must_use]
pub fn routes<D: HasPools>() -> Routes<D> {
    Routes::new()
        .on(list::num_of_pools::<D>)
        .on(list::list_pools::<D>)
        .on(list::num_of_defined_pools::<D>)
        .on(list::list_defined_pools::<D>)
        .on(list::list_all::<D>)
        .on(list::lookup_by_name::<D>)
        .on(list::lookup_by_uuid::<D>)
        .on(list::lookup_by_volume::<D>)
        .on(list::lookup_by_target_path::<D>)
        .on(list::is_active::<D>)
        .on(list::is_persistent::<D>)
        .on(list::get_autostart::<D>)
        .on(list::get_info::<D>)
        .on(list::get_xml::<D>)
        .on(find::find_sources::<D>)
        .on(find::capabilities::<D>)
        .on(definition::define::<D>)
        .on(definition::undefine::<D>)
        .on(definition::set_autostart::<D>)
        .on(life::create_xml::<D>)
        .on(life::create::<D>)
        .on(life::build::<D>)
        .on(life::destroy::<D>)
        .on(life::delete::<D>)
        .on(life::refresh::<D>)
        .on(register::<D>)
        .on(deregister::<D>)
        .include(volume::routes())
        .in_domain(D::DOMAIN)
}

async fn register<D: HasPools>(
    driver: Arc<D>,
    call: Call,
    request: ConnectStoragePoolEventRegisterAny,
) -> Result<i32> {
    let pools = driver.pools();
    let key = match &request.pool {
        Some(pool) => Some(Key::Uuid(pools.find(pool)?.1.id())),
        None => None,
    };
    let id = request.event_id;
    crate::events::register::<StoragePoolEventId>(&pools.hub, &call, Family::StoragePool, id, key)
}

async fn deregister<D: HasPools>(
    driver: Arc<D>,
    call: Call,
    request: ConnectStoragePoolEventDeregisterAny,
) -> Result<()> {
    let hub = &driver.pools().hub;
    hub.deregister(&call.session, Family::StoragePool, request.callback_id)
}

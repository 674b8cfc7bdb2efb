// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Pools are built, become active, are looked through and end.

use std::sync::Arc;

use virtus_api::{
    Result, StoragePoolBuild, StoragePoolBuildFlags as Build, StoragePoolCreate,
    StoragePoolCreateFlags as Create, StoragePoolCreateXml, StoragePoolDelete,
    StoragePoolDeleteFlags, StoragePoolDestroy, StoragePoolEventLifecycleType as Event,
    StoragePoolRef, StoragePoolRefresh,
};
use virtus_core::Call;
use virtus_core::flags::{check_flags, exclusive};
use virtus_xml::StoragePool;
use virtus_xml::pool::PoolTarget;

use super::contents::Contents;
use super::{Found, HasPools, Pools, StorageBackend, conflict};
use crate::collection::Entry;
use crate::object::Turn;
use crate::step::{Step, refuse};

impl<B: StorageBackend> Pools<B> {
    /// Starts a pool in its turn, built before if that is asked for.
    async fn start(
        &self,
        turn: &Turn<StoragePool>,
        def: &StoragePool,
        build: Option<Build>,
    ) -> Result<StoragePoolRef> {
        if let Some(flags) = build {
            self.backend.build(def, flags).await?;
        }
        self.backend.start(def).await?;
        let found = match self.backend.refresh(def).await {
            Ok(found) => found,
            Err(error) => {
                self.stop_quietly(def).await;
                return Err(error);
            }
        };
        show(turn, def, found);
        let pool = turn.snapshot().pool_ref();
        self.tell(pool.clone(), Event::Started);
        Ok(pool)
    }

    /// Starts a pool that is defined.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if it is active; those of the backend.
    pub async fn create(self: &Arc<Self>, pool: &StoragePoolRef, flags: u32) -> Result<()> {
        let build = building(flags, "virStoragePoolCreate")?;
        let (object, _) = self.find(pool)?;
        let pools = self.clone();
        let work = move |turn: Turn<StoragePool>| async move {
            let pool = turn.snapshot();
            pools.backend.check(Step::Start, &pool)?;
            if let Some(def) = &pool.persistent {
                pools.start(&turn, def, build).await?;
            }
            Ok(())
        };
        self.collection.change(&object, "virStoragePoolCreate", work).await
    }

    /// Starts what `def` describes; it is transient unless a definition of it exists.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_FAILED` if another pool has its name, UUID or source; those of the backend.
    pub async fn create_xml(
        self: &Arc<Self>,
        def: StoragePool,
        flags: u32,
    ) -> Result<StoragePoolRef> {
        const NAME: &str = "virStoragePoolCreateXML";
        let build = building(flags, NAME)?;
        conflict::check(&def, &self.collection)?;
        let pools = self.clone();
        let work = move |turn: Turn<StoragePool>, def: StoragePool| async move {
            if turn.snapshot().is_active() {
                refuse(format!("pool is already active as '{}'", def.name))?;
            }
            pools.start(&turn, &def, build).await
        };
        self.collection.claim(def, NAME, work).await
    }

    /// Starts the pools that are to be active when the host has booted.
    pub async fn autostart(self: &Arc<Self>) {
        for pool in self.collection.select(|pool| pool.autostart && !pool.is_active()) {
            if let Err(error) = self.create(&pool.pool_ref(), 0).await {
                tracing::error!("storage pool '{}' is not started: {error}", pool.name);
            }
        }
    }

    /// Looks through a pool again. One that cannot be read any more is not active any more.
    pub(super) async fn refresh(self: &Arc<Self>, entry: Entry<StoragePool>) -> Result<()> {
        let pools = self.clone();
        let work = move |turn: Turn<StoragePool>| async move {
            let pool = turn.snapshot();
            let live = pool.active()?;
            pool.extra.at_rest(&pool.name)?;
            match pools.backend.refresh(live).await {
                Ok(found) => {
                    show(&turn, live, found);
                    pools.tell_refreshed(pool.pool_ref());
                    Ok(())
                }
                Err(error) => {
                    pools.stop_quietly(live).await;
                    pools.ended(&turn, live);
                    Err(error)
                }
            }
        };
        self.collection.change(&entry.0, "virStoragePoolRefresh", work).await
    }

    async fn stop_quietly(&self, def: &StoragePool) {
        if let Err(error) = self.backend.stop(def).await {
            tracing::warn!("storage pool '{}' does not stop: {error}", def.name);
        }
    }

    /// Tells everybody that a pool is active no longer.
    fn ended(&self, turn: &Turn<StoragePool>, live: &StoragePool) {
        let pool = turn.snapshot();
        turn.publish(|pool| (pool.live, pool.extra) = (None, pool.extra.dormant()));
        if !pool.is_persistent() {
            self.backend.forget(live);
        }
        self.tell(pool.pool_ref(), Event::Stopped);
    }
}

/// Shows everybody a pool as it was found.
fn show(turn: &Turn<StoragePool>, def: &StoragePool, found: Found) {
    let mut live = def.clone();
    if let Some(PoolTarget { permissions, .. }) = &mut live.target {
        *permissions = found.permissions;
    }
    let contents = Contents::new(found.sizes, found.volumes);
    turn.publish(|pool| (pool.live, pool.extra) = (Some(Arc::new(live)), contents));
}

/// What a start with these flags builds before.
fn building(flags: u32, call: &str) -> Result<Option<Build>> {
    check_flags(flags, Create::all().bits(), call)?;
    let (over, keep) = (Create::WITH_BUILD_OVERWRITE, Create::WITH_BUILD_NO_OVERWRITE);
    exclusive(
        flags,
        (over.bits(), "VIR_STORAGE_POOL_CREATE_WITH_BUILD_OVERWRITE"),
        (keep.bits(), "VIR_STORAGE_POOL_CREATE_WITH_BUILD_NO_OVERWRITE"),
    )?;
    let flags = Create::from_bits_truncate(flags);
    Ok(if flags.contains(over) {
        Some(Build::OVERWRITE)
    } else if flags.contains(keep) {
        Some(Build::NO_OVERWRITE)
    } else {
        flags.contains(Create::WITH_BUILD).then_some(Build::NEW)
    })
}

pub(super) async fn create_xml<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolCreateXml,
) -> Result<StoragePoolRef> {
    let def = driver.pools().read(&request.xml, false)?;
    driver.pools().create_xml(def, request.flags).await
}

pub(super) async fn create<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolCreate,
) -> Result<()> {
    driver.pools().create(&request.pool, request.flags).await
}

pub(super) async fn build<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolBuild,
) -> Result<()> {
    check_flags(request.flags, Build::all().bits(), "virStoragePoolBuild")?;
    exclusive(
        request.flags,
        (Build::OVERWRITE.bits(), "VIR_STORAGE_POOL_BUILD_OVERWRITE"),
        (Build::NO_OVERWRITE.bits(), "VIR_STORAGE_POOL_BUILD_NO_OVERWRITE"),
    )?;
    let flags = Build::from_bits_truncate(request.flags);
    let pools = driver.pools().clone();
    let (object, _) = pools.find(&request.pool)?;
    let work = {
        let pools = pools.clone();
        move |turn: Turn<StoragePool>| async move {
            let pool = turn.snapshot();
            pools.backend.check(Step::Build, &pool)?;
            pools.backend.build(pool.def()?, flags).await?;
            pools.tell(pool.pool_ref(), Event::Created);
            Ok(())
        }
    };
    pools.collection.change(&object, "virStoragePoolBuild", work).await
}

pub(super) async fn destroy<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolDestroy,
) -> Result<()> {
    let pools = driver.pools().clone();
    let (object, _) = pools.find(&request.pool)?;
    let work = {
        let pools = pools.clone();
        |turn: Turn<StoragePool>| async move {
            let pool = turn.snapshot();
            pools.backend.check(Step::Destroy, &pool)?;
            let live = pool.active()?;
            pool.extra.at_rest(&pool.name)?;
            pools.backend.stop(live).await?;
            pools.ended(&turn, live);
            Ok(())
        }
    };
    pools.collection.change(&object, "virStoragePoolDestroy", work).await
}

pub(super) async fn delete<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolDelete,
) -> Result<()> {
    check_flags(request.flags, StoragePoolDeleteFlags::all().bits(), "virStoragePoolDelete")?;
    let zeroed = request.flags & StoragePoolDeleteFlags::ZEROED.bits() != 0;
    let pools = driver.pools().clone();
    let (object, _) = pools.find(&request.pool)?;
    let work = {
        let pools = pools.clone();
        move |turn: Turn<StoragePool>| async move {
            let pool = turn.snapshot();
            pools.backend.check(Step::Delete, &pool)?;
            pools.backend.delete(pool.def()?, zeroed).await?;
            pools.tell(pool.pool_ref(), Event::Deleted);
            Ok(())
        }
    };
    pools.collection.change(&object, "virStoragePoolDelete", work).await
}

pub(super) async fn refresh<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolRefresh,
) -> Result<()> {
    check_flags(request.flags, 0, "virStoragePoolRefresh")?;
    let entry = driver.pools().find(&request.pool)?;
    driver.pools().refresh(entry).await
}

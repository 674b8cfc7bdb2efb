// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What changes a pool on paper: define, undefine, autostart.

use std::sync::Arc;

use uuid::Uuid;
use virtus_api::{
    Error, ErrorCode, Result, StoragePoolDefineFlags, StoragePoolDefineXml,
    StoragePoolEventLifecycleType as Event, StoragePoolRef, StoragePoolSetAutostart,
    StoragePoolUndefine,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::{Document, ParseFlags, StoragePool};

use super::{HasPools, Pools, StorageBackend, conflict};
use crate::object::Turn;
use crate::step::Step;

impl<B: StorageBackend> Pools<B> {
    /// Reads a definition that a client gives, and completes it.
    pub(super) fn read(&self, xml: &str, validate: bool) -> Result<StoragePool> {
        let mut flags = ParseFlags::INACTIVE;
        flags.set(ParseFlags::VALIDATE, validate);
        let mut def = StoragePool::parse(xml, flags)?.value;
        def.uuid.get_or_insert_with(Uuid::new_v4);
        self.backend.complete(&mut def)?;
        Ok(def)
    }

    /// Makes `def` the definition that the pool's next start will use.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_FAILED` if another pool has its name, UUID or source; that of the disk.
    pub async fn define(self: &Arc<Self>, def: StoragePool) -> Result<StoragePoolRef> {
        conflict::check(&def, &self.collection)?;
        let pools = self.clone();
        let work = move |turn: Turn<StoragePool>, def: StoragePool| async move {
            let fresh = !turn.snapshot().is_visible();
            let sizes = pools.backend.expected(&def);
            turn.set_persistent(def).await?;
            if fresh {
                turn.publish(|pool| pool.extra.sizes = sizes);
            }
            let pool = turn.snapshot().pool_ref();
            pools.tell(pool.clone(), Event::Defined);
            Ok(pool)
        };
        self.collection.claim(def, "virStoragePoolDefineXML", work).await
    }
}

pub(super) async fn define<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolDefineXml,
) -> Result<StoragePoolRef> {
    let known = StoragePoolDefineFlags::all().bits();
    check_flags(request.flags, known, "virStoragePoolDefineXML")?;
    let validate = request.flags & StoragePoolDefineFlags::VALIDATE.bits() != 0;
    let def = driver.pools().read(&request.xml, validate)?;
    driver.pools().define(def).await
}

pub(super) async fn undefine<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolUndefine,
) -> Result<()> {
    let pools = driver.pools().clone();
    let (object, _) = pools.find(&request.pool)?;
    let work = {
        let pools = pools.clone();
        |turn: Turn<StoragePool>| async move {
            let pool = turn.snapshot();
            pools.backend.check(Step::Undefine, &pool)?;
            turn.remove_persistent().await?;
            if let Some(def) = &pool.persistent {
                pools.backend.forget(def);
            }
            pools.tell(pool.pool_ref(), Event::Undefined);
            Ok(())
        }
    };
    pools.collection.change(&object, "virStoragePoolUndefine", work).await
}

pub(super) async fn set_autostart<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolSetAutostart,
) -> Result<()> {
    let pools = driver.pools();
    let (object, _) = pools.find(&request.pool)?;
    let on = request.autostart != 0;
    let work = move |turn: Turn<StoragePool>| async move {
        if !turn.snapshot().is_persistent() {
            return Err(Error::new(ErrorCode::InvalidArg, "pool has no config file")
                .hint("only pools that are defined can start when the host boots"));
        }
        turn.set_autostart(on).await
    };
    pools.collection.change(&object, "virStoragePoolSetAutostart", work).await
}

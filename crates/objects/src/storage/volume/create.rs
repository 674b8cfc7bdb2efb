// SPDX-License-Identifier: Apache-2.0 OR MIT
//! New volumes, empty or as copies.

use std::sync::Arc;

use virtus_api::{
    Error, ErrorCode, Result, StoragePoolRef, StorageVolCreateFlags as Create, StorageVolCreateXml,
    StorageVolCreateXmlFrom, StorageVolRef,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::{Document, ParseFlags, StoragePool, Volume, VolumeFlags};

use super::super::{HasPools, Making, Pools, StorageBackend};
use super::{Place, attempt, to_the_end};
use crate::object::{Object, Turn};

const CREATE: &str = "virStorageVolCreateXML";

/// What is asked for.
struct Wish {
    xml: String,
    flags: Create,
    /// The volume that it is going to be a copy of.
    copy_of: Option<Place>,
}

impl Wish {
    /// The definition in a pool like `live`; what it leaves open is as in the original.
    fn definition(&self, live: &StoragePool) -> Result<Volume> {
        let mut flags = ParseFlags::empty();
        flags.set(ParseFlags::VALIDATE, self.flags.contains(Create::VALIDATE));
        let mut def = Volume::parse(&self.xml, flags)?.value;
        let Some(original) = &self.copy_of else {
            def.settle_in(live.kind, VolumeFlags::OPTIONAL_CAPACITY)?;
            return Ok(def);
        };
        def.settle_in(live.kind, VolumeFlags::NO_CAPACITY)?;
        let original = &original.volume.def;
        // A copy has room for all of the original.
        def.capacity = def.capacity.max(original.capacity);
        Ok(def)
    }
}

impl<B: StorageBackend> Pools<B> {
    /// Makes a new volume in an active pool.
    ///
    /// # Errors
    /// `VIR_ERR_STORAGE_VOL_EXIST` if there is one of its name; those of the backend.
    pub async fn create_volume(
        self: &Arc<Self>,
        pool: StoragePoolRef,
        xml: String,
        flags: Create,
    ) -> Result<StorageVolRef> {
        let wish = Wish { xml, flags, copy_of: None };
        to_the_end(self.clone().make(pool, wish, CREATE)).await
    }

    /// Makes a volume: takes its place in a turn of the pool, works beside, and shows it in another turn.
    async fn make(
        self: Arc<Self>,
        pool: StoragePoolRef,
        wish: Wish,
        call: &'static str,
    ) -> Result<StorageVolRef> {
        let (object, snapshot) = self.find(&pool)?;
        let def = wish.definition(snapshot.active()?)?;
        let (live, def) = self.take_place(&object, def, call).await?;
        let made = self.made(&live, &def, &wish, call).await;
        let after = made.as_ref().ok().cloned();
        self.give_back(&object, call, def.name.clone(), after).await?;
        let made = made?;
        Ok(StorageVolRef {
            pool: snapshot.name.to_string(),
            name: made.name.clone(),
            key: made.key.clone().unwrap_or_default(),
        })
    }

    async fn take_place(
        self: &Arc<Self>,
        object: &Arc<Object<StoragePool>>,
        mut def: Volume,
        call: &'static str,
    ) -> Result<(Arc<StoragePool>, Arc<Volume>)> {
        let pools = self.clone();
        let work = move |turn: Turn<StoragePool>| async move {
            let pool = turn.snapshot();
            let live = pool.active()?.clone();
            let mut contents = pool.extra.clone();
            if contents.volume(&def.name).is_ok() {
                return Err(pools.backend.taken(&def.name));
            }
            pools.backend.place(&pool, &mut def)?;
            let def = Arc::new(def);
            contents.begin_making(def.clone())?;
            turn.publish(|pool| pool.extra = contents);
            Ok((live, def))
        };
        self.collection.change(object, call, work).await
    }

    async fn made(
        self: &Arc<Self>,
        live: &StoragePool,
        def: &Volume,
        wish: &Wish,
        call: &'static str,
    ) -> Result<Arc<Volume>> {
        let mut how = Making {
            copy_of: None,
            metadata: wish.flags.contains(Create::PREALLOC_METADATA),
            reflink: wish.flags.contains(Create::REFLINK),
        };
        let Some(original) = &wish.copy_of else {
            return attempt(self.backend.create_volume(live, def, how)).await.map(Arc::new);
        };
        let name = original.volume.def.name.clone();
        let read = {
            let name = name.clone();
            |turn: Turn<StoragePool>| async move {
                let mut contents = turn.snapshot().extra.clone();
                let def = contents.begin_reading(&name)?;
                turn.publish(|pool| pool.extra = contents);
                Ok(def)
            }
        };
        let source = self.collection.change(&original.object, call, read).await?;
        how.copy_of = Some((&original.live, &source));
        let made = attempt(self.backend.create_volume(live, def, how)).await;
        let back = self.give_back(&original.object, call, name, Some(source.clone())).await;
        if let Err(error) = back {
            tracing::warn!("volume '{}' stays in use: {error}", source.name);
        }
        made.map(Arc::new)
    }
}

pub(super) async fn create<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StorageVolCreateXml,
) -> Result<StorageVolRef> {
    let known = Create::PREALLOC_METADATA | Create::VALIDATE;
    check_flags(request.flags, known.bits(), CREATE)?;
    let flags = Create::from_bits_truncate(request.flags);
    driver.pools().create_volume(request.pool, request.xml, flags).await
}

pub(super) async fn create_from<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StorageVolCreateXmlFrom,
) -> Result<StorageVolRef> {
    const NAME: &str = "virStorageVolCreateXMLFrom";
    check_flags(request.flags, Create::all().bits(), NAME)?;
    let pools = driver.pools().clone();
    let original = pools.find_volume(&request.clonevol)?;
    original.volume.whole()?;
    let flags = Create::from_bits_truncate(request.flags);
    if flags.contains(Create::REFLINK)
        && original.live.kind != pools.find(&request.pool)?.1.def()?.kind
    {
        let text = "blocks cannot be shared between pools of different kinds";
        return Err(Error::new(ErrorCode::ArgumentUnsupported, text));
    }
    let wish = Wish { xml: request.xml, flags, copy_of: Some(original) };
    to_the_end(pools.make(request.pool, wish, NAME)).await
}

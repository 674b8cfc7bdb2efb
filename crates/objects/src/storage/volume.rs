// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Volumes of pools. They are found among those of active pools only.

mod change;
mod create;
mod data;
mod list;

use std::sync::Arc;

use virtus_api::{Result, StorageVolRef};
use virtus_core::Routes;
use virtus_xml::{StoragePool, Volume};

use super::{HasPools, PoolVolume, Pools, StorageBackend};
use crate::object::{Object, Turn};

/// What every driver of storage answers about volumes.
pub(super) fn routes<D: HasPools>() -> Routes<D> {
    Routes::new()
        .on(list::num_of_volumes::<D>)
        .on(list::list_volumes::<D>)
        .on(list::list_all_volumes::<D>)
        .on(list::lookup_by_name::<D>)
        .on(list::lookup_by_key::<D>)
        .on(list::lookup_by_path::<D>)
        .on(list::get_info::<D>)
        .on(list::get_info_flags::<D>)
        .on(list::get_xml::<D>)
        .on(list::get_path::<D>)
        .on(create::create::<D>)
        .on(create::create_from::<D>)
        .on(change::delete::<D>)
        .on(change::wipe::<D>)
        .on(change::wipe_pattern::<D>)
        .on(change::resize::<D>)
        .on(data::upload::<D>)
        .on(data::download::<D>)
}

/// A volume that was found, its pool and the pool's live definition.
struct Place {
    object: Arc<Object<StoragePool>>,
    live: Arc<StoragePool>,
    volume: PoolVolume,
}

impl<B: StorageBackend> Pools<B> {
    fn find_volume(&self, vol: &StorageVolRef) -> Result<Place> {
        let (object, pool) = self.collection.lookup_name(&vol.pool)?;
        let live = pool.active()?.clone();
        let volume = pool.extra.volume(&vol.name)?.clone();
        Ok(Place { object, live, volume })
    }

    /// Gives a volume back that was taken for work: it is now `after`, or gone.
    async fn give_back(
        self: &Arc<Self>,
        object: &Arc<Object<StoragePool>>,
        call: &'static str,
        name: String,
        after: Option<Arc<Volume>>,
    ) -> Result<()> {
        let work = move |turn: Turn<StoragePool>| async move {
            turn.publish(|pool| pool.extra.end(&name, after));
            Ok(())
        };
        self.collection.change(object, call, work).await
    }
}

/// Finishes what was begun even if the caller goes away.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|_| {
        let text = "the work on a volume was broken off";
        Err(virtus_api::Error::new(virtus_api::ErrorCode::OperationAborted, text))
    })
}

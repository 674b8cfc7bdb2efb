// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Volumes of pools. They are found among those of active pools only.

mod change;
mod create;
mod data;
mod list;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use virtus_api::{Error, ErrorCode, Result, StorageVolRef};
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

/// What a backend has done; a panic of it is a failure like others, so that no volume stays taken.
async fn attempt<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        Err(Error::new(ErrorCode::InternalError, "the work on a volume has panicked"))
    })
}

/// Finishes what was begun even if the caller goes away.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|_| {
        Err(Error::new(ErrorCode::OperationAborted, "the work on a volume was broken off"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_a_backend_is_a_failure() {
        let error = attempt::<()>(async { panic!("no") }).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InternalError);
        assert_eq!(attempt(async { Ok(1) }).await.unwrap(), 1);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What volumes hold, through streams.
//!
//! An upload is confirmed when the volume has been measured again: whoever was told that it is finished finds its
//! sizes. Streams do not hold volumes: a client that stalls keeps nobody from deleting one.

use std::sync::Arc;

use virtus_api::{
    Error, ErrorCode, Result, StorageVolDownload, StorageVolDownloadFlags, StorageVolRef,
    StorageVolUpload, StorageVolUploadFlags,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_core::stream::Stream;
use virtus_core::stream::file::{self, End, Extent};
use virtus_xml::StoragePool;

use super::super::{HasPools, Pools, StorageBackend};
use super::Place;
use crate::object::Turn;

/// A length of 0 means all that there is.
fn extent(offset: u64, length: u64) -> Extent {
    Extent { offset, length: Some(length).filter(|length| *length > 0) }
}

fn take_stream(call: &mut Call) -> Result<Stream> {
    call.stream.take().ok_or_else(|| {
        Error::new(ErrorCode::InternalError, "the transport has brought no stream for the call")
    })
}

pub(super) async fn download<D: HasPools>(
    driver: Arc<D>,
    mut call: Call,
    request: StorageVolDownload,
) -> Result<()> {
    let known = StorageVolDownloadFlags::all().bits();
    check_flags(request.flags, known, "virStorageVolDownload")?;
    let sparse = request.flags & StorageVolDownloadFlags::SPARSE_STREAM.bits() != 0;
    let pools = driver.pools();
    let Place { live, volume, .. } = pools.find_volume(&request.vol)?;
    volume.whole()?;
    let file = pools.backend.open_volume(&live, &volume.def, false).await?;
    let stream = take_stream(&mut call)?;
    let extent = extent(request.offset, request.length);
    tokio::spawn(async move {
        match file::send(&stream, file, extent, sparse).await {
            Ok(End::Whole) => stream.finish().await,
            Ok(End::Aborted) => {}
            Err(error) => stream.fail(of_volume(&request.vol, error)).await,
        }
    });
    Ok(())
}

pub(super) async fn upload<D: HasPools>(
    driver: Arc<D>,
    mut call: Call,
    request: StorageVolUpload,
) -> Result<()> {
    check_flags(request.flags, StorageVolUploadFlags::all().bits(), "virStorageVolUpload")?;
    let pools = driver.pools().clone();
    let Place { live, volume, .. } = pools.find_volume(&request.vol)?;
    volume.whole()?;
    let file = pools.backend.open_volume(&live, &volume.def, true).await?;
    let stream = take_stream(&mut call)?;
    let answer = stream.sender.clone();
    let extent = extent(request.offset, request.length);
    tokio::spawn(async move {
        let end = file::receive(stream, file, extent).await;
        pools.measure_after_upload(&request.vol).await;
        match end {
            Ok(End::Whole) => answer.finish().await,
            Ok(End::Aborted) => {}
            Err(error) => answer.fail(of_volume(&request.vol, error)).await,
        }
    });
    Ok(())
}

/// Says which volume it was; what clients match on stays in front.
fn of_volume(vol: &StorageVolRef, error: Error) -> Error {
    tracing::debug!("a stream of volume '{}' has failed: {error}", vol.name);
    error
}

impl<B: StorageBackend> Pools<B> {
    async fn measure_after_upload(self: &Arc<Self>, vol: &StorageVolRef) {
        // It may be gone by now.
        let Ok(Place { object, .. }) = self.find_volume(vol) else { return };
        let (pools, name) = (self.clone(), vol.name.clone());
        let work = move |turn: Turn<StoragePool>| async move {
            let pool = turn.snapshot();
            let volume = pool.extra.volume(&name)?;
            volume.whole()?;
            let now = pools.backend.measure(pool.active()?, &volume.def).await?;
            turn.publish(|pool| pool.extra.measured(now));
            pools.tell_refreshed(pool.pool_ref());
            Ok(())
        };
        if let Err(error) = self.collection.change(&object, "virStorageVolUpload", work).await {
            tracing::warn!("volume '{}' is not measured: {error}", vol.name);
        }
    }
}

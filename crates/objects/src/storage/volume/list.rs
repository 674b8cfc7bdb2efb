// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which volumes there are, and what is known of them.

use std::sync::Arc;

use virtus_api::{
    Result, StoragePoolListAllVolumes, StoragePoolListAllVolumesReply, StoragePoolListVolumes,
    StoragePoolNumOfVolumes, StorageVolGetInfo, StorageVolGetInfoFlags,
    StorageVolGetInfoFlagsReply, StorageVolGetInfoReply, StorageVolGetPath, StorageVolGetXmlDesc,
    StorageVolInfoFlags, StorageVolLookupByKey, StorageVolLookupByName, StorageVolLookupByPath,
    StorageVolRef,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::pool::sanitize_path;
use virtus_xml::{Document, FormatFlags, Volume};

use super::super::contents::{allocation, no_volume};
use super::super::{HasPools, PoolVolume, Pools, StorageBackend};
use crate::list::{count, whole};

pub(super) async fn num_of_volumes<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolNumOfVolumes,
) -> Result<i32> {
    let (_, pool) = driver.pools().find(&request.pool)?;
    pool.active()?;
    Ok(count(pool.extra.volumes().len()))
}

pub(super) async fn list_volumes<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolListVolumes,
) -> Result<Vec<String>> {
    let (_, pool) = driver.pools().find(&request.pool)?;
    pool.active()?;
    let max = usize::try_from(request.maxnames).unwrap_or_default();
    Ok(pool.extra.volumes().take(max).map(|volume| volume.def.name.clone()).collect())
}

pub(super) async fn list_all_volumes<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolListAllVolumes,
) -> Result<StoragePoolListAllVolumesReply> {
    check_flags(request.flags, 0, "virStoragePoolListAllVolumes")?;
    let (_, pool) = driver.pools().find(&request.pool)?;
    pool.active()?;
    let found = pool.extra.volumes().map(|volume| volume.vol_ref(&pool.name)).collect();
    let (vols, ret) = whole(request.need_results, found);
    Ok(StoragePoolListAllVolumesReply { vols, ret })
}

pub(super) async fn lookup_by_name<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StorageVolLookupByName,
) -> Result<StorageVolRef> {
    let (_, pool) = driver.pools().find(&request.pool)?;
    pool.active()?;
    Ok(pool.extra.volume(&request.name)?.vol_ref(&pool.name))
}

pub(super) async fn lookup_by_key<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StorageVolLookupByKey,
) -> Result<StorageVolRef> {
    let found = first(driver.pools(), |volume| volume.def.key.as_ref() == Some(&request.key));
    found.ok_or_else(|| no_volume(format!("key '{}'", request.key)))
}

pub(super) async fn lookup_by_path<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StorageVolLookupByPath,
) -> Result<StorageVolRef> {
    let wanted = sanitize_path(&request.path);
    let found = first(driver.pools(), |volume| volume.path() == wanted);
    found.ok_or_else(|| no_volume(format!("path '{}'", request.path)))
}

/// The first volume of any active pool that fits.
fn first<B: StorageBackend>(
    pools: &Pools<B>,
    fits: impl Fn(&PoolVolume) -> bool,
) -> Option<StorageVolRef> {
    let all = pools.collection.all();
    all.iter().find_map(|(_, pool)| {
        pool.extra.volumes().find(|volume| fits(volume)).map(|volume| volume.vol_ref(&pool.name))
    })
}

impl<B: StorageBackend> Pools<B> {
    /// A volume as it is now.
    async fn measured(&self, vol: &StorageVolRef) -> Result<(PoolVolume, Volume)> {
        let place = self.find_volume(vol)?;
        let now = if place.volume.whole().is_ok() {
            self.backend.measure(&place.live, &place.volume.def).await?
        } else {
            (*place.volume.def).clone()
        };
        Ok((place.volume, now))
    }
}

pub(super) async fn get_info<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StorageVolGetInfo,
) -> Result<StorageVolGetInfoReply> {
    let (volume, now) = driver.pools().measured(&request.vol).await?;
    Ok(StorageVolGetInfoReply {
        r#type: volume.kind_number(),
        capacity: now.capacity.unwrap_or_default().0,
        allocation: allocation(&now),
    })
}

pub(super) async fn get_info_flags<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StorageVolGetInfoFlags,
) -> Result<StorageVolGetInfoFlagsReply> {
    check_flags(request.flags, StorageVolInfoFlags::all().bits(), "virStorageVolGetInfoFlags")?;
    let (volume, now) = driver.pools().measured(&request.vol).await?;
    let physical = request.flags & StorageVolInfoFlags::GET_PHYSICAL.bits() != 0;
    // Zero says that nobody knows it.
    let physical = Some(now.physical.0.0).filter(|bytes| physical && *bytes > 0);
    Ok(StorageVolGetInfoFlagsReply {
        r#type: volume.kind_number(),
        capacity: now.capacity.unwrap_or_default().0,
        allocation: physical.unwrap_or_else(|| allocation(&now)),
    })
}

pub(super) async fn get_xml<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StorageVolGetXmlDesc,
) -> Result<String> {
    check_flags(request.flags, 0, "virStorageVolGetXMLDesc")?;
    let (_, now) = driver.pools().measured(&request.vol).await?;
    Ok(now.format(FormatFlags::empty()))
}

pub(super) async fn get_path<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StorageVolGetPath,
) -> Result<String> {
    Ok(driver.pools().find_volume(&request.vol)?.volume.path().to_owned())
}

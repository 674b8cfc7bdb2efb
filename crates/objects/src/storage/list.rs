// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which pools there are, and what is known of them. Read from snapshots; never waits.

use std::sync::Arc;

use virtus_api::{
    ConnectListAllStoragePools, ConnectListAllStoragePoolsFlags as Filter,
    ConnectListAllStoragePoolsReply, ConnectListDefinedStoragePools, ConnectListStoragePools,
    ConnectNumOfDefinedStoragePools, ConnectNumOfStoragePools, Error, ErrorCode, Result,
    StoragePoolGetAutostart, StoragePoolGetInfo, StoragePoolGetInfoReply, StoragePoolGetXmlDesc,
    StoragePoolIsActive, StoragePoolIsPersistent, StoragePoolLookupByName,
    StoragePoolLookupByTargetPath, StoragePoolLookupByUuid, StoragePoolLookupByVolume,
    StoragePoolRef, StoragePoolState, StorageXmlFlags,
};
use virtus_core::Call;
use virtus_core::flags::{check_flags, passes};
use virtus_xml::pool::{PoolType, sanitize_path};
use virtus_xml::{Document, FormatFlags, StoragePool};

use super::{HasPools, conflict};
use crate::list::{count, names, whole};
use crate::object::Snapshot;

pub(super) async fn num_of_pools<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    _: ConnectNumOfStoragePools,
) -> Result<i32> {
    Ok(count(driver.pools().collection.select(Snapshot::is_active).len()))
}

pub(super) async fn list_pools<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListStoragePools,
) -> Result<Vec<String>> {
    Ok(names(&driver.pools().collection.select(Snapshot::is_active), request.maxnames))
}

pub(super) async fn num_of_defined_pools<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    _: ConnectNumOfDefinedStoragePools,
) -> Result<i32> {
    Ok(count(driver.pools().collection.select(|pool| !pool.is_active()).len()))
}

pub(super) async fn list_defined_pools<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListDefinedStoragePools,
) -> Result<Vec<String>> {
    let inactive = driver.pools().collection.select(|pool| !pool.is_active());
    Ok(names(&inactive, request.maxnames))
}

pub(super) async fn list_all<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListAllStoragePools,
) -> Result<ConnectListAllStoragePoolsReply> {
    check_flags(request.flags, Filter::all().bits(), "virConnectListAllStoragePools")?;
    let found = driver.pools().collection.select(|pool| fits(request.flags, pool));
    let found = found.iter().map(|pool| pool.pool_ref()).collect();
    let (pools, ret) = whole(request.need_results, found);
    Ok(ConnectListAllStoragePoolsReply { pools, ret })
}

fn fits(flags: u32, pool: &Snapshot<StoragePool>) -> bool {
    let group =
        |yes: Filter, no: Filter, is: bool| passes(flags, [(yes.bits(), is), (no.bits(), !is)]);
    let kind = pool.def().ok().map(|def| def.kind);
    group(Filter::ACTIVE, Filter::INACTIVE, pool.is_active())
        && group(Filter::PERSISTENT, Filter::TRANSIENT, pool.is_persistent())
        && group(Filter::AUTOSTART, Filter::NO_AUTOSTART, pool.autostart)
        && passes(flags, PoolType::ALL.iter().map(|of| (filter(*of).bits(), Some(*of) == kind)))
}

/// The flag that asks for pools of this kind.
fn filter(kind: PoolType) -> Filter {
    match kind {
        PoolType::Dir => Filter::DIR,
        PoolType::Fs => Filter::FS,
        PoolType::Netfs => Filter::NETFS,
        PoolType::Logical => Filter::LOGICAL,
        PoolType::Disk => Filter::DISK,
        PoolType::Iscsi => Filter::ISCSI,
        PoolType::IscsiDirect => Filter::ISCSI_DIRECT,
        PoolType::Scsi => Filter::SCSI,
        PoolType::Mpath => Filter::MPATH,
        PoolType::Rbd => Filter::RBD,
        PoolType::Sheepdog => Filter::SHEEPDOG,
        PoolType::Gluster => Filter::GLUSTER,
        PoolType::Zfs => Filter::ZFS,
        PoolType::Vstorage => Filter::VSTORAGE,
    }
}

pub(super) async fn lookup_by_name<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolLookupByName,
) -> Result<StoragePoolRef> {
    Ok(driver.pools().collection.lookup_name(&request.name)?.1.pool_ref())
}

pub(super) async fn lookup_by_uuid<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolLookupByUuid,
) -> Result<StoragePoolRef> {
    Ok(driver.pools().collection.lookup_uuid(request.uuid)?.1.pool_ref())
}

pub(super) async fn lookup_by_volume<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolLookupByVolume,
) -> Result<StoragePoolRef> {
    Ok(driver.pools().collection.lookup_name(&request.vol.pool)?.1.pool_ref())
}

pub(super) async fn lookup_by_target_path<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolLookupByTargetPath,
) -> Result<StoragePoolRef> {
    let wanted = sanitize_path(&request.path);
    let at = |pool: &Snapshot<StoragePool>| {
        pool.live.as_ref().is_some_and(|live| conflict::path(live) == Some(&wanted))
    };
    let found = driver.pools().collection.select(at);
    found.first().map(|pool| pool.pool_ref()).ok_or_else(|| {
        let text = format!("no storage pool with matching target path '{}'", request.path);
        Error::new(ErrorCode::NoStoragePool, text).hint("only active pools have a target")
    })
}

pub(super) async fn is_active<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolIsActive,
) -> Result<i32> {
    Ok(driver.pools().find(&request.pool)?.1.is_active().into())
}

pub(super) async fn is_persistent<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolIsPersistent,
) -> Result<i32> {
    Ok(driver.pools().find(&request.pool)?.1.is_persistent().into())
}

pub(super) async fn get_autostart<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolGetAutostart,
) -> Result<i32> {
    Ok(driver.pools().find(&request.pool)?.1.autostart.into())
}

pub(super) async fn get_info<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolGetInfo,
) -> Result<StoragePoolGetInfoReply> {
    let (_, pool) = driver.pools().find(&request.pool)?;
    let active = pool.is_active();
    let state = if active { StoragePoolState::Running } else { StoragePoolState::Inactive };
    let sizes = pool.extra.sizes;
    Ok(StoragePoolGetInfoReply {
        state: state as u8,
        capacity: sizes.capacity,
        allocation: sizes.allocation,
        available: sizes.available,
    })
}

pub(super) async fn get_xml<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StoragePoolGetXmlDesc,
) -> Result<String> {
    check_flags(request.flags, StorageXmlFlags::all().bits(), "virStoragePoolGetXMLDesc")?;
    let (_, pool) = driver.pools().find(&request.pool)?;
    let inactive = request.flags & StorageXmlFlags::INACTIVE.bits() != 0;
    let persistent = pool.persistent.as_ref().filter(|_| inactive);
    let def = persistent.map_or_else(|| pool.def(), Ok)?;
    Ok(pool.extra.describe(def).format(FormatFlags::empty()))
}

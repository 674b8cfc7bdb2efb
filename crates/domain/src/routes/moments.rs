// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Snapshots and checkpoints: that there are none. They cannot be made yet; if the host has some that
//! libvirt made, that is said instead.

use std::path::PathBuf;
use std::sync::Arc;

use virtus_api::{
    DomainHasCurrentSnapshot, DomainListAllCheckpoints, DomainListAllCheckpointsReply,
    DomainListAllSnapshots, DomainListAllSnapshotsReply, DomainRef, DomainSnapshotListNames,
    DomainSnapshotNum, Error, ErrorCode, Result,
};
use virtus_core::{Call, store};

use super::{HasMachines, find};

pub(super) async fn num_snapshots<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSnapshotNum,
) -> Result<i32> {
    no_snapshots(&*driver, &request.dom).await.map(|()| 0)
}

pub(super) async fn snapshot_names<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSnapshotListNames,
) -> Result<Vec<String>> {
    no_snapshots(&*driver, &request.dom).await.map(|()| Vec::new())
}

pub(super) async fn list_snapshots<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainListAllSnapshots,
) -> Result<DomainListAllSnapshotsReply> {
    no_snapshots(&*driver, &request.dom).await?;
    Ok(DomainListAllSnapshotsReply { snapshots: Vec::new(), ret: 0 })
}

pub(super) async fn has_current_snapshot<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainHasCurrentSnapshot,
) -> Result<i32> {
    no_snapshots(&*driver, &request.dom).await.map(|()| 0)
}

pub(super) async fn list_checkpoints<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainListAllCheckpoints,
) -> Result<DomainListAllCheckpointsReply> {
    let (_, snapshot) = find(&*driver, &request.dom)?;
    let places = driver.machines().records().places();
    none_in(places.map(|places| places.checkpoints(&snapshot.name)), "checkpoints").await?;
    Ok(DomainListAllCheckpointsReply { checkpoints: Vec::new(), ret: 0 })
}

async fn no_snapshots<D: HasMachines>(driver: &D, dom: &DomainRef) -> Result<()> {
    let (_, snapshot) = find(driver, dom)?;
    let places = driver.machines().records().places();
    none_in(places.map(|places| places.snapshots(&snapshot.name)), "snapshots").await
}

async fn none_in(folder: Option<PathBuf>, what: &'static str) -> Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    let look = tokio::task::spawn_blocking(move || {
        let count = store::list(&folder, ".xml")?.len();
        if count == 0 {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::OperationUnsupported,
            format!("'{}' describes {count} {what}; they cannot be used yet", folder.display()),
        ))
    });
    match look.await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::new(ErrorCode::InternalError, "a look at a folder was cut short")),
    }
}

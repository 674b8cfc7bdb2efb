// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files as disks: each is a loop device of the host while its container runs.
//!
//! The daemon makes the device and the controller keeps it open, so that it goes with the container whoever dies.
//! Which one it is stands in the status file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;
use virtus_api::{Error, ErrorCode, Result};
use virtus_host::loop_device::LoopDevice;
use virtus_xml::domain::disk::Disk;
use virtus_xml::domain::storage::StorageType;
use virtus_xml::tree::Tree;

use crate::plan::disk_node;

/// The element in the disk's private part.
const ELEMENT: &str = "loop";

/// How long storage may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes the device of a disk that is a file, and notes it there. One that is made too late goes at once.
pub(crate) async fn lend(disk: &mut Disk) -> Result<Option<LoopDevice>> {
    disk.private = None;
    if disk.kind != StorageType::File {
        return Ok(None);
    }
    let (file, read_only) = (disk_node(disk)?.source, disk.readonly);
    let subject = file.display().to_string();
    let made = in_time(move || LoopDevice::attach(&file, read_only)).await;
    let made = made.ok_or_else(|| {
        let text = format!("no disk was made of '{subject}' within {} s", PATIENCE.as_secs());
        Error::new(ErrorCode::OperationTimeout, text)
            .hint("the storage that holds it does not answer")
    })??;
    let noted = Tree::new(ELEMENT).with("device", made.path().display());
    disk.private = Some(Box::new(Tree { children: vec![noted], ..Tree::default() }));
    Ok(Some(made))
}

/// The device that was made of a disk's file.
pub(crate) fn lent(disk: &Disk) -> Option<&Path> {
    Some(Path::new(disk.private.as_ref()?.child(ELEMENT)?.attr("device")?))
}

/// Sees to it that nothing stays of disks whose container, or whose place in it, is gone.
pub(crate) async fn take_back(disks: &[Disk]) {
    let place = |disk: &Disk| {
        let file = disk.source.as_ref()?.local_path()?;
        Some((lent(disk)?.to_owned(), PathBuf::from(file)))
    };
    let places: Vec<_> = disks.iter().filter_map(place).collect();
    if places.is_empty() {
        return;
    }
    let freed = in_time(move || {
        for (device, file) in places {
            if let Err(cause) = LoopDevice::free(&device, &file) {
                let (device, file) = (device.display(), file.display());
                tracing::warn!("cannot free the loop device '{device}' of '{file}': {cause}");
            }
        }
    });
    if freed.await.is_none() {
        tracing::warn!("storage with disks of a container does not answer: their devices go later");
    }
}

/// Does what waits for storage where that holds nobody up; none if it takes too long.
async fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    timeout(PATIENCE, spawn_blocking(work)).await.ok()?.ok()
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files as disks: each is a loop device of the host while its container runs.
//!
//! The daemon makes the device and the controller keeps it open, so that it goes with the container whoever dies.
//! Which one it is stands in the status file.

use std::path::{Path, PathBuf};

use virtus_api::Result;
use virtus_host::blocking;
use virtus_host::loop_device::LoopDevice;
use virtus_xml::domain::disk::Disk;
use virtus_xml::domain::storage::StorageType;
use virtus_xml::tree::Tree;

use crate::plan::disk_node;

/// The element in the disk's private part.
const ELEMENT: &str = "loop";

/// Makes the device of a disk that is a file, and notes it there. One that is made too late goes at once.
pub(crate) async fn lend(disk: &mut Disk) -> Result<Option<LoopDevice>> {
    disk.private = None;
    if disk.kind != StorageType::File {
        return Ok(None);
    }
    let (file, read_only) = (disk_node(disk)?.source, disk.readonly);
    let what = format!("making a disk of '{}'", file.display());
    let made = blocking::run(&what, move || LoopDevice::attach(&file, read_only)).await?;
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
    let free = move || {
        for (device, file) in places {
            if let Err(cause) = LoopDevice::free(&device, &file) {
                let (device, file) = (device.display(), file.display());
                tracing::warn!("cannot free the loop device '{device}' of '{file}': {cause}");
            }
        }
        Ok(())
    };
    if let Err(error) = blocking::run("freeing the loop devices of a container", free).await {
        tracing::warn!("{error}");
    }
}

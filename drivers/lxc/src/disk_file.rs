// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files as disks: each is a loop device of the host while its container runs.
//!
//! The daemon makes the device and the controller keeps it open, so that it goes with the container whoever dies.
//! Which one it is stands in the status file.

use std::path::Path;

use virtus_api::Result;
use virtus_host::loop_device::LoopDevice;
use virtus_xml::domain::disk::Disk;
use virtus_xml::domain::storage::StorageType;
use virtus_xml::tree::Tree;

use crate::plan::disk_node;

/// The element in the disk's private part.
const ELEMENT: &str = "loop";

/// Makes the device of a disk that is a file, and notes it there.
pub(crate) fn lend(disk: &mut Disk) -> Result<Option<LoopDevice>> {
    disk.private = None;
    if disk.kind != StorageType::File {
        return Ok(None);
    }
    let made = LoopDevice::attach(&disk_node(disk)?.source, disk.readonly)?;
    let noted = Tree::new(ELEMENT).with("device", made.path().display());
    disk.private = Some(Box::new(Tree { children: vec![noted], ..Tree::default() }));
    Ok(Some(made))
}

/// The device that was made of a disk's file.
pub(crate) fn lent(disk: &Disk) -> Option<&Path> {
    Some(Path::new(disk.private.as_ref()?.child(ELEMENT)?.attr("device")?))
}

/// Sees to it that nothing stays of a disk whose container, or whose place in it, is gone.
pub(crate) fn take_back(disk: &Disk) {
    let file = disk.source.as_ref().and_then(|source| source.local_path());
    if let (Some(device), Some(file)) = (lent(disk), file)
        && let Err(cause) = LoopDevice::free(device, Path::new(file))
    {
        tracing::warn!("cannot free the loop device '{}' of '{file}': {cause}", device.display());
    }
}

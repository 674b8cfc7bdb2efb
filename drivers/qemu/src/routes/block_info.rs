// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How large a disk's image is, in use or not; and where a write to it is to raise an event.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use virtus_api::{
    DomainGetBlockInfo, DomainGetBlockInfoReply, DomainSetBlockThreshold, Error, ErrorCode, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::facts::DiskFacts;
use virtus_domain::routes::{check_flags, find};
use virtus_domain::{Job, named};
use virtus_xml::domain::disk::Disk;
use virtus_xml::domain::storage::{ImageFormat, StorageType};

use super::{by, disks};
use crate::driver::QemuDriver;
use crate::guest::{QUERY, WORK};
use crate::image_size::{self, Place, Sizes};
use crate::readings::block::{Node, Readings};

/// How long storage may take to tell a size.
const STORAGE: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(info)).on(by(set_threshold))
}

async fn info(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetBlockInfo,
) -> Result<DomainGetBlockInfoReply> {
    check_flags(request.flags, 0, "virDomainGetBlockInfo")?;
    let (handle, snapshot) = find(&*driver, &request.dom)?;
    let def = snapshot.def()?;
    let disk = named::find_disk(&def, &request.path).ok_or_else(|| {
        Error::new(
            ErrorCode::InvalidArg,
            format!("invalid path {} not assigned to domain", request.path),
        )
        .hint(format!("see the targets with 'virsh domblklist {}'", snapshot.name))
    })?;
    if disk.source.is_none() {
        let text = format!("disk '{}' does not currently have a source assigned", request.path);
        return Err(Error::new(ErrorCode::InvalidArg, text));
    }
    let facts = DiskFacts::of(disk);
    let place = Place::of(&facts);
    let Some(guest) = handle.running() else {
        return Ok(reply(look(disk, place).await?));
    };
    let questions = vec![
        ("query-blockstats", None),
        ("query-named-block-nodes", Some(json!({ "flat": true }))),
    ];
    let mut answers = guest.execute_all(questions, QUERY).await?.into_iter();
    let mut readings = Readings::default();
    if let Some(stats) = answers.next() {
        readings.read_stats(&stats?);
    }
    if let Some(nodes) = answers.next() {
        readings.read_nodes(&nodes?);
    }
    let node = facts.images.first().and_then(|image| disks::node(image, &readings));
    let Some(node) = node else { return Ok(reply(look(disk, place).await?)) };
    let (mut sizes, end_unknown) = in_use(disk, &node);
    if end_unknown && let Ok(seen) = look(disk, place).await {
        sizes.physical = seen.physical;
    }
    Ok(reply(sizes))
}

/// The sizes of an image that QEMU uses, and whether where it ends is better asked of the storage: as libvirt
/// reckons, for which what a guest has written counts only where the image does not grow by it.
fn in_use(disk: &Disk, node: &Node) -> (Sizes, bool) {
    let physical = node.physical.unwrap_or_default();
    let raw_file =
        disk.kind == StorageType::File && matches!(disk.format(), None | Some(ImageFormat::Raw));
    let allocation = match node.highest {
        Some(highest) if !raw_file && highest > 0 => highest,
        _ => physical,
    };
    let sizes = Sizes { capacity: node.capacity.unwrap_or_default(), allocation, physical };
    (sizes, physical == 0 || allocation == physical)
}

async fn look(disk: &Disk, place: Option<Place>) -> Result<Sizes> {
    let target = &disk.target.dev;
    let Some(place) = place else {
        let text = format!("the size of disk '{target}' can only be told while the domain runs");
        return Err(Error::new(ErrorCode::OperationUnsupported, text).hint(
            "its image does not lie on this host; QEMU reads its size when the domain starts",
        ));
    };
    let path = place.path.clone();
    let one = place.clone();
    let end = Instant::now() + STORAGE;
    if let [Some(sizes)] = image_size::look_at_all(vec![place], end).await[..] {
        return Ok(sizes);
    }
    if Instant::now() >= end {
        let text = format!("storage of '{path}' (disk '{target}') did not answer in time");
        return Err(Error::new(ErrorCode::OperationTimeout, text));
    }
    // It answers, but not with a size: say why.
    let cause = tokio::task::spawn_blocking(move || image_size::look(&one));
    match cause.await {
        Ok(Ok(sizes)) => Ok(sizes),
        Ok(Err(cause)) => Err(Error::system(
            format!("cannot tell the size of '{path}' (disk '{target}')"),
            &cause,
        )),
        Err(_) => {
            Err(Error::new(ErrorCode::OperationFailed, format!("looking at '{path}' failed")))
        }
    }
}

fn reply(sizes: Sizes) -> DomainGetBlockInfoReply {
    let Sizes { capacity, allocation, physical } = sizes;
    DomainGetBlockInfoReply { allocation, capacity, physical }
}

async fn set_threshold(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainSetBlockThreshold,
) -> Result<()> {
    check_flags(request.flags, 0, "virDomainSetBlockThreshold")?;
    let (handle, _) = find(&*driver, &request.dom)?;
    handle
        .job(Job::modify("virDomainSetBlockThreshold"), move |context| async move {
            let (guest, live) = (context.running()?, context.live()?);
            let (target, index) = split(&request.dev);
            let disk = named::disk(&live, target)?;
            let images = DiskFacts::of(disk).images;
            let image = match index {
                None => images.first(),
                Some(index) => images.iter().find(|image| image.index == Some(index)),
            };
            let node = image.and_then(disks::storage_node).ok_or_else(|| {
                let text = format!("block device '{}' has no image to watch", request.dev);
                Error::new(ErrorCode::InvalidArg, text)
            })?;
            let arguments = json!({ "node-name": node, "write-threshold": request.threshold });
            guest.execute("block-set-write-threshold", arguments, WORK).await.map(drop)
        })
        .await
}

/// `vda[3]` is image 3 of the disk `vda`.
fn split(device: &str) -> (&str, Option<u32>) {
    let indexed = device.strip_suffix(']').and_then(|rest| rest.split_once('['));
    match indexed.and_then(|(target, index)| Some((target, index.parse().ok()?))) {
        Some((target, index)) => (target, Some(index)),
        None => (device, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_a_chain_is_named_by_its_number() {
        assert_eq!(split("vda[3]"), ("vda", Some(3)));
        assert_eq!(split("vda"), ("vda", None));
        assert_eq!(split("vda[x]"), ("vda[x]", None));
    }

    #[test]
    fn a_raw_file_is_as_large_as_its_blocks() {
        let disk = Disk { kind: StorageType::File, ..Disk::default() };
        let node =
            Node { capacity: Some(100), physical: Some(40), highest: Some(90), threshold: 0 };
        let (sizes, end_unknown) = in_use(&disk, &node);
        assert_eq!(
            (sizes, end_unknown),
            (Sizes { capacity: 100, allocation: 40, physical: 40 }, true)
        );
        let block = Disk { kind: StorageType::Block, ..Disk::default() };
        let (sizes, end_unknown) = in_use(&block, &node);
        assert_eq!((sizes.allocation, end_unknown), (90, false));
    }
}

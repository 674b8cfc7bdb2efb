// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The images of a disk as others see them: nodes for QEMU, references for headers, properties for new images.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::domain::disk::Disk;

pub use super::storage::{Creation, Nbdkit, Reference, Secret, Word};
use super::storage::{Handling, Image, chain};
use super::{Context, Props};

/// One image of a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its nodes, the storage first.
    pub nodes: Vec<Props>,
    /// The storage without secrets and ways of access.
    pub target: Props,
    /// How an overlay refers to it.
    pub reference: Reference,
}

/// The images of a disk, the one that the guest writes to first.
pub fn layers(disk: &Disk, cx: &Context) -> Result<Vec<Layer>> {
    let how = Handling::of(disk);
    let images = chain(disk, cx);
    let layer = |(depth, image): (usize, &Image<'_>)| {
        Ok(Layer {
            nodes: image.nodes(if depth == 0 { how } else { how.below() }, cx)?.nodes,
            target: image.target()?,
            reference: image.reference()?,
        })
    };
    images.iter().enumerate().map(layer).collect()
}

/// How the image of `disk` is made on top of that of `backing`: sizes in bytes, as it lies on its storage and as the
/// guest sees it.
pub fn creation(
    disk: &Disk,
    backing: Option<&Disk>,
    capacity: u64,
    physical: u64,
    cx: &Context,
) -> Result<Creation> {
    let empty = || Error::new(ErrorCode::InvalidArg, "an empty drive has no image");
    let images = chain(disk, cx);
    let below = backing.map(|disk| chain(disk, cx)).unwrap_or_default();
    images.first().ok_or_else(empty)?.creation(below.first(), capacity, physical)
}

/// How nbdkit serves each image of a disk that it can serve, at the socket that `socket` names for it.
pub fn nbdkit(
    disk: &Disk,
    cx: &Context,
    socket: impl Fn(usize) -> String,
) -> Result<Vec<Option<Nbdkit>>> {
    let images = chain(disk, cx);
    let served = images.iter().enumerate().map(|(depth, image)| {
        let run = image.is_served(cx).then(|| image.nbdkit(&socket(depth)));
        run.transpose()
    });
    served.collect()
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The images of a disk, from its definition.

use virtus_xml::domain::disk::{Disk, DiskDevice};
use virtus_xml::domain::hostdev::Hostdev;
use virtus_xml::domain::storage::{
    BackingStore, Format, ImageFormat, MetadataCache, StorageSource, StorageType,
};

use super::{Below, Image, Names};
use crate::plan::context::Context;

/// The images of a disk, the one that the guest writes to first. Empty for an empty drive.
pub(crate) fn chain<'a>(disk: &'a Disk, cx: &'a Context) -> Vec<Image<'a>> {
    let Some(source) = disk.source.as_ref().filter(|source| has_medium(source)) else {
        return Vec::new();
    };
    let driver = disk.driver.as_ref();
    let mut images = vec![Image {
        format: disk.format().unwrap_or(ImageFormat::Raw),
        cache_size: driver.and_then(|driver| cache_size(driver.metadata_cache.as_ref())),
        auth: source.auth.as_deref().or(disk.auth.as_deref()),
        encryption: source.encryption.as_deref().or(disk.encryption.as_deref()),
        read_only: disk.is_readonly(),
        ..plain(disk, cx, disk.kind, source, source.index)
    }];
    let mut next = disk.backing_store.as_deref();
    while let Some(BackingStore { kind, index, format, source, backing_store }) = next {
        let Some(source) = source.as_ref() else {
            set_below(&mut images, Below::Nothing);
            break;
        };
        let image = Image {
            format: format.as_ref().map_or(ImageFormat::Raw, |format| format.kind),
            cache_size: cache_size(
                format.as_ref().and_then(|f: &Format| f.metadata_cache.as_ref()),
            ),
            ..plain(disk, cx, kind.unwrap_or(StorageType::File), source, index.or(source.index))
        };
        set_below(&mut images, Below::Node(image.top_name()));
        images.push(image);
        next = backing_store.as_deref();
    }
    images
}

/// An image that nothing is said about but its place.
fn plain<'a>(
    disk: &Disk,
    cx: &'a Context,
    kind: StorageType,
    source: &'a StorageSource,
    number: Option<u32>,
) -> Image<'a> {
    let data = source.data_store.as_ref().and_then(|data| {
        let below = data.source.as_ref()?;
        let kind = data.kind.unwrap_or(StorageType::File);
        let format = data.format.as_ref().map_or(ImageFormat::Raw, |format| format.kind);
        let image = plain(disk, cx, kind, below, below.index);
        Some(Box::new(Image { format, read_only: disk.is_readonly(), ..image }))
    });
    let number = number.unwrap_or(0);
    Image {
        device: disk.device,
        data,
        fds: source.fdgroup.as_ref().and_then(|group| cx.fd_groups.get(group)),
        force_format: cx.format_nodes,
        ..Image::at(kind, source, Names::numbered(number, source), number)
    }
}

impl<'a> Image<'a> {
    /// A raw image that nothing is said about but its place.
    pub(crate) fn at(
        kind: StorageType,
        source: &'a StorageSource,
        names: Names<'a>,
        number: u32,
    ) -> Self {
        Image {
            names,
            number,
            kind,
            source,
            format: ImageFormat::Raw,
            cache_size: None,
            auth: source.auth.as_deref(),
            encryption: source.encryption.as_deref(),
            read_only: true,
            device: DiskDevice::Disk,
            below: Below::Unknown,
            data: None,
            fds: None,
            fd_set: None,
            force_format: false,
        }
    }

    /// What is behind a SCSI device of the host.
    pub(crate) fn behind(
        hostdev: &Hostdev,
        kind: StorageType,
        source: &'a StorageSource,
        number: u32,
    ) -> Self {
        let names = Names::host_device(number, source);
        Image { read_only: hostdev.readonly, ..Self::at(kind, source, names, number) }
    }
}

fn cache_size(cache: Option<&MetadataCache>) -> Option<u64> {
    cache.and_then(|cache| cache.max_size.as_ref()).map(|size| size.0)
}

fn set_below(images: &mut [Image<'_>], below: Below) {
    if let Some(image) = images.last_mut() {
        image.below = below;
    }
}

/// Whether a source names any data.
pub(crate) fn has_medium(source: &StorageSource) -> bool {
    source.local_path().is_some()
        || source.protocol.is_some()
        || source.pool.is_some()
        || source.address.is_some()
        || source.path.is_some()
}

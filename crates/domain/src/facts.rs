// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What of a definition is asked of thousands of machines at once: by `virDomainGetInfo`, and by statistics.

use virtus_xml::Domain;
use virtus_xml::domain::disk::Disk;
use virtus_xml::domain::storage::{BackingStore, ImageFormat, StorageType};

/// The short form of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The memory that the guest can have, in KiB.
    pub max_memory: u64,
    /// The memory that the guest has, in KiB.
    pub memory: u64,
    /// How many vCPUs the guest can have.
    pub max_vcpus: u32,
    /// How many vCPUs the guest has.
    pub vcpus: u32,
    pub disks: Box<[DiskFacts]>,
}

/// A disk and its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFacts {
    /// What the guest calls it.
    pub target: Box<str>,
    /// What the hypervisor calls it while the guest runs.
    pub alias: Option<Box<str>>,
    /// The images, the one that the guest writes to first.
    pub images: Box<[Image]>,
    /// How the first image is laid out, if it is a file or a device of this host.
    pub local: Option<ImageFormat>,
}

/// One image of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub path: Option<Box<str>>,
    /// Its number among all images of the guest.
    pub index: Option<u32>,
}

impl Facts {
    #[must_use]
    pub fn of(def: &Domain) -> Self {
        let vcpu = def.vcpu.as_ref();
        let max_vcpus = vcpu.map_or(1, |vcpu| vcpu.max);
        Self {
            max_memory: def.memory.kib,
            memory: def.current_memory.as_ref().map_or(def.memory.kib, |current| current.0),
            max_vcpus,
            vcpus: vcpu.and_then(|vcpu| vcpu.current).unwrap_or(max_vcpus),
            disks: def.devices.disks.iter().map(DiskFacts::of).collect(),
        }
    }
}

impl DiskFacts {
    #[must_use]
    pub fn of(disk: &Disk) -> Self {
        Self {
            target: disk.target.dev.as_str().into(),
            alias: disk.info.alias.as_deref().map(Into::into),
            images: images(disk).into(),
            local: local(disk),
        }
    }
}

fn images(disk: &Disk) -> Vec<Image> {
    let Some(source) = &disk.source else { return Vec::new() };
    let mut images = vec![Image { path: source.local_path().map(Into::into), index: source.index }];
    let mut next = disk.backing_store.as_deref();
    while let Some(BackingStore { index, source: Some(source), backing_store, .. }) = next {
        let index = index.or(source.index);
        images.push(Image { path: source.local_path().map(Into::into), index });
        next = backing_store.as_deref();
    }
    images
}

fn local(disk: &Disk) -> Option<ImageFormat> {
    let source = disk.source.as_ref()?;
    let path = match disk.kind {
        StorageType::File => &source.file,
        StorageType::Block => &source.dev,
        _ => return None,
    };
    path.is_some().then(|| disk.format().unwrap_or(ImageFormat::Raw))
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The images of a disk, and their names in QEMU.

use virtus_xml::domain::disk::Disk;
use virtus_xml::domain::storage::BackingStore;

use crate::readings::block::{Node, Readings};

/// One image of a disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image<'def> {
    pub(super) path: Option<&'def str>,
    /// Its number among all images of the guest.
    pub(super) index: Option<u32>,
}

/// The images of a disk, the one that the guest writes to first.
pub(super) fn chain(disk: &Disk) -> Vec<Image<'_>> {
    let Some(source) = &disk.source else { return Vec::new() };
    let mut images = vec![Image { path: source.local_path(), index: source.index }];
    let mut next = disk.backing_store.as_deref();
    while let Some(BackingStore { index, source: Some(source), backing_store, .. }) = next {
        let index = index.or(source.index);
        images.push(Image { path: source.local_path(), index });
        next = backing_store.as_deref();
    }
    images
}

impl Image<'_> {
    /// What QEMU says of it: its size by the node of its format, its end by that of its storage.
    pub(super) fn node(&self, readings: &Readings) -> Option<Node> {
        let number = self.index?;
        let node = |layer: &str| readings.nodes.get(&format!("libvirt-{number}-{layer}")).copied();
        let storage = node("storage");
        let mut node = node("format").or(storage)?;
        if let Some(storage) = storage {
            node.highest = storage.highest.or(node.highest);
            node.threshold = storage.threshold.max(node.threshold);
        }
        Some(node)
    }

    /// The node whose writes are watched.
    pub(super) fn storage_node(&self) -> Option<String> {
        self.index.map(|number| format!("libvirt-{number}-storage"))
    }
}

#[cfg(test)]
mod tests {
    use virtus_xml::{Domain, ParseFlags};

    use super::*;
    use crate::readings::recorded::reply;

    const GUEST: &str = "<domain type='qemu'><name>g</name><memory>1</memory>\
        <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>\
        <disk type='file'><source file='/images/top.qcow2' index='2'/>\
        <backingStore type='file' index='3'><format type='qcow2'/>\
        <source file='/images/base.qcow2'/><backingStore/></backingStore>\
        <target dev='vda' bus='virtio'/></disk>\
        <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk></devices></domain>";

    #[test]
    fn every_image_of_a_chain_has_its_nodes() {
        let def = Domain::parse(GUEST, ParseFlags::empty()).unwrap().value;
        let mut readings = Readings::default();
        readings.read_stats(&reply("blockstats"));
        readings.read_nodes(&reply("named-block-nodes"));
        let images = chain(&def.devices.disks[0]);
        assert_eq!(images.len(), 2);
        assert_eq!(images[1].path, Some("/images/base.qcow2"));
        let nodes: Vec<_> = images.iter().map(|image| image.node(&readings).unwrap()).collect();
        assert_eq!(nodes[0].capacity, Some(16_777_216));
        assert_eq!((nodes[1].highest, nodes[1].capacity), (Some(0), Some(16_777_216)));
        assert!(chain(&def.devices.disks[1]).is_empty());
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The images of disks as QEMU knows them.

use virtus_domain::facts::Image;

use crate::readings::block::{Node, Readings};

/// What QEMU says of an image: its size by the node of its format, its end by that of its storage.
pub(super) fn node(image: &Image, readings: &Readings) -> Option<Node> {
    let number = image.index?;
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
pub(super) fn storage_node(image: &Image) -> Option<String> {
    image.index.map(|number| format!("libvirt-{number}-storage"))
}

#[cfg(test)]
mod tests {
    use virtus_domain::facts::DiskFacts;
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
        let images = DiskFacts::of(&def.devices.disks[0]).images;
        assert_eq!(images.len(), 2);
        assert_eq!(images[1].path.as_deref(), Some("/images/base.qcow2"));
        let nodes: Vec<_> = images.iter().map(|image| node(image, &readings).unwrap()).collect();
        assert_eq!(nodes[0].capacity, Some(16_777_216));
        assert_eq!((nodes[1].highest, nodes[1].capacity), (Some(0), Some(16_777_216)));
        assert!(DiskFacts::of(&def.devices.disks[1]).images.is_empty());
    }
}

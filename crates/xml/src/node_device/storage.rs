// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<capability type='storage'>`: a block device. A removable one says how large its medium is.

use virtus_api::Result;

use super::capability::{Kind, Sub, sub_capabilities};
use crate::reader::Node;

part! {
    /// A block device.
    pub struct StorageDevice {
        needed block: String = "block",
        leaf bus: Option<String> = "bus",
        leaf drive_type: Option<String> = "drive_type",
        leaf model: Option<String> = "model",
        leaf vendor: Option<String> = "vendor",
        leaf serial: Option<String> = "serial",
        part removable: Sub<Removable>,
        leaf size: Option<u64> = "size",
        part blocks: Blocks,
        part hotpluggable: Sub<Hotpluggable>
    }
    schema { pieces (sub_capabilities!(Removable, Hotpluggable)) }
}

part! {
    /// How a medium is divided.
    pub struct Blocks {
        leaf logical_size: Option<u64> = "logical_block_size",
        leaf count: Option<u64> = "num_blocks"
    }
}

part! {
    /// The medium can be taken out.
    pub struct Removable {
        leaf available: u8 = "media_available",
        needed size: u64 = "media_size",
        leaf label: Option<String> = "media_label",
        part blocks: Blocks
    }
    schema { one_leaf u8 = "media_available" }
}

part! {
    /// The device can be taken out.
    pub struct Hotpluggable {}
}

impl StorageDevice {
    /// States into how many blocks of `logical_size` bytes the medium is divided.
    pub fn divide(&mut self, logical_size: u64) {
        let (size, blocks) = match &mut self.removable.0 {
            Some(removable) => (removable.size, &mut removable.blocks),
            None => (self.size.unwrap_or_default(), &mut self.blocks),
        };
        blocks.logical_size = Some(logical_size).filter(|size| *size > 0);
        blocks.count = size.checked_div(logical_size).filter(|count| *count > 0);
    }
}

impl Kind for StorageDevice {
    const KIND: &'static str = "storage";

    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.removable.0.is_some() {
            (self.size, self.blocks) = (None, Blocks::default());
        } else if self.size.is_none() {
            return Err(node.missing_child("size"));
        }
        Ok(())
    }
}

impl Kind for Removable {
    const KIND: &'static str = "removable";
}

impl Kind for Hotpluggable {
    const KIND: &'static str = "hotpluggable";
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Mediated devices: `<capability type='mdev'>`, and the types of them that a device can make.

use uuid::Uuid;
use virtus_api::Result;

use super::capability::Kind;
use super::pci::IommuGroup;
use crate::reader::Node;
use crate::schema::kinds;
use crate::slot::Reported;

part! {
    /// A mediated device.
    pub struct Mdev {
        child kind: Option<MdevTypeId> = "type",
        leaf uuid: Option<Uuid> = "uuid",
        /// The parent's address; the host knows it.
        child parent_address: Reported<ParentAddress> = "parent_addr",
        child iommu_group: Option<IommuGroup> = "iommuGroup",
        child attributes: Vec<MdevAttribute> = "attr"
    }
    schema { one MdevTypeId = "type", child (required u32 = "number") = "iommuGroup" }
}

element! {
    /// `<type id='…'/>`.
    pub struct MdevTypeId { required id: String = "id" }
}

element! {
    /// `<parent_addr>`.
    pub struct ParentAddress { text address: String }
}

element! {
    /// `<attr>`: what is written into the device's sysfs file `name`; the order counts.
    pub struct MdevAttribute {
        required name: String = "name",
        required value: String = "value"
    }
}

part! {
    /// The types of mediated devices that a device can make.
    pub struct MdevTypes { child types: Vec<MdevType> = "type" }
}

element! {
    /// `<type>`.
    pub struct MdevType {
        required id: String = "id",
        leaf name: Option<String> = "name",
        needed device_api: String = "deviceAPI",
        needed available_instances: u32 = "availableInstances"
    }
    schema { one_leaf kinds::MdevModel = "deviceAPI" }
}

impl Kind for Mdev {
    const KIND: &'static str = "mdev";

    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.kind.is_none() {
            return Err(node.missing_child("type"));
        }
        self.iommu_group.get_or_insert_default().addresses.clear();
        Ok(())
    }
}

impl Kind for MdevTypes {
    const KIND: &'static str = "mdev_types";
}

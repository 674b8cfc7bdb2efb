// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<capability type='vpd'>`: the vital product data that a PCI device carries.

use virtus_api::Result;

use super::capability::Kind;
use crate::reader::Node;
use crate::schema::kinds;

part! {
    /// Vital product data.
    pub struct Vpd {
        needed name: String = "name",
        block fields: Vec<VpdFields> = "fields"
    }
}

element! {
    /// `<fields>`. Only what can be written has an asset tag and fields of the system.
    pub struct VpdFields {
        required access: VpdAccess = "access",
        leaf change_level: Option<String> = "change_level",
        leaf manufacture_id: Option<String> = "manufacture_id",
        leaf part_number: Option<String> = "part_number",
        leaf serial_number: Option<String> = "serial_number",
        leaf asset_tag: Option<String> = "asset_tag",
        child vendor: Vec<VpdField> = "vendor_field",
        child system: Vec<VpdField> = "system_field"
    }
}

spellings! {
    /// Whether fields can be changed.
    pub enum VpdAccess { ReadOnly = "readonly", ReadWrite = "readwrite" }
}

element! {
    /// A field without a name of its own.
    pub struct VpdField {
        required index: String = "index",
        text value: String
    }
    schema { required kinds::VpdIndex = "index" }
}

impl Kind for Vpd {
    const KIND: &'static str = "vpd";

    fn check(&mut self, node: Node<'_>) -> Result<()> {
        for fields in &mut self.fields {
            match fields.access {
                VpdAccess::ReadOnly => {
                    fields.asset_tag = None;
                    fields.system.clear();
                }
                VpdAccess::ReadWrite => {
                    (fields.change_level, fields.manufacture_id) = (None, None);
                    (fields.part_number, fields.serial_number) = (None, None);
                }
            }
            if let Some(field) =
                fields.vendor.iter().chain(&fields.system).find(|field| field.index.len() != 1)
            {
                return Err(node.error(format_args!(
                    "the index '{}' of a field is not one character",
                    field.index
                )));
            }
        }
        self.fields.sort_by_key(|fields| fields.access);
        Ok(())
    }
}

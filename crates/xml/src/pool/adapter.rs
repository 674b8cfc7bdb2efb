// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<adapter>`: the SCSI or Fibre Channel host bus adapter behind a pool.

use virtus_api::Result;

use super::xml_error;
use crate::domain::address::PciAddress;
use crate::schema::kinds;
use crate::value::YesNo;

spellings! {
    /// What an adapter is named by.
    pub enum AdapterType { ScsiHost = "scsi_host", FcHost = "fc_host" }
}

element! {
    /// `<adapter>`. `type` was added later: a name alone means a `scsi_host`.
    pub struct Adapter {
        attr kind: Option<AdapterType> = "type",
        attr name: Option<String> = "name",
        attr parent: Option<String> = "parent",
        attr parent_wwnn: Option<String> = "parent_wwnn",
        attr parent_wwpn: Option<String> = "parent_wwpn",
        attr parent_fabric_wwn: Option<String> = "parent_fabric_wwn",
        attr managed: Option<YesNo> = "managed",
        attr wwnn: Option<String> = "wwnn",
        attr wwpn: Option<String> = "wwpn",
        child parentaddr: Option<ParentAddress> = "parentaddr"
    }
    schema {
        attr kinds::Wwn = "parent_wwnn",
        attr kinds::Wwn = "parent_wwpn",
        attr kinds::Wwn = "parent_fabric_wwn",
        attr kinds::Wwn = "wwnn",
        attr kinds::Wwn = "wwpn"
    }
}

element! {
    /// `<parentaddr>`: the PCI device of a `scsi_host`, which keeps its place when host numbers change.
    pub struct ParentAddress {
        required unique_id: u32 = "unique_id",
        child address: Option<PciAddress> = "address"
    }
    schema { one PciAddress = "address" }
}

impl Adapter {
    /// Fills in the type, drops what it has no use for, refuses what names no adapter.
    pub(super) fn settle(&mut self) -> Result<()> {
        match self.kind {
            None => self.settle_untyped(),
            Some(AdapterType::ScsiHost) => {
                *self = Self {
                    kind: self.kind,
                    name: self.name.take(),
                    parentaddr: self.parentaddr.take(),
                    ..Self::default()
                };
                self.check_scsi_host()
            }
            Some(AdapterType::FcHost) => {
                (self.name, self.parentaddr) = (None, None);
                self.check_fc_host()
            }
        }
    }

    fn settle_untyped(&mut self) -> Result<()> {
        if self.wwnn.is_some() || self.wwpn.is_some() || self.parent.is_some() {
            return Err(xml_error(
                "Use of 'wwnn', 'wwpn', and 'parent' attributes requires use of the adapter 'type'",
            ));
        }
        if self.parentaddr.is_some() {
            return Err(xml_error(
                "Use of 'parentaddr' element requires use of the adapter 'type'",
            ));
        }
        if self.name.is_none() {
            return Err(missing());
        }
        self.kind = Some(AdapterType::ScsiHost);
        Ok(())
    }

    fn check_scsi_host(&self) -> Result<()> {
        match (&self.name, &self.parentaddr) {
            (None, None) => Err(xml_error(
                "Either 'name' or 'parent' must be specified for the 'scsi_host' adapter",
            )),
            (Some(_), Some(_)) => Err(xml_error(
                "Both 'name' and 'parent' cannot be specified for the 'scsi_host' adapter",
            )),
            (None, Some(ParentAddress { address: None, .. })) => {
                Err(xml_error("Missing scsi_host PCI address element"))
            }
            _ => Ok(()),
        }
    }

    fn check_fc_host(&self) -> Result<()> {
        if self.wwnn.is_none() || self.wwpn.is_none() {
            return Err(xml_error("'wwnn' and 'wwpn' must be specified for adapter type 'fchost'"));
        }
        match (&self.parent_wwnn, &self.parent_wwpn) {
            (Some(name), None) => {
                return Err(xml_error(format!(
                    "when providing parent_wwnn='{name}', the parent_wwpn must also be provided"
                )));
            }
            (None, Some(name)) => {
                return Err(xml_error(format!(
                    "when providing parent_wwpn='{name}', the parent_wwnn must also be provided"
                )));
            }
            _ => {}
        }
        [&self.wwnn, &self.wwpn, &self.parent_wwnn, &self.parent_wwpn, &self.parent_fabric_wwn]
            .into_iter()
            .flatten()
            .try_for_each(|name| check_world_wide_name(name))
    }
}

/// The error for a pool that needs an adapter.
pub(super) fn missing() -> virtus_api::Error {
    xml_error("missing storage pool source adapter")
}

/// A world wide name is 64 bits in hexadecimal.
fn check_world_wide_name(name: &str) -> Result<()> {
    let digits = name.strip_prefix("0x").unwrap_or(name);
    if digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(())
    } else {
        Err(xml_error(format!("Malformed wwn: {name}")).hint("a WWN is 16 hexadecimal digits"))
    }
}

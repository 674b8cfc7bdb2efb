// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SCSI: host adapters, targets, logical units and their generic interface.

use virtus_api::Result;

use super::capability::{Kind, Sub, sub_capabilities};
use crate::reader::Node;
use crate::schema::kinds;
use crate::slot::Reported;

part! {
    /// A host bus adapter.
    pub struct ScsiHost {
        /// Its number; a new one has none.
        leaf host: Option<u32> = "host",
        leaf unique_id: Option<u32> = "unique_id",
        part fc_host: Sub<FcHost>,
        part vports: Sub<VportOps>
    }
    schema { pieces (sub_capabilities!(FcHost, VportOps)), one_leaf u32 = "host" }
}

part! {
    /// A Fibre Channel port and its world wide names.
    pub struct FcHost {
        leaf wwnn: Option<String> = "wwnn",
        leaf wwpn: Option<String> = "wwpn",
        leaf fabric_wwn: Option<String> = "fabric_wwn"
    }
    schema {
        one_leaf kinds::Wwn = "wwnn",
        one_leaf kinds::Wwn = "wwpn",
        leaf kinds::Wwn = "fabric_wwn"
    }
}

part! {
    /// The port can make virtual ones.
    pub struct VportOps {
        frame max_vports: Reported<Count> = "max_vports",
        frame vports: Reported<Count> = "vports"
    }
    schema { one Count = "max_vports", one Count = "vports" }
}

element! {
    /// An element that is a number.
    pub struct Count { text number: u32 }
}

part! {
    /// A target.
    pub struct ScsiTarget {
        needed target: String = "target",
        part remote_port: Sub<FcRemotePort>
    }
    schema { pieces (sub_capabilities!(FcRemotePort)) }
}

part! {
    /// The remote port at which a target is.
    pub struct FcRemotePort {
        needed rport: String = "rport",
        needed wwpn: String = "wwpn"
    }
    schema { one_leaf kinds::Wwn = "wwpn" }
}

part! {
    /// A logical unit.
    pub struct ScsiDevice {
        needed host: u32 = "host",
        needed bus: u32 = "bus",
        needed target: u32 = "target",
        needed lun: u32 = "lun",
        leaf kind: Option<String> = "type"
    }
}

part! {
    /// The generic interface of a logical unit.
    pub struct ScsiGeneric { needed path: String = "char" }
}

impl Kind for ScsiHost {
    const KIND: &'static str = "scsi_host";

    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.host.is_none() && !node.is_new() {
            return Err(node.missing_child("host"));
        }
        Ok(())
    }
}

impl Kind for FcHost {
    const KIND: &'static str = "fc_host";
}

impl Kind for VportOps {
    const KIND: &'static str = "vport_ops";
}

impl Kind for ScsiTarget {
    const KIND: &'static str = "scsi_target";
}

impl Kind for FcRemotePort {
    const KIND: &'static str = "fc_remote_port";
}

impl Kind for ScsiDevice {
    const KIND: &'static str = "scsi";
}

impl Kind for ScsiGeneric {
    const KIND: &'static str = "scsi_generic";
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Virtual ports of Fibre Channel adapters: what makes one, and under which adapter.

use std::sync::Arc;

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_xml::NodeDevice;
use virtus_xml::node_device::Capability;
use virtus_xml::node_device::scsi::{FcHost, ScsiHost};

use crate::collection::Collection;
use crate::object::{Snapshot, not_found};

fn scsi_host(device: &NodeDevice) -> Option<&ScsiHost> {
    device.capabilities.iter().find_map(|capability| match capability {
        Capability::ScsiHost(host) => Some(&**host),
        _ => None,
    })
}

/// The Fibre Channel port of a host adapter.
pub(super) fn fc_host(device: &NodeDevice) -> Option<&FcHost> {
    scsi_host(device)?.fc_host.0.as_ref()
}

fn makes_vports(device: &NodeDevice) -> bool {
    scsi_host(device).is_some_and(|host| host.vports.0.is_some())
}

/// Whether `def` asks for a virtual port.
///
/// # Errors
/// `VIR_ERR_CONFIG_UNSUPPORTED` if it asks for anything else.
pub fn check_vport(def: &NodeDevice) -> Result<&FcHost> {
    fc_host(def).ok_or_else(|| {
        Error::new(ErrorCode::ConfigUnsupported, "Device is not a fibre channel HBA")
            .in_domain(ErrorDomain::Nodedev)
    })
}

/// The adapter under which `def` is to be made: the one that it names, by its own name or those of its port or
/// fabric, or else the first that can make virtual ports.
///
/// # Errors
/// `VIR_ERR_NO_NODE_DEVICE` if there is none; `VIR_ERR_OPERATION_UNSUPPORTED` if the one named makes no such ports.
pub fn vport_parent(
    def: &NodeDevice,
    devices: &Collection<NodeDevice>,
) -> Result<Arc<Snapshot<NodeDevice>>> {
    let wanted = def.parent.clone().unwrap_or_default();
    let same = |asked: &Option<String>, is: &Option<String>| asked.is_none() || asked == is;
    let fits = |device: &Snapshot<NodeDevice>| {
        let Some(live) = &device.live else { return false };
        if let Some(name) = &wanted.name {
            return **name == *device.name;
        }
        makes_vports(live)
            && fc_host(live).is_some_and(|port| {
                same(&wanted.wwnn, &port.wwnn)
                    && same(&wanted.wwpn, &port.wwpn)
                    && same(&wanted.fabric_wwn, &port.fabric_wwn)
            })
    };
    let found = devices.select(fits);
    let parent = found.first().cloned().ok_or_else(|| {
        not_found::<NodeDevice>(format!("Could not find parent device for '{}'", def.name))
    })?;
    if !makes_vports(parent.def()?) {
        let text = format!("Parent device {} is not capable of vport operations", parent.name);
        let error = Error::new(ErrorCode::OperationUnsupported, text);
        return Err(error.in_domain(ErrorDomain::Nodedev));
    }
    Ok(parent)
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which devices there are, and what is known of them. Read from snapshots; never waits.

use std::sync::Arc;

use virtus_api::{
    ConnectListAllNodeDeviceFlags as Filter, ConnectListAllNodeDevices,
    ConnectListAllNodeDevicesReply, NodeDeviceGetParent, NodeDeviceGetXmlDesc, NodeDeviceIsActive,
    NodeDeviceIsPersistent, NodeDeviceListCaps, NodeDeviceLookupByName,
    NodeDeviceLookupScsiHostByWwn, NodeDeviceNumOfCaps, NodeDeviceRef, NodeDeviceXmlFlags,
    NodeListDevices, NodeNumOfDevices, Result,
};
use virtus_core::Call;
use virtus_core::flags::{check_flags, passes};
use virtus_xml::{Document, FormatFlags, NodeDevice};

use super::{HasDevices, capability, vport};
use crate::list::{count, names, whole};
use crate::object::{Snapshot, not_found};

/// Whether a device is there and, if a capability is named, has it.
fn offers(device: &Snapshot<NodeDevice>, cap: Option<&str>) -> bool {
    let Some(live) = &device.live else { return false };
    cap.is_none_or(|cap| capability::names(live).contains(&cap))
}

pub(super) async fn num_of_devices<D: HasDevices>(
    driver: Arc<D>,
    _: Call,
    request: NodeNumOfDevices,
) -> Result<i32> {
    check_flags(request.flags, 0, "virNodeNumOfDevices")?;
    let cap = request.cap.as_deref();
    Ok(count(driver.devices().collection.select(|device| offers(device, cap)).len()))
}

pub(super) async fn list_devices<D: HasDevices>(
    driver: Arc<D>,
    _: Call,
    request: NodeListDevices,
) -> Result<Vec<String>> {
    check_flags(request.flags, 0, "virNodeListDevices")?;
    let cap = request.cap.as_deref();
    let found = driver.devices().collection.select(|device| offers(device, cap));
    Ok(names(&found, request.maxnames))
}

pub(super) async fn list_all<D: HasDevices>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListAllNodeDevices,
) -> Result<ConnectListAllNodeDevicesReply> {
    let flags = request.flags;
    check_flags(flags, Filter::all().bits(), "virConnectListAllNodeDevices")?;
    let group =
        |yes: Filter, no: Filter, is: bool| passes(flags, [(yes.bits(), is), (no.bits(), !is)]);
    let fits = |device: &Snapshot<NodeDevice>| {
        group(Filter::ACTIVE, Filter::INACTIVE, device.is_active())
            && group(Filter::PERSISTENT, Filter::TRANSIENT, device.is_persistent())
            && device.def().is_ok_and(|def| passes(flags, capability::group(def)))
    };
    let found = driver.devices().collection.select(fits);
    let found = found.iter().map(|device| device.device_ref()).collect();
    let (devices, ret) = whole(request.need_results, found);
    Ok(ConnectListAllNodeDevicesReply { devices, ret })
}

pub(super) async fn lookup_by_name<D: HasDevices>(
    driver: Arc<D>,
    _: Call,
    request: NodeDeviceLookupByName,
) -> Result<NodeDeviceRef> {
    Ok(driver.devices().find(&request.name)?.1.device_ref())
}

pub(super) async fn lookup_scsi_host_by_wwn<D: HasDevices>(
    driver: Arc<D>,
    _: Call,
    request: NodeDeviceLookupScsiHostByWwn,
) -> Result<NodeDeviceRef> {
    check_flags(request.flags, 0, "virNodeDeviceLookupSCSIHostByWWN")?;
    let (wwnn, wwpn) = (request.wwnn.as_str(), request.wwpn.as_str());
    let fits = |device: &Snapshot<NodeDevice>| {
        let port = device.live.as_deref().and_then(vport::fc_host);
        port.is_some_and(|port| {
            (port.wwnn.as_deref(), port.wwpn.as_deref()) == (Some(wwnn), Some(wwpn))
        })
    };
    let found = driver.devices().collection.select(fits);
    found.first().map(|device| device.device_ref()).ok_or_else(|| {
        let text = format!("no SCSI host with matching wwnn '{wwnn}' and wwpn '{wwpn}'");
        not_found::<NodeDevice>(text)
    })
}

pub(super) async fn get_xml<D: HasDevices>(
    driver: Arc<D>,
    _: Call,
    request: NodeDeviceGetXmlDesc,
) -> Result<String> {
    check_flags(request.flags, NodeDeviceXmlFlags::all().bits(), "virNodeDeviceGetXMLDesc")?;
    let (_, device) = driver.devices().find(&request.name)?;
    let inactive = request.flags & NodeDeviceXmlFlags::INACTIVE.bits() != 0;
    Ok(match device.persistent.as_ref().filter(|_| inactive) {
        Some(def) => def.format(FormatFlags::INACTIVE),
        None => device.def()?.format(FormatFlags::empty()),
    })
}

pub(super) async fn get_parent<D: HasDevices>(
    driver: Arc<D>,
    _: Call,
    request: NodeDeviceGetParent,
) -> Result<Option<String>> {
    let (_, device) = driver.devices().find(&request.name)?;
    Ok(device.def()?.parent.as_ref().and_then(|parent| parent.name.clone()))
}

pub(super) async fn num_of_caps<D: HasDevices>(
    driver: Arc<D>,
    _: Call,
    request: NodeDeviceNumOfCaps,
) -> Result<i32> {
    let (_, device) = driver.devices().find(&request.name)?;
    Ok(count(capability::names(device.def()?).len()))
}

pub(super) async fn list_caps<D: HasDevices>(
    driver: Arc<D>,
    _: Call,
    request: NodeDeviceListCaps,
) -> Result<Vec<String>> {
    let (_, device) = driver.devices().find(&request.name)?;
    let max = usize::try_from(request.maxnames).unwrap_or_default();
    Ok(capability::names(device.def()?).into_iter().take(max).map(str::to_owned).collect())
}

pub(super) async fn is_active<D: HasDevices>(
    driver: Arc<D>,
    _: Call,
    request: NodeDeviceIsActive,
) -> Result<i32> {
    Ok(driver.devices().find(&request.name)?.1.is_active().into())
}

pub(super) async fn is_persistent<D: HasDevices>(
    driver: Arc<D>,
    _: Call,
    request: NodeDeviceIsPersistent,
) -> Result<i32> {
    Ok(driver.devices().find(&request.name)?.1.is_persistent().into())
}

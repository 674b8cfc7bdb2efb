// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which networks there are, and what is known of them. Read from snapshots; never waits.

use std::sync::Arc;

use virtus_api::{
    ConnectListAllNetworks, ConnectListAllNetworksFlags as Filter, ConnectListAllNetworksReply,
    ConnectListDefinedNetworks, ConnectListNetworks, ConnectNumOfDefinedNetworks,
    ConnectNumOfNetworks, Error, ErrorCode, NetworkGetAutostart, NetworkGetBridgeName,
    NetworkGetXmlDesc, NetworkIsActive, NetworkIsPersistent, NetworkLookupByName,
    NetworkLookupByUuid, NetworkRef, NetworkXmlFlags, Result,
};
use virtus_core::Call;
use virtus_core::flags::{check_flags, passes};
use virtus_xml::{Document, FormatFlags, Network};

use super::HasNetworks;
use crate::list::{count, names, whole};
use crate::object::Snapshot;

pub(super) async fn num_of_networks<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    _: ConnectNumOfNetworks,
) -> Result<i32> {
    Ok(count(driver.networks().collection.select(Snapshot::is_active).len()))
}

pub(super) async fn list_networks<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListNetworks,
) -> Result<Vec<String>> {
    Ok(names(&driver.networks().collection.select(Snapshot::is_active), request.maxnames))
}

pub(super) async fn num_of_defined_networks<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    _: ConnectNumOfDefinedNetworks,
) -> Result<i32> {
    Ok(count(driver.networks().collection.select(|network| !network.is_active()).len()))
}

pub(super) async fn list_defined_networks<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListDefinedNetworks,
) -> Result<Vec<String>> {
    let inactive = driver.networks().collection.select(|network| !network.is_active());
    Ok(names(&inactive, request.maxnames))
}

pub(super) async fn list_all<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListAllNetworks,
) -> Result<ConnectListAllNetworksReply> {
    check_flags(request.flags, Filter::all().bits(), "virConnectListAllNetworks")?;
    let found = driver.networks().collection.select(|network| fits(request.flags, network));
    let found = found.iter().map(|network| network.network_ref()).collect();
    let (nets, ret) = whole(request.need_results, found);
    Ok(ConnectListAllNetworksReply { nets, ret })
}

fn fits(flags: u32, network: &Snapshot<Network>) -> bool {
    let group =
        |yes: Filter, no: Filter, is: bool| passes(flags, [(yes.bits(), is), (no.bits(), !is)]);
    group(Filter::ACTIVE, Filter::INACTIVE, network.is_active())
        && group(Filter::PERSISTENT, Filter::TRANSIENT, network.is_persistent())
        && group(Filter::AUTOSTART, Filter::NO_AUTOSTART, network.autostart)
}

pub(super) async fn lookup_by_name<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkLookupByName,
) -> Result<NetworkRef> {
    Ok(driver.networks().collection.lookup_name(&request.name)?.1.network_ref())
}

pub(super) async fn lookup_by_uuid<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkLookupByUuid,
) -> Result<NetworkRef> {
    Ok(driver.networks().collection.lookup_uuid(request.uuid)?.1.network_ref())
}

pub(super) async fn is_active<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkIsActive,
) -> Result<i32> {
    Ok(driver.networks().find(&request.net)?.1.is_active().into())
}

pub(super) async fn is_persistent<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkIsPersistent,
) -> Result<i32> {
    Ok(driver.networks().find(&request.net)?.1.is_persistent().into())
}

pub(super) async fn get_autostart<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkGetAutostart,
) -> Result<i32> {
    Ok(driver.networks().find(&request.net)?.1.autostart.into())
}

pub(super) async fn get_xml<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkGetXmlDesc,
) -> Result<String> {
    check_flags(request.flags, NetworkXmlFlags::all().bits(), "virNetworkGetXMLDesc")?;
    let (_, network) = driver.networks().find(&request.net)?;
    let inactive = request.flags & NetworkXmlFlags::INACTIVE.bits() != 0;
    let persistent = network.persistent.as_ref().filter(|_| inactive);
    let flags = if inactive { FormatFlags::INACTIVE } else { FormatFlags::empty() };
    Ok(match persistent {
        Some(def) => def.format(flags),
        None => network.def()?.format(flags),
    })
}

pub(super) async fn get_bridge_name<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkGetBridgeName,
) -> Result<String> {
    let (_, network) = driver.networks().find(&request.net)?;
    network.def()?.bridge.name.clone().ok_or_else(|| {
        let text = format!("network '{}' does not have a bridge name.", network.name);
        Error::new(ErrorCode::OperationInvalid, text)
    })
}

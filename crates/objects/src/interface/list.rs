// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which interfaces there are, and what is known of them. Read from snapshots; never waits.

use std::sync::Arc;

use virtus_api::{
    ConnectListAllInterfaces, ConnectListAllInterfacesFlags as Filter,
    ConnectListAllInterfacesReply, ConnectListDefinedInterfaces, ConnectListInterfaces,
    ConnectNumOfDefinedInterfaces, ConnectNumOfInterfaces, Error, ErrorCode, InterfaceGetXmlDesc,
    InterfaceIsActive, InterfaceLookupByMacString, InterfaceLookupByName, InterfaceRef,
    InterfaceXmlFlags, Result,
};
use virtus_core::Call;
use virtus_core::flags::{check_flags, passes};
use virtus_xml::{Document, FormatFlags, HostInterface};

use super::HasInterfaces;
use crate::list::{count, names, whole};
use crate::object::{Snapshot, not_found};

pub(super) async fn num_of_interfaces<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    _: ConnectNumOfInterfaces,
) -> Result<i32> {
    Ok(count(driver.interfaces().collection.select(Snapshot::is_active).len()))
}

pub(super) async fn list_interfaces<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListInterfaces,
) -> Result<Vec<String>> {
    Ok(names(&driver.interfaces().collection.select(Snapshot::is_active), request.maxnames))
}

pub(super) async fn num_of_defined_interfaces<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    _: ConnectNumOfDefinedInterfaces,
) -> Result<i32> {
    Ok(count(driver.interfaces().collection.select(|iface| !iface.is_active()).len()))
}

pub(super) async fn list_defined_interfaces<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListDefinedInterfaces,
) -> Result<Vec<String>> {
    let inactive = driver.interfaces().collection.select(|iface| !iface.is_active());
    Ok(names(&inactive, request.maxnames))
}

pub(super) async fn list_all<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListAllInterfaces,
) -> Result<ConnectListAllInterfacesReply> {
    check_flags(request.flags, Filter::all().bits(), "virConnectListAllInterfaces")?;
    let (active, inactive) = (Filter::ACTIVE.bits(), Filter::INACTIVE.bits());
    let fits = |iface: &Snapshot<HostInterface>| {
        passes(request.flags, [(active, iface.is_active()), (inactive, !iface.is_active())])
    };
    let found = driver.interfaces().collection.select(fits);
    let found = found.iter().map(|iface| iface.interface_ref()).collect();
    let (ifaces, ret) = whole(request.need_results, found);
    Ok(ConnectListAllInterfacesReply { ifaces, ret })
}

pub(super) async fn lookup_by_name<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    request: InterfaceLookupByName,
) -> Result<InterfaceRef> {
    Ok(driver.interfaces().collection.lookup_name(&request.name)?.1.interface_ref())
}

pub(super) async fn lookup_by_mac<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    request: InterfaceLookupByMacString,
) -> Result<InterfaceRef> {
    let fits = |iface: &Snapshot<HostInterface>| {
        iface.mac().is_some_and(|mac| mac.eq_ignore_ascii_case(&request.mac))
    };
    let found = driver.interfaces().collection.select(fits);
    match found.as_slice() {
        [] => {
            let text = format!("no interface with matching mac '{}'", request.mac);
            Err(not_found::<HostInterface>(text))
        }
        [one] => Ok(one.interface_ref()),
        _ => Err(Error::new(ErrorCode::MultipleInterfaces, "")
            .hint(format!("several interfaces have the address {}: use a name", request.mac))),
    }
}

pub(super) async fn is_active<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    request: InterfaceIsActive,
) -> Result<i32> {
    Ok(driver.interfaces().find(&request.iface)?.1.is_active().into())
}

pub(super) async fn get_xml<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    request: InterfaceGetXmlDesc,
) -> Result<String> {
    check_flags(request.flags, InterfaceXmlFlags::all().bits(), "virInterfaceGetXMLDesc")?;
    let (_, iface) = driver.interfaces().find(&request.iface)?;
    let inactive = request.flags & InterfaceXmlFlags::INACTIVE.bits() != 0;
    Ok(match iface.persistent.as_ref().filter(|_| inactive) {
        Some(def) => def.format(FormatFlags::INACTIVE),
        None => iface.def()?.format(FormatFlags::empty()),
    })
}

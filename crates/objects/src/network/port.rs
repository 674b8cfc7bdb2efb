// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ports of a network: places of guests' cards on it, for as long as it is active.

use std::sync::Arc;

use uuid::Uuid;
use virtus_api::{
    Error, ErrorCode, NetworkListAllPorts, NetworkListAllPortsReply, NetworkPortCreateFlags,
    NetworkPortCreateXml, NetworkPortDelete, NetworkPortGetXmlDesc, NetworkPortLookupByUuid,
    NetworkPortRef, Result,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::{Document, FormatFlags, Network, NetworkPort, ParseFlags};

use super::{HasNetworks, NetworkBackend, Networks};
use crate::list::whole;
use crate::object::{Snapshot, Turn};

impl<B: NetworkBackend> Networks<B> {
    /// The port that a client refers to.
    pub(super) fn find_port(&self, port: &NetworkPortRef) -> Result<Arc<NetworkPort>> {
        let (_, network) = self.find(&port.net)?;
        network.port(port.uuid).cloned()
    }

    /// Changes one port of an active network in its turn: `work` gets the live network and its ports.
    pub(super) async fn change_ports<T, F, Fut>(
        self: &Arc<Self>,
        net: &virtus_api::NetworkRef,
        name: &'static str,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<Self>, Arc<Network>, Arc<Snapshot<Network>>, Turn<Network>) -> Fut
            + Send
            + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let (object, _) = self.find(net)?;
        let networks = self.clone();
        let in_turn = |turn: Turn<Network>| async move {
            let network = turn.snapshot();
            let live = network.live.clone().ok_or_else(|| not_active(&network))?;
            work(networks, live, network, turn).await
        };
        self.collection.change(&object, name, in_turn).await
    }
}

impl Snapshot<Network> {
    /// A port of the network.
    pub(super) fn port(&self, uuid: Uuid) -> Result<&Arc<NetworkPort>> {
        self.extra.get(&uuid).ok_or_else(|| {
            let text = format!("Network port with UUID {uuid} does not exist");
            Error::new(ErrorCode::NoNetworkPort, text)
        })
    }
}

impl Turn<Network> {
    /// Changes what ports the network has.
    pub(super) fn edit_ports(
        &self,
        edit: impl FnOnce(&mut std::collections::BTreeMap<Uuid, Arc<NetworkPort>>),
    ) {
        self.publish(|network| edit(Arc::make_mut(&mut network.extra)));
    }
}

fn not_active(network: &Snapshot<Network>) -> Error {
    Error::new(ErrorCode::OperationInvalid, format!("network '{}' is not active", network.name))
        .hint(format!("start it with 'virsh net-start {}'", network.name))
}

pub(super) async fn list_all<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkListAllPorts,
) -> Result<NetworkListAllPortsReply> {
    check_flags(request.flags, 0, "virNetworkListAllPorts")?;
    let (_, network) = driver.networks().find(&request.network)?;
    let net = network.network_ref();
    let ports = network.extra.keys().map(|uuid| NetworkPortRef { net: net.clone(), uuid: *uuid });
    let (ports, ret) = whole(request.need_results, ports.collect());
    Ok(NetworkListAllPortsReply { ports, ret })
}

pub(super) async fn lookup_by_uuid<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkPortLookupByUuid,
) -> Result<NetworkPortRef> {
    let (_, network) = driver.networks().find(&request.network)?;
    network.port(request.uuid)?;
    Ok(NetworkPortRef { net: network.network_ref(), uuid: request.uuid })
}

pub(super) async fn create_xml<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkPortCreateXml,
) -> Result<NetworkPortRef> {
    const NAME: &str = "virNetworkPortCreateXML";
    check_flags(request.flags, NetworkPortCreateFlags::all().bits(), NAME)?;
    let flags = NetworkPortCreateFlags::from_bits_truncate(request.flags);
    let mut reading = ParseFlags::empty();
    reading.set(ParseFlags::VALIDATE, flags.contains(NetworkPortCreateFlags::VALIDATE));
    let mut port = NetworkPort::parse(&request.xml, reading)?.value;
    let takes_over = flags.contains(NetworkPortCreateFlags::RECLAIM);
    let networks = driver.networks();
    networks
        .change_ports(&request.network, NAME, move |networks, live, network, turn| async move {
            let uuid = *port.uuid.get_or_insert_with(Uuid::new_v4);
            if network.extra.contains_key(&uuid) {
                let text = format!("Network port with UUID {uuid} already exists");
                return Err(Error::new(ErrorCode::NetworkPortExist, text));
            }
            networks.backend.plug(&live, &mut port, takes_over).await?;
            turn.edit_ports(|ports| {
                ports.insert(uuid, Arc::new(port));
            });
            Ok(NetworkPortRef { net: network.network_ref(), uuid })
        })
        .await
}

pub(super) async fn get_xml<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkPortGetXmlDesc,
) -> Result<String> {
    check_flags(request.flags, 0, "virNetworkPortGetXMLDesc")?;
    Ok(driver.networks().find_port(&request.port)?.format(FormatFlags::empty()))
}

pub(super) async fn delete<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkPortDelete,
) -> Result<()> {
    const NAME: &str = "virNetworkPortDelete";
    check_flags(request.flags, 0, NAME)?;
    let uuid = request.port.uuid;
    let networks = driver.networks();
    networks
        .change_ports(&request.port.net, NAME, move |networks, live, network, turn| async move {
            networks.backend.unplug(&live, network.port(uuid)?).await?;
            turn.edit_ports(|ports| {
                ports.remove(&uuid);
            });
            Ok(())
        })
        .await
}

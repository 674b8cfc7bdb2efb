// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Places of machines' cards on virtual networks: claimed from the networks' driver before a card is made, released
//! when it is gone.
//!
//! A port's UUID is chosen here and stands in the live definition, so that it can be released whoever started the
//! machine, and also where nobody heard whether it was made.

use uuid::Uuid;
use virtus_api::{
    Error, ErrorCode, NetworkLookupByName, NetworkPortCreateXml, NetworkPortDelete,
    NetworkPortGetXmlDesc, NetworkPortLookupByUuid, Result,
};
use virtus_core::{Peer, Peered, Peers};
use virtus_xml::domain::interface::{ActualNetwork, Interface, InterfaceSource, InterfaceType};
use virtus_xml::netdev::{MacAddress, Owner};
use virtus_xml::network_port::{Plug, PlugType};
use virtus_xml::{Document, Domain, FormatFlags, NetworkPort, ParseFlags};

use crate::Undo;

/// Whose ports those of a machine's cards are.
#[must_use]
pub fn owner(def: &Domain) -> Owner {
    Owner { name: def.name.clone(), uuid: def.uuid }
}

/// Claims a port for each of the cards that names a network; what it is plugged into is then the card's
/// `<actual>`. Cards of other types are left alone.
///
/// # Errors
/// Those of the networks' driver (there is no such network, it is not active, it has no free device), or that it
/// cannot be reached.
pub async fn claim(
    peers: &Peers,
    owner: &Owner,
    cards: &mut [Interface],
    undo: &mut Undo,
) -> Result<()> {
    if !cards.iter().any(asks_a_network) {
        return Ok(());
    }
    let networks = peers.open(Peer::Network).await?;
    for card in cards {
        if !asks_a_network(card) {
            continue;
        }
        let uuid = Uuid::new_v4();
        let source = card.source.get_or_insert_default();
        source.portid = Some(uuid.to_string());
        let (peers, claimed) = (peers.clone(), vec![card.clone()]);
        undo.push("network port", async move { release(&peers, &claimed).await });
        card.actual = Some(Box::new(plug_in(&networks, uuid, owner, card).await?));
    }
    Ok(())
}

/// Releases the ports of cards. What is not there any more is no matter.
pub async fn release(peers: &Peers, cards: &[Interface]) {
    let claimed: Vec<_> = cards.iter().filter_map(place).collect();
    if claimed.is_empty() {
        return;
    }
    let networks = match peers.open(Peer::Network).await {
        Ok(networks) => networks,
        Err(error) => return tracing::warn!("network ports are not released: {error}"),
    };
    for (name, uuid) in claimed {
        match unplug(&networks, name, uuid).await {
            Err(error)
                if !matches!(error.code(), ErrorCode::NoNetwork | ErrorCode::NoNetworkPort) =>
            {
                tracing::warn!("port {uuid} of network '{name}' is not released: {error}");
            }
            _ => {}
        }
    }
}

fn asks_a_network(card: &Interface) -> bool {
    card.kind == InterfaceType::Network
}

/// The network and the port that a card has claimed.
fn place(card: &Interface) -> Option<(&str, Uuid)> {
    let source = card.source.as_ref().filter(|_| asks_a_network(card))?;
    Some((source.network.as_deref()?, source.portid.as_deref()?.parse().ok()?))
}

async fn plug_in(
    networks: &Peered,
    uuid: Uuid,
    owner: &Owner,
    card: &Interface,
) -> Result<ActualNetwork> {
    let name = card.source.as_ref().and_then(|source| source.network.clone()).unwrap_or_default();
    let network = networks.call(NetworkLookupByName { name: name.clone() }).await?;
    let xml = wanted(uuid, owner, card).format(FormatFlags::empty());
    let claimed = networks.call(NetworkPortCreateXml { network, xml, flags: 0 }).await;
    let port = claimed.map_err(|error| {
        let hint = format!("see how the network is: 'virsh net-info {name}'");
        if error.hint_text().is_none() { error.hint(hint) } else { error }
    })?;
    let xml = networks.call(NetworkPortGetXmlDesc { port, flags: 0 }).await?;
    actual(&name, NetworkPort::parse(&xml, ParseFlags::empty())?.value)
}

async fn unplug(networks: &Peered, name: &str, uuid: Uuid) -> Result<()> {
    let network = networks.call(NetworkLookupByName { name: name.to_owned() }).await?;
    let port = networks.call(NetworkPortLookupByUuid { network, uuid }).await?;
    networks.call(NetworkPortDelete { port, flags: 0 }).await
}

/// The port that a card asks for.
fn wanted(uuid: Uuid, owner: &Owner, card: &Interface) -> NetworkPort {
    let mut port = NetworkPort {
        uuid: Some(uuid),
        owner: owner.clone(),
        group: card.source.as_ref().and_then(|source| source.portgroup.clone()),
        mac: card.mac_address().map(|address| MacAddress { address }),
        virtualport: card.virtualport.as_deref().cloned(),
        bandwidth: card.bandwidth.as_deref().cloned().unwrap_or_default(),
        vlan: card.vlan.clone(),
        port: card.port.clone().unwrap_or_default(),
        ..NetworkPort::default()
    };
    port.rxfilters.trust_guest = card.trust_guest_rx_filters;
    port
}

/// What a network has plugged a card into.
fn actual(network: &str, port: NetworkPort) -> Result<ActualNetwork> {
    let Plug { kind, bridge, mac_table_manager, dev, mode, .. } = port.plug.unwrap_or_default();
    let kind = match kind {
        PlugType::Network => InterfaceType::Network,
        PlugType::Bridge => InterfaceType::Bridge,
        PlugType::Direct => InterfaceType::Direct,
        PlugType::HostdevPci | PlugType::None => {
            let text = format!("network '{network}' has neither a bridge nor a device for cards");
            return Err(Error::new(ErrorCode::ConfigUnsupported, text));
        }
    };
    let source = InterfaceSource {
        bridge,
        mac_table_manager: mac_table_manager.map(|manager| manager.to_string()),
        dev,
        mode: mode.map(|mode| mode.to_string()),
        ..InterfaceSource::default()
    };
    Ok(ActualNetwork {
        kind,
        trust_guest_rx_filters: port.rxfilters.trust_guest,
        source: Some(source),
        vlan: port.vlan,
        virtualport: port.virtualport.map(Box::new),
        bandwidth: some(port.bandwidth).map(Box::new),
        port: some(port.port),
        ..ActualNetwork::default()
    })
}

/// A part of a port that may be empty.
fn some<T: Default + PartialEq>(part: T) -> Option<T> {
    (part != T::default()).then_some(part)
}

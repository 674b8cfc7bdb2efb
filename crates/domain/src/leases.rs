// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is known of machines' addresses without asking them: what virtual networks have leased their cards, and what
//! the host's kernel has learnt.

use virtus_api::{
    DomainInterface, DomainIpAddr, Error, ErrorCode, NetworkDhcpLease, NetworkGetDhcpLeases,
    NetworkLookupByName, Result,
};
use virtus_core::{Peer, Peered, Peers};
use virtus_xml::Domain;
use virtus_xml::domain::interface::{Interface, InterfaceType};

/// The addresses that networks have leased to a machine's cards.
///
/// # Errors
/// Those of the networks' driver, or that it cannot be reached.
pub async fn leased(peers: &Peers, def: &Domain) -> Result<Vec<DomainInterface>> {
    let mut known = Vec::new();
    for (card, leases) in leases(peers, def).await? {
        let addrs: Vec<_> = leases
            .into_iter()
            .map(|lease| DomainIpAddr {
                r#type: lease.r#type,
                addr: lease.ipaddr,
                prefix: lease.prefix,
            })
            .collect();
        known.extend(interface(card, addrs));
    }
    Ok(known)
}

/// The name under which a machine has asked a network for an address.
///
/// # Errors
/// `VIR_ERR_NO_HOSTNAME` where it has not; as [`leased`].
pub async fn hostname(peers: &Peers, def: &Domain) -> Result<String> {
    let mut all = leases(peers, def).await?.into_iter().flat_map(|(_, leases)| leases);
    all.find_map(|lease| lease.hostname).ok_or_else(|| {
        Error::new(ErrorCode::NoHostname, format!("no hostname found for domain {}", def.name))
    })
}

/// What this host's kernel has learnt of the addresses of a machine's cards.
#[must_use]
pub fn learnt(def: &Domain) -> Vec<DomainInterface> {
    let table = std::fs::read_to_string("/proc/net/arp").unwrap_or_default();
    let known = |card: &Interface| {
        let mac = card.mac_address()?.to_string();
        let addrs = table.lines().skip(1).filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let address = words.next()?;
            let same = words.nth(2)?.eq_ignore_ascii_case(&mac);
            same.then(|| DomainIpAddr { r#type: 0, addr: address.to_owned(), prefix: 0 })
        });
        interface(card, addrs.collect())
    };
    def.devices.interfaces.iter().filter_map(known).collect()
}

/// What is known of a card, if anything is.
fn interface(card: &Interface, addrs: Vec<DomainIpAddr>) -> Option<DomainInterface> {
    let hwaddr = card.mac_address().map(|mac| mac.to_string());
    let name = card.target_dev()?.to_owned();
    (!addrs.is_empty()).then_some(DomainInterface { name, hwaddr, addrs })
}

/// The leases of each card that is on a network.
async fn leases<'def>(
    peers: &Peers,
    def: &'def Domain,
) -> Result<Vec<(&'def Interface, Vec<NetworkDhcpLease>)>> {
    let mut found = Vec::new();
    let mut networks: Option<Peered> = None;
    for card in &def.devices.interfaces {
        let source = card.source.as_ref().filter(|_| card.kind == InterfaceType::Network);
        let Some(name) = source.and_then(|source| source.network.clone()) else { continue };
        let networks = match &mut networks {
            Some(networks) => networks,
            none => none.insert(peers.open(Peer::Network).await?),
        };
        let net = networks.call(NetworkLookupByName { name }).await?;
        let mac = card.mac_address().map(|mac| mac.to_string());
        let asked = NetworkGetDhcpLeases { net, mac, need_results: 1, flags: 0 };
        found.push((card, networks.call(asked).await?.leases));
    }
    Ok(found)
}

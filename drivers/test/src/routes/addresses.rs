// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The addresses of a guest's network cards: one each, made up from the network that the card is on.

use std::net::IpAddr;
use std::sync::Arc;

use virtus_api::{
    DomainInterface, DomainInterfaceAddresses, DomainInterfaceAddressesSource, DomainIpAddr, Error,
    ErrorCode, IpAddrType, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags};
use virtus_objects::network::HasNetworks;
use virtus_xml::Network;
use virtus_xml::domain::interface::InterfaceType;

use super::running;
use crate::world::World;

/// Addresses that a guest has for itself, so that guests have different ones.
const APART: u32 = 20;

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new().on(by(get))
}

async fn get(
    world: Arc<World>,
    _: Call,
    request: DomainInterfaceAddresses,
) -> Result<Vec<DomainInterface>> {
    check_flags(request.flags, 0, "virDomainInterfaceAddresses")?;
    let source = i32::try_from(request.source).ok();
    if source.and_then(|n| DomainInterfaceAddressesSource::try_from(n).ok()).is_none() {
        let text = format!("Unknown IP address data source {}", request.source);
        return Err(Error::new(ErrorCode::ArgumentUnsupported, text));
    }
    let (_, snapshot) = running(&world, &request.dom)?;
    let before = snapshot.id().and_then(|id| u32::try_from(id - 1).ok()).unwrap_or_default();
    let cards = (1_u32..).zip(&snapshot.live()?.devices.interfaces);
    let told = cards.map(|(number, card)| {
        let network = card.source.as_ref().and_then(|source| source.network.as_deref());
        let address = match network.filter(|_| card.kind == InterfaceType::Network) {
            Some(network) => {
                let (_, network) = world.networks().collection().lookup_name(network)?;
                let def = network.live.as_ref().or(network.persistent.as_ref());
                let place = before.saturating_mul(APART).saturating_add(number);
                def.and_then(|def| on(def, place))
            }
            None => Some(DomainIpAddr {
                r#type: IpAddrType::Ipv4.number(),
                addr: format!("192.168.0.{number}"),
                prefix: 24,
            }),
        };
        Ok(DomainInterface {
            name: card.target_dev().unwrap_or_default().to_owned(),
            hwaddr: card.mac_address().map(|mac| mac.to_string()),
            addrs: address.into_iter().collect(),
        })
    });
    told.collect()
}

/// An address so far from where the network's server begins, or from the network's own.
fn on(network: &Network, place: u32) -> Option<DomainIpAddr> {
    let ip = network.ips.first()?;
    let range = ip.dhcp.as_ref().and_then(|dhcp| dhcp.ranges.first());
    let first = range.map_or(ip.address, |range| range.start);
    let (kind, addr) = match first.0 {
        IpAddr::V4(first) => {
            (IpAddrType::Ipv4, IpAddr::V4(first.to_bits().wrapping_add(place).into()))
        }
        IpAddr::V6(first) => {
            (IpAddrType::Ipv6, IpAddr::V6(first.to_bits().wrapping_add(place.into()).into()))
        }
    };
    let prefix = ip.prefix.or_else(|| ip.netmask.and_then(|mask| mask.prefix_of_mask()));
    Some(DomainIpAddr {
        r#type: kind.number(),
        addr: addr.to_string(),
        prefix: prefix.or_else(|| ip.address.natural_prefix())?,
    })
}

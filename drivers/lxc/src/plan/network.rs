// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A container's network devices: what is made for it, and what the host gives away.

use std::net::IpAddr;

use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::network_ports;
use virtus_domain::switch_ports::SwitchPort;
use virtus_host::link::MacvlanMode;
use virtus_xml::Domain;
use virtus_xml::domain::hostdev::HostdevType;
use virtus_xml::domain::interface::{Interface, InterfaceType, Ip, LinkState};
use virtus_xml::netdev::{Owner, Route as RouteElement};

use crate::blueprint::{Address, Link, Route};

/// A network device that is made for a container.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Card {
    /// How it is made.
    pub(crate) wire: Wire,
    /// What the container sees of it; its name on the host is not known yet.
    pub(crate) link: Link,
    /// The largest packet, where it is stated.
    pub(crate) mtu: Option<u32>,
    /// The wish for a name of the host's end.
    pub(crate) host_end: Option<String>,
    /// Addresses of the host's end.
    pub(crate) host_addresses: Vec<Address>,
}

/// What a container's device is connected to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wire {
    /// One end of a veth pair; the other is such a port, or nobody's.
    Veth(Option<SwitchPort>),
    /// A further address on a device of the host.
    Macvlan {
        /// The device of the host.
        parent: String,
        /// Who may talk to whom.
        mode: MacvlanMode,
    },
    /// Whatever this virtual network says when it is asked, which a start does first.
    Network(String),
}

/// The devices of the definition's interfaces, in their order.
pub(super) fn cards(def: &Domain) -> Result<Vec<Card>> {
    let owner = network_ports::owner(def);
    let card = |(number, interface)| card(number, interface, &owner);
    def.devices.interfaces.iter().enumerate().map(card).collect()
}

/// The device of one interface, the container's `number`th.
pub(crate) fn card(number: usize, interface: &Interface, owner: &Owner) -> Result<Card> {
    let source = interface.plugged_source();
    let missing = |what: &str| {
        let text = format!("interface of type '{}' lacks <source {what}='…'/>", interface.kind);
        Error::new(ErrorCode::XmlError, text)
    };
    let wire = match interface.plugged_kind() {
        InterfaceType::Network if interface.actual.is_none() => {
            let name = source.and_then(|source| source.network.clone());
            Wire::Network(name.ok_or_else(|| missing("network"))?)
        }
        InterfaceType::Bridge | InterfaceType::Network | InterfaceType::Ethernet => {
            Wire::Veth(SwitchPort::of(interface, owner)?)
        }
        InterfaceType::Direct => {
            let parent = source.and_then(|source| source.dev.clone());
            if interface.plugged_vlan().is_some() {
                return Err(untagged(interface, parent.as_deref().unwrap_or("DEVICE")));
            }
            let mode = source.and_then(|source| source.mode.as_deref()).unwrap_or("vepa");
            let mode = MacvlanMode::by_name(mode).ok_or_else(|| {
                let text = format!("mode '{mode}' of a direct interface is not supported");
                Error::new(ErrorCode::ConfigUnsupported, text)
            })?;
            Wire::Macvlan { parent: parent.ok_or_else(|| missing("dev"))?, mode }
        }
        other => {
            let text = format!("unsupported network type {other}");
            return Err(Error::new(ErrorCode::ConfigUnsupported, text));
        }
    };
    let wish = interface.guest.as_ref().and_then(|guest| guest.dev.clone());
    let stated = interface.target_dev().map(str::to_owned);
    let host_ips = source.map(|source| source.ips.as_slice()).unwrap_or_default();
    Ok(Card {
        wire,
        link: Link {
            host_name: String::new(),
            name: wish.unwrap_or_else(|| format!("eth{number}")),
            mac: interface.mac_address().map(|mac| mac.0),
            addresses: addresses(&interface.ips)?,
            routes: routes(&interface.routes),
            of_host: false,
            up: interface.link.as_ref().is_none_or(|link| link.state == LinkState::Up),
        },
        mtu: interface.mtu.as_ref().map(|mtu| mtu.size),
        // Names of this form are ours to give, and the one of a former run may be taken.
        host_end: stated.filter(|dev| !dev.starts_with("vnet")),
        host_addresses: addresses(host_ips)?,
    })
}

/// Devices of the host that move into the container.
pub(super) fn devices_of_host(def: &Domain) -> Result<Vec<Link>> {
    let net = def.devices.hostdevs.iter().filter(|device| device.kind == HostdevType::Net);
    let link = |device: &virtus_xml::domain::hostdev::Hostdev| {
        let name = device.source.as_ref().and_then(|source| source.interface.clone());
        let name = name.ok_or_else(|| {
            Error::new(ErrorCode::XmlError, "hostdev of type 'net' lacks <interface>")
        })?;
        Ok(Link {
            host_name: name.clone(),
            name,
            mac: None,
            addresses: addresses(&device.ips)?,
            routes: routes(&device.routes),
            of_host: true,
            up: true,
        })
    };
    net.map(link).collect()
}

/// A further address on a device is in the VLAN of that device.
fn untagged(interface: &Interface, parent: &str) -> Error {
    let mac = interface.mac_address().map(|mac| format!(" {mac}")).unwrap_or_default();
    let text = format!("interface{mac} - vlan tag not supported for this connection type");
    Error::new(ErrorCode::ConfigUnsupported, text).hint(format!(
        "plug it into a device that is in the VLAN: \
         ip link add link {parent} name {parent}.42 type vlan id 42"
    ))
}

fn addresses(ips: &[Ip]) -> Result<Vec<Address>> {
    let parse = |text: &str| {
        text.parse::<IpAddr>()
            .map_err(|_| Error::new(ErrorCode::XmlError, format!("'{text}' is not an IP address")))
    };
    let address = |ip: &Ip| {
        let address = parse(&ip.address)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        // Where nothing is said it is the size of a private network of the kind.
        let default = match address {
            IpAddr::V4(v4) if v4.octets()[0] < 128 => 8,
            IpAddr::V4(v4) if v4.octets()[0] < 192 => 16,
            IpAddr::V4(_) => 24,
            IpAddr::V6(_) => 64,
        };
        let prefix = ip.prefix.unwrap_or(default).min(width);
        let peer = ip.peer.as_deref().map(parse).transpose()?;
        Ok(Address { address, prefix: u8::try_from(prefix).unwrap_or(u8::MAX), peer })
    };
    ips.iter().map(address).collect()
}

fn routes(routes: &[RouteElement]) -> Vec<Route> {
    let route = |route: &RouteElement| {
        let mask = route.netmask.map(|mask| match mask.0 {
            IpAddr::V4(mask) => u32::from(mask).count_ones(),
            IpAddr::V6(mask) => u128::from(mask).count_ones(),
        });
        let prefix = route.prefix.or(mask).unwrap_or_default();
        Route {
            network: route.address.0,
            prefix: u8::try_from(prefix).unwrap_or(u8::MAX),
            gateway: route.gateway.0,
            metric: route.metric,
        }
    };
    routes.iter().map(route).collect()
}

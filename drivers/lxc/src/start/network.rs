// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Makes a container's network devices. What moves into the container ends with its network.

use std::io;
use std::slice::from_mut;

use virtus_api::{Error, ErrorCode, Result};
use virtus_core::Peers;
use virtus_domain::switch_ports::SwitchPort;
use virtus_domain::{Undo, bandwidth, filter_bindings, network_ports};
use virtus_host::link::Links;
use virtus_host::net;
use virtus_xml::domain::interface::Interface;
use virtus_xml::netdev::Owner;

use crate::blueprint::Link;
use crate::end::remove_link;
use crate::plan::{Card, Plan, Wire, card};

/// The first byte of the address of a host's end. High, so that a bridge never takes it for its own.
const HOST_MAC: u8 = 0xfe;
/// How many names are tried: each that is taken belongs to another guest.
const NAMES: u32 = 10_000;

/// Makes the devices of the container's interfaces.
pub(super) async fn make(peers: &Peers, plan: &mut Plan, undo: &mut Undo) -> Result<()> {
    let owner = network_ports::owner(&plan.def);
    for (number, interface) in plan.def.devices.interfaces.iter_mut().enumerate() {
        plan.blueprint.links[number] = connect(peers, &owner, number, interface, undo).await?;
    }
    Ok(())
}

/// Makes the device of one interface, the container's `number`th, on the network and with the limits and the filter
/// that it names; what is to move into the container.
pub(crate) async fn connect(
    peers: &Peers,
    owner: &Owner,
    number: usize,
    interface: &mut Interface,
    undo: &mut Undo,
) -> Result<Link> {
    network_ports::claim(peers, owner, from_mut(interface), undo).await?;
    let card = card(number, interface, owner)?;
    let Plugged { host_end, inner } = make_device(&card)?;
    let made = host_end.clone().unwrap_or_else(|| inner.clone());
    undo.push("network device", async move { remove_link(&made) });
    if let Some(end) = &host_end {
        plug(&card, end, undo).await?;
        bandwidth::limit(interface, end).await?;
    }
    interface.target.get_or_insert_default().dev = host_end;
    interface.guest.get_or_insert_default().actual = Some(card.link.name.clone());
    filter_bindings::bind(peers, owner, interface, undo).await?;
    Ok(Link { host_name: inner, ..card.link })
}

/// A device that was made.
struct Plugged {
    /// What stays on the host, if anything does.
    host_end: Option<String>,
    /// What is to move into the container.
    inner: String,
}

/// Makes one device; nothing of it is left where that fails.
fn make_device(card: &Card) -> Result<Plugged> {
    let links = Links::open()?;
    match &card.wire {
        Wire::Veth(port) => {
            let plugged = veth(&links, card)?;
            let host = plugged.host_end.clone().unwrap_or_default();
            if let Err(error) = set_up(&links, card, port.as_ref(), &host, &plugged.inner) {
                remove_link(&host);
                return Err(error);
            }
            Ok(plugged)
        }
        Wire::Network(name) => {
            let text = format!("network '{name}' has not said what the interface is plugged into");
            Err(Error::new(ErrorCode::OperationInvalid, text))
        }
        Wire::Macvlan { parent, mode } => {
            let inner = first_free("macvlan", |name| links.create_macvlan(name, parent, *mode))?;
            if let Some(mtu) = card.mtu
                && let Err(error) = net::set_mtu(&inner, mtu)
            {
                remove_link(&inner);
                return Err(error);
            }
            Ok(Plugged { host_end: None, inner })
        }
    }
}

fn veth(links: &Links, card: &Card) -> Result<Plugged> {
    let host = match &card.host_end {
        Some(name) => {
            links.create_veth(name, &peer(name))?;
            name.clone()
        }
        None => first_free("vnet", |name| links.create_veth(name, &peer(name)))?,
    };
    Ok(Plugged { inner: peer(&host), host_end: Some(host) })
}

/// What the container's end is called for the moment that it is on the host.
fn peer(host: &str) -> String {
    let kept = host.char_indices().nth(13).map_or(host, |(at, _)| &host[..at]);
    format!("{kept}-c")
}

/// Makes a device by the first name that is free: `PREFIX0`, `PREFIX1`, …
fn first_free(prefix: &str, make: impl Fn(&str) -> Result<()>) -> Result<String> {
    let names = (0..NAMES).map(|number| format!("{prefix}{number}"));
    for name in names.filter(|name| net::index(name).is_none()) {
        match make(&name) {
            Ok(()) => return Ok(name),
            // Somebody else took it meanwhile.
            Err(_) if net::index(&name).is_some() => {}
            Err(error) => return Err(error),
        }
    }
    let taken = io::Error::from(io::ErrorKind::AlreadyExists);
    Err(Error::system(format!("cannot find a free name for a network device '{prefix}N'"), &taken))
}

fn set_up(
    links: &Links,
    card: &Card,
    port: Option<&SwitchPort>,
    host: &str,
    inner: &str,
) -> Result<()> {
    if let Some(mut own) = card.link.mac {
        own[0] = HOST_MAC;
        links.set(host, Some(own), false)?;
    }
    if let Some(mtu) = card.mtu.or_else(|| net::mtu(&port?.bridge)) {
        net::set_mtu(host, mtu)?;
        net::set_mtu(inner, mtu)?;
    }
    Ok(())
}

/// Plugs the host's end in and switches it on.
async fn plug(card: &Card, host: &str, undo: &mut Undo) -> Result<()> {
    if let Wire::Veth(Some(port)) = &card.wire {
        port.join(host, undo).await?;
    }
    let links = Links::open()?;
    links.set(host, None, true)?;
    let mut addresses = card.host_addresses.iter();
    addresses.try_for_each(|own| links.add_address(host, own.address, own.prefix, own.peer))
}

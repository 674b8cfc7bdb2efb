// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changes a network device of a running container: whether it is plugged in, how fast it is, into which bridge
//! and VLANs.
//!
//! Invariant: each change is in the live definition once it is made, also where a later one fails.

use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::switch_ports::SwitchPort;
use virtus_domain::{Context, bandwidth, network_ports, unsupported};
use virtus_host::net;
use virtus_xml::domain::any_device::AnyDevice;
use virtus_xml::domain::interface::{Interface, InterfaceSource, InterfaceType, LinkState};
use virtus_xml::netdev::VirtualPort;

use crate::driver::Lxc;
use crate::hotplug::order;
use crate::orders::Order;

/// Changes the interface with the address of `device`.
pub(crate) async fn update(context: &Context<Lxc>, device: AnyDevice) -> Result<()> {
    let AnyDevice::Interface(wanted) = device else {
        let text = format!("a {} device of a container cannot be updated", device.name());
        return Err(unsupported(text).hint("detach it and attach it in its new form"));
    };
    let live = context.live()?;
    let owner = network_ports::owner(&live);
    let place = live.devices.interfaces.iter().position(|known| same(known, &wanted));
    let place = place.ok_or_else(|| {
        let text = "no device matching the given interface was found";
        Error::new(ErrorCode::DeviceMissing, text).hint("name it by its MAC address")
    })?;
    let known = &live.devices.interfaces[place];
    let stated = as_stated(known, &wanted)?;
    let end = known.target_dev().ok_or_else(|| {
        unsupported("only interfaces with a device on this host can be updated")
            .hint("change the next start's definition with '--config'")
    })?;
    let note = |change: &dyn Fn(&mut Interface)| {
        context.change_live(|def| def.devices.interfaces.get_mut(place).map(change).unwrap_or(()))
    };
    if stated.bandwidth != wanted.bandwidth {
        let limit = async |limits| bandwidth::limit_anew(known, &owner, end, limits).await;
        if let Err(error) = limit(bandwidth::of(&wanted)).await {
            // A part of it may hold already.
            if let Err(worse) = limit(bandwidth::of(known)).await {
                tracing::warn!("{worse}");
            }
            return Err(error);
        }
        note(&|known| {
            if let Some(actual) = known.actual.as_mut() {
                actual.bandwidth.clone_from(&wanted.bandwidth);
            }
            known.bandwidth.clone_from(&wanted.bandwidth);
        })?;
    }
    if bridge(known).is_some() && (bridge(known), &known.vlan) != (bridge(&wanted), &wanted.vlan) {
        let mut moved = known.clone();
        moved.source.clone_from(&wanted.source);
        moved.vlan.clone_from(&wanted.vlan);
        moved.bandwidth.clone_from(&wanted.bandwidth);
        if let (Some(old), Some(new)) =
            (SwitchPort::of(known, &owner)?, SwitchPort::of(&moved, &owner)?)
        {
            old.change(&new, end).await?;
        }
        note(&|known| {
            known.source.clone_from(&wanted.source);
            known.vlan.clone_from(&wanted.vlan);
        })?;
    }
    if is_up(known) != is_up(&wanted) {
        plug(context, known, end, is_up(&wanted)).await?;
        note(&|known| known.link.clone_from(&wanted.link))?;
    }
    Ok(())
}

fn same(known: &Interface, wanted: &Interface) -> bool {
    known.mac_address().is_some() && known.mac_address() == wanted.mac_address()
}

/// The bridge, where no network says which.
fn bridge(interface: &Interface) -> Option<&str> {
    let source = interface.source.as_ref()?;
    let own = interface.kind == InterfaceType::Bridge && source.network.is_none();
    source.bridge.as_deref().filter(|_| own)
}

/// What is known of an interface in the form in which the client has stated it: as it was defined, or as it is shown,
/// with what its network has plugged it into.
fn as_stated(known: &Interface, wanted: &Interface) -> Result<Interface> {
    if refuse_others(known, wanted).is_ok() {
        return Ok(known.clone());
    }
    let mut shown = known.clone();
    shown.show_actual();
    refuse_others(&shown, wanted).map(|()| shown)
}

fn is_up(interface: &Interface) -> bool {
    interface.link.as_ref().is_none_or(|link| link.state == LinkState::Up)
}

/// The source without the number of the port, which a network has given.
fn source(interface: &Interface) -> InterfaceSource {
    InterfaceSource { portid: None, ..interface.source.clone().unwrap_or_default() }
}

/// The port profile that is stated; an identifier that was made up need not be.
fn virtual_port(known: &Interface, wanted: &Interface) -> Option<Box<VirtualPort>> {
    let id = known.virtualport.as_ref().and_then(|port| port.parameters.as_ref()?.interfaceid);
    let mut port = wanted.virtualport.clone()?;
    if let Some(id) = id {
        port.parameters.get_or_insert_default().interfaceid.get_or_insert(id);
    }
    Some(port)
}

/// What is stated otherwise than it is, and cannot be changed.
fn refuse_others(known: &Interface, wanted: &Interface) -> Result<()> {
    let name = |interface: &Interface| interface.guest.as_ref().and_then(|guest| guest.dev.clone());
    let stays = [
        ("type", known.kind == wanted.kind),
        ("source", bridge(known).is_some() == bridge(wanted).is_some()),
        ("source", bridge(known).is_some() || source(known) == source(wanted)),
        ("target", wanted.target_dev().is_none_or(|end| known.target_dev() == Some(end))),
        ("guest device name", name(wanted).is_none() || name(known) == name(wanted)),
        ("addresses", wanted.ips.is_empty() || known.ips == wanted.ips),
        ("routes", wanted.routes.is_empty() || known.routes == wanted.routes),
        ("mtu", wanted.mtu.is_none() || known.mtu == wanted.mtu),
        ("filter", wanted.filterref.is_none() || known.filterref == wanted.filterref),
        ("vlan", bridge(known).is_some() || known.vlan == wanted.vlan),
        ("virtualport", known.virtualport == virtual_port(known, wanted)),
    ];
    match stays.iter().find(|(_, stays)| !stays) {
        Some((what, _)) => {
            Err(unsupported(format!("cannot modify network device {what} of a running container"))
                .hint("link, bandwidth, source bridge and its VLANs can be changed"))
        }
        None => Ok(()),
    }
}

/// Switches both ends: the container's by itself could be switched on again by whoever is in it.
async fn plug(context: &Context<Lxc>, known: &Interface, end: &str, up: bool) -> Result<()> {
    net::set_up(end, up)?;
    let inner = known.guest.as_ref().and_then(|guest| guest.actual.clone());
    let inside = order(context, &Order::SwitchLink { name: inner.unwrap_or_default(), up }).await;
    inside.inspect_err(|_| {
        if let Err(error) = net::set_up(end, !up) {
            tracing::warn!("{error}");
        }
    })
}

#[cfg(test)]
mod tests {
    use virtus_xml::ParseFlags;
    use virtus_xml::domain::interface::ActualNetwork;

    use super::*;

    fn interface(kind: &str, body: &str) -> Interface {
        let xml = format!(
            "<interface type='{kind}'><mac address='52:54:00:00:00:01'/>{body}<target dev='vnet0'/></interface>"
        );
        match AnyDevice::parse(&xml, ParseFlags::INACTIVE, false).unwrap().value {
            AnyDevice::Interface(interface) => *interface,
            other => panic!("{}", other.name()),
        }
    }

    #[test]
    fn a_card_of_a_network_may_be_stated_as_it_is_defined_and_as_it_is_shown() {
        let limits = "<bandwidth><inbound average='100'/></bandwidth>";
        let plugged = interface("bridge", &format!("<source bridge='br0'/>{limits}"));
        let mut known = interface("network", "<source network='lan' portid='p'/>");
        known.actual = Some(Box::new(ActualNetwork {
            kind: plugged.kind,
            source: plugged.source,
            bandwidth: plugged.bandwidth,
            ..ActualNetwork::default()
        }));
        let defined = interface("network", "<source network='lan'/>");
        assert_eq!(as_stated(&known, &defined).unwrap().bandwidth, None);
        let shown = |bridge| {
            let source = format!("<source network='lan' portid='p' bridge='{bridge}'/>{limits}");
            interface("bridge", &source)
        };
        let stated = as_stated(&known, &shown("br0")).unwrap();
        assert_eq!(stated.bandwidth, shown("br0").bandwidth);
        // Which bridge it is in, its network says.
        for other in [shown("br1"), interface("bridge", "<source bridge='br1'/>")] {
            let refusal = as_stated(&known, &other).unwrap_err();
            assert!(refusal.text().contains("device source"), "{refusal}");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changes a network device of a running container: whether it is plugged in, how fast it is, into which bridge.
//!
//! Invariant: each change is in the live definition once it is made, also where a later one fails.

use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::{Context, bandwidth, unsupported};
use virtus_host::net;
use virtus_xml::domain::any_device::AnyDevice;
use virtus_xml::domain::interface::{Interface, InterfaceType, LinkState};

use crate::driver::Lxc;
use crate::hotplug::order;
use crate::orders::Order;
use crate::plan::card;
use crate::start::join;

/// Changes the interface with the address of `device`.
pub(crate) async fn update(context: &Context<Lxc>, device: AnyDevice) -> Result<()> {
    let AnyDevice::Interface(wanted) = device else {
        let text = format!("a {} device of a container cannot be updated", device.name());
        return Err(unsupported(text).hint("detach it and attach it in its new form"));
    };
    let live = context.live()?;
    let place = live.devices.interfaces.iter().position(|known| same(known, &wanted));
    let place = place.ok_or_else(|| {
        let text = "no device matching the given interface was found";
        Error::new(ErrorCode::DeviceMissing, text).hint("name it by its MAC address")
    })?;
    let known = &live.devices.interfaces[place];
    refuse_others(known, &wanted)?;
    let end = known.target_dev().ok_or_else(|| {
        unsupported("only interfaces with a device on this host can be updated")
            .hint("change the next start's definition with '--config'")
    })?;
    let note = |change: &dyn Fn(&mut Interface)| {
        context.change_live(|def| def.devices.interfaces.get_mut(place).map(change).unwrap_or(()))
    };
    if known.bandwidth != wanted.bandwidth {
        if let Err(error) = bandwidth(&wanted).replace(end).await {
            // A part of it may hold already.
            if let Err(worse) = bandwidth(known).replace(end).await {
                tracing::warn!("{worse}");
            }
            return Err(error);
        }
        note(&|known| known.bandwidth.clone_from(&wanted.bandwidth))?;
    }
    if let (Some(old), Some(new)) = (bridge(known), bridge(&wanted))
        && old != new
    {
        let mut moved = known.clone();
        moved.source.clone_from(&wanted.source);
        change_bridge(end, (old, known), (new, &moved))?;
        note(&|known| known.source.clone_from(&wanted.source))?;
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

fn bridge(interface: &Interface) -> Option<&str> {
    let bridge = interface.source.as_ref()?.bridge.as_deref();
    bridge.filter(|_| interface.kind == InterfaceType::Bridge)
}

fn is_up(interface: &Interface) -> bool {
    interface.link.as_ref().is_none_or(|link| link.state == LinkState::Up)
}

/// What is stated otherwise than it is, and cannot be changed.
fn refuse_others(known: &Interface, wanted: &Interface) -> Result<()> {
    let name = |interface: &Interface| interface.guest.as_ref().and_then(|guest| guest.dev.clone());
    let stays = [
        ("type", known.kind == wanted.kind),
        ("source", bridge(known).is_some() == bridge(wanted).is_some()),
        ("source", bridge(known).is_some() || known.source == wanted.source),
        ("target", wanted.target_dev().is_none_or(|end| known.target_dev() == Some(end))),
        ("guest device name", name(wanted).is_none() || name(known) == name(wanted)),
        ("addresses", wanted.ips.is_empty() || known.ips == wanted.ips),
        ("routes", wanted.routes.is_empty() || known.routes == wanted.routes),
        ("mtu", wanted.mtu.is_none() || known.mtu == wanted.mtu),
        ("filter", wanted.filterref.is_none() || known.filterref == wanted.filterref),
        ("vlan", known.vlan == wanted.vlan),
        ("virtualport", known.virtualport == wanted.virtualport),
    ];
    match stays.iter().find(|(_, stays)| !stays) {
        Some((what, _)) => {
            Err(unsupported(format!("cannot modify network device {what} of a running container"))
                .hint("link, bandwidth and source bridge can be changed"))
        }
        None => Ok(()),
    }
}

fn change_bridge(end: &str, old: (&str, &Interface), new: (&str, &Interface)) -> Result<()> {
    let plug = |(bridge, interface): (&str, &Interface)| join(bridge, end, &card(0, interface)?);
    net::remove_from_bridge(old.0, end)?;
    plug(new).inspect_err(|_| {
        // It may be in the new one already.
        let _left = net::remove_from_bridge(new.0, end);
        if let Err(error) = plug(old) {
            tracing::warn!("{error}");
        }
    })
}

/// Switches both ends: the container's by itself could be switched on again by whoever is in it.
async fn plug(context: &Context<Lxc>, known: &Interface, end: &str, up: bool) -> Result<()> {
    net::set_up(end, up)?;
    let inner = known.guest.as_ref().and_then(|guest| guest.actual.clone());
    order(context, &Order::SwitchLink { name: inner.unwrap_or_default(), up }).await
}

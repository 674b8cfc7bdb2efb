// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Plugs network cards in: a tap device for each that is on a bridge or on the host itself.
//!
//! A tap lives as long as a descriptor of it is open, and QEMU holds the last one: there is nothing to undo.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use virtus_api::{Error, ErrorCode, Result};
use virtus_host::net::{self, Tap, TapOptions};
use virtus_xml::Domain;
use virtus_xml::domain::interface::{Interface, InterfaceType};
use virtus_xml::value::YesNo;

/// The kernel puts the first free number in the place of `%d`.
const NAME: &str = "vnet%d";
/// The first byte of a tap's own address. High, so that a bridge never takes it for its own.
const TAP_MAC: u8 = 0xfe;

/// Makes the taps of the guest's cards, by alias; refuses what cannot be plugged in.
pub(super) fn plug(def: &mut Domain) -> Result<BTreeMap<String, Vec<OwnedFd>>> {
    let mut taps = BTreeMap::new();
    for card in &mut def.devices.interfaces {
        if let Some(queues) = plug_one(card)? {
            taps.insert(card.info.alias.clone().unwrap_or_default(), queues);
        }
    }
    Ok(taps)
}

/// The queues of a card's new tap; none for cards without one.
fn plug_one(card: &mut Interface) -> Result<Option<Vec<OwnedFd>>> {
    let source = card.source.as_ref();
    let bridge = match card.kind {
        InterfaceType::Bridge => Some(source.and_then(|s| s.bridge.clone()).ok_or_else(|| {
            Error::new(ErrorCode::XmlError, "interface of type 'bridge' lacks <source bridge='…'/>")
        })?),
        InterfaceType::Ethernet => None,
        InterfaceType::Network => {
            let name = source.and_then(|source| source.network.as_deref()).unwrap_or_default();
            let text = format!("no network with matching name '{name}'");
            return Err(Error::new(ErrorCode::NoNetwork, text).hint(
                "virtual networks are not there yet: use a bridge or <interface type='user'>",
            ));
        }
        InterfaceType::Direct => {
            let text = "interfaces of type 'direct' are not supported";
            return Err(Error::new(ErrorCode::ConfigUnsupported, text)
                .hint("use a bridge or <interface type='user'>"));
        }
        _ => return Ok(None),
    };
    let target = card.target.get_or_insert_default();
    let ours = target.managed != Some(YesNo::No);
    // Names of this form are ours to give, and the one of a former run may be taken.
    let stated = target.dev.clone().filter(|dev| !ours || !dev.starts_with("vnet"));
    let model = card.model.as_ref().map_or("", |model| model.kind.as_str());
    let queues = card.driver.as_ref().and_then(|driver| driver.queues).unwrap_or(1);
    let options = TapOptions {
        vnet_header: model.starts_with("virtio"),
        queues: usize::try_from(queues).unwrap_or(1).max(1),
    };
    let tap = Tap::create(stated.as_deref().unwrap_or(NAME), options)?;
    target.dev = Some(tap.name.clone());
    if ours {
        if let Some(mac) = &card.mac {
            let mut own = mac.address.0;
            own[0] = TAP_MAC;
            net::set_mac(&tap.name, own)?;
        }
        if let Some(mtu) = &card.mtu {
            net::set_mtu(&tap.name, mtu.size)?;
        }
        if let Some(bridge) = &bridge {
            if card.mtu.is_none()
                && let Some(mtu) = net::mtu(bridge)
            {
                net::set_mtu(&tap.name, mtu)?;
            }
            net::add_to_bridge(bridge, &tap.name)?;
        }
        net::set_up(&tap.name, true)?;
    }
    // Queues are taken from the end.
    Ok(Some(tap.queues.into_iter().rev().collect()))
}

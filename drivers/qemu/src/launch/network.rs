// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Plugs network cards in: a tap device for each that is on a bridge or on the host itself.
//!
//! A tap lives as long as a descriptor of it is open, and QEMU holds the last one: there is nothing to undo but its port.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use virtus_api::{Error, ErrorCode, Result};
use virtus_core::Peers;
use virtus_domain::switch_ports::SwitchPort;
use virtus_domain::{Undo, bandwidth, filter_bindings, network_ports};
use virtus_host::net::{self, Tap, TapOptions};
use virtus_xml::Domain;
use virtus_xml::domain::interface::{Interface, InterfaceType};
use virtus_xml::netdev::Owner;
use virtus_xml::value::YesNo;

/// The kernel puts the first free number in the place of `%d`.
const NAME: &str = "vnet%d";
/// The first byte of a tap's own address. High, so that a bridge never takes it for its own.
const TAP_MAC: u8 = 0xfe;

/// A tap that a card is to have.
pub(crate) struct Plug {
    /// What it is to be called; by default the kernel chooses a number.
    pub(crate) name: Option<String>,
    /// Whether it is made and set up here, not by somebody else.
    pub(crate) ours: bool,
    /// What it becomes.
    pub(crate) port: Option<SwitchPort>,
    mac: Option<[u8; 6]>,
    mtu: Option<u32>,
    options: TapOptions,
}

/// Makes the taps of the guest's cards, by alias; refuses what cannot be plugged in.
pub(super) async fn plug(
    peers: &Peers,
    def: &mut Domain,
    undo: &mut Undo,
) -> Result<BTreeMap<String, Vec<OwnedFd>>> {
    let owner = network_ports::owner(def);
    network_ports::claim(peers, &owner, &mut def.devices.interfaces, undo).await?;
    let mut taps = BTreeMap::new();
    for card in &mut def.devices.interfaces {
        if let Some(plug) = wanted(card, &owner)? {
            let tap = plug.make(undo).await?;
            bandwidth::limit(card, &tap.name).await?;
            card.target.get_or_insert_default().dev = Some(tap.name);
            filter_bindings::bind(peers, &owner, card, undo).await?;
            // Queues are taken from the end.
            let queues = tap.queues.into_iter().rev().collect();
            taps.insert(card.info.alias.clone().unwrap_or_default(), queues);
        }
    }
    Ok(taps)
}

/// The network that will say, when it is asked, what a card is plugged into.
pub(crate) fn undecided(card: &Interface) -> Option<&str> {
    let asks = card.kind == InterfaceType::Network && card.actual.is_none();
    card.source.as_ref().filter(|_| asks)?.network.as_deref()
}

/// The tap that a card needs; none for cards without one.
pub(crate) fn wanted(card: &Interface, owner: &Owner) -> Result<Option<Plug>> {
    if let Some(name) = undecided(card) {
        let text = format!("network '{name}' has not said what the interface is plugged into");
        return Err(Error::new(ErrorCode::OperationInvalid, text));
    }
    match card.plugged_kind() {
        InterfaceType::Bridge | InterfaceType::Network | InterfaceType::Ethernet => {}
        InterfaceType::Direct => {
            let text = "interfaces of type 'direct' are not supported";
            return Err(Error::new(ErrorCode::ConfigUnsupported, text)
                .hint("use a bridge or <interface type='user'>"));
        }
        _ => return Ok(None),
    }
    let target = card.target.as_ref();
    let ours = target.is_none_or(|target| target.managed != Some(YesNo::No));
    // Names of this form are ours to give, and the one of a former run may be taken.
    let stated = target.and_then(|target| target.dev.clone());
    let model = card.model.as_ref().map_or("", |model| model.kind.as_str());
    let queues = card.driver.as_ref().and_then(|driver| driver.queues).unwrap_or(1);
    Ok(Some(Plug {
        name: stated.filter(|dev| !ours || !dev.starts_with("vnet")),
        ours,
        port: SwitchPort::of(card, owner)?,
        mac: card.mac.as_ref().map(|mac| mac.address.0),
        mtu: card.mtu.as_ref().map(|mtu| mtu.size),
        options: TapOptions {
            vnet_header: model.starts_with("virtio"),
            queues: usize::try_from(queues).unwrap_or(1).max(1),
        },
    }))
}

impl Plug {
    async fn make(&self, undo: &mut Undo) -> Result<Tap> {
        let tap = Tap::create(self.name.as_deref().unwrap_or(NAME), self.options)?;
        if !self.ours {
            return Ok(tap);
        }
        if let Some(mut own) = self.mac {
            own[0] = TAP_MAC;
            net::set_mac(&tap.name, own)?;
        }
        if let Some(mtu) = self.mtu.or_else(|| net::mtu(&self.port.as_ref()?.bridge)) {
            net::set_mtu(&tap.name, mtu)?;
        }
        if let Some(port) = &self.port {
            port.join(&tap.name, undo).await?;
        }
        net::set_up(&tap.name, true)?;
        Ok(tap)
    }
}

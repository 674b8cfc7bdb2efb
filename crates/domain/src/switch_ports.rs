// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Places of machines' cards on switches of this host: bridges of the kernel, and those of Open vSwitch.
//!
//! The kernel forgets a port with its device. Open vSwitch does not: such a port is removed by whoever removes the device.

use uuid::Uuid;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_host::link::{Links, PortVlan};
use virtus_host::net;
use virtus_host::open_vswitch::{PROGRAM, Port, Profile};
use virtus_xml::domain::interface::{Interface, InterfaceType};
use virtus_xml::netdev::{NativeMode, Owner, VirtualPortType, Vlan, VlanTag};
use virtus_xml::value::YesNo;

use crate::{Undo, bandwidth};

/// How the device of a card is plugged in.
#[derive(Debug, Clone, PartialEq)]
pub struct SwitchPort {
    /// The switch.
    pub bridge: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Kernel {
        /// Whether it reaches only those ports that are not isolated too.
        isolated: bool,
        vlan: Option<Vlan>,
    },
    OpenVswitch {
        guest: Uuid,
        profile: Box<Profile>,
    },
}

impl SwitchPort {
    /// The port that a card of this machine needs; none for cards that are not on a bridge.
    ///
    /// # Errors
    /// Where no bridge is named, or its port is to be of a kind that is not supported.
    pub fn of(card: &Interface, owner: &Owner) -> Result<Option<Self>> {
        if !is_bridged(card) {
            return Ok(None);
        }
        check(card)?;
        let bridge = card.plugged_source().and_then(|source| source.bridge.clone());
        let bridge = bridge.ok_or_else(|| {
            let text = "interface of type 'bridge' lacks <source bridge='…'/>";
            Error::new(ErrorCode::XmlError, text)
        })?;
        let vlan = card.plugged_vlan().cloned();
        if !is_on_open_vswitch(card) {
            let isolated = card.plugged_port().and_then(|port| port.isolated);
            let isolated = isolated.is_some_and(YesNo::is_yes);
            return Ok(Some(Self { bridge, kind: Kind::Kernel { isolated, vlan } }));
        }
        let known_as = card.plugged_virtualport().and_then(|port| port.parameters.clone());
        let profile = Box::new(Profile {
            mac: card.mac_address(),
            known_as: known_as.unwrap_or_default(),
            vlan,
            limits: bandwidth::of(card),
        });
        let guest = owner.uuid.unwrap_or_default();
        Ok(Some(Self { bridge, kind: Kind::OpenVswitch { guest, profile } }))
    }

    /// The program that plugs devices in, where the kernel alone does not.
    #[must_use]
    pub fn program(&self) -> Option<&'static str> {
        matches!(self.kind, Kind::OpenVswitch { .. }).then_some(PROGRAM)
    }

    /// Plugs a new device in.
    ///
    /// # Errors
    /// Where there is no such bridge, or it does not tell VLANs apart although the card is in one.
    pub async fn join(&self, device: &str, undo: &mut Undo) -> Result<()> {
        if let Kind::OpenVswitch { guest, .. } = self.kind {
            undo.push("switch port", remove(Port { device: device.to_owned(), guest }));
        }
        self.plug(device).await
    }

    /// Plugs a device that is plugged in as `self` says in as `new` says. Where that fails it stays as it was, or is made
    /// so again.
    ///
    /// # Errors
    /// As [`Self::join`].
    pub async fn change(&self, new: &Self, device: &str) -> Result<()> {
        match &new.kind {
            Kind::OpenVswitch { .. } => {
                let changed = self.change_port(new, device).await;
                // The database may have taken in what the switch has not done.
                if changed.as_ref().is_err_and(timed_out)
                    && let Err(error) = new.change_port(self, device).await
                {
                    tracing::warn!("{error}");
                }
                changed
            }
            Kind::Kernel { .. } => {
                net::remove_from_bridge(&self.bridge, device)?;
                let plugged = new.plug(device).await;
                if plugged.is_err() {
                    // It may be in the new one already.
                    let _left = net::remove_from_bridge(&new.bridge, device);
                    if let Err(error) = self.plug(device).await {
                        tracing::warn!("{error}");
                    }
                }
                plugged
            }
        }
    }

    /// [`Self::change`] within Open vSwitch.
    async fn change_port(&self, new: &Self, device: &str) -> Result<()> {
        match &new.kind {
            Kind::OpenVswitch { guest, profile } if self.bridge == new.bridge => {
                let port = Port { device: device.to_owned(), guest: *guest };
                port.change_vlan(profile.vlan.as_ref()).await
            }
            _ => new.plug(device).await,
        }
    }

    async fn plug(&self, device: &str) -> Result<()> {
        let bridge = &self.bridge;
        match &self.kind {
            Kind::Kernel { isolated, vlan } => {
                into_kernel(bridge, device, *isolated, vlan.as_ref())
            }
            Kind::OpenVswitch { guest, profile } => {
                Port { device: device.to_owned(), guest: *guest }.add(bridge, profile).await
            }
        }
    }
}

fn into_kernel(bridge: &str, device: &str, isolated: bool, vlan: Option<&Vlan>) -> Result<()> {
    if vlan.is_some() && !net::filters_vlans(bridge) {
        let text = format!("bridge '{bridge}' does not tell VLANs apart");
        return Err(Error::new(ErrorCode::ConfigUnsupported, text)
            .in_domain(ErrorDomain::Network)
            .hint(format!("switch it on: ip link set {bridge} type bridge vlan_filtering 1")));
    }
    net::add_to_bridge(bridge, device)?;
    if isolated {
        net::isolate(device)?;
    }
    let Some(vlan) = vlan else { return Ok(()) };
    Links::open()?.set_vlans(device, net::default_vlan(bridge), &port_vlans(vlan))
}

/// Refuses port profiles that only other programs than `ovs-vsctl` could set up.
///
/// # Errors
/// The refusal.
pub fn check(card: &Interface) -> Result<()> {
    use VirtualPortType::{Midonet, Qbg, Qbh};
    let kind = card.plugged_virtualport().and_then(|profile| profile.kind);
    let Some(kind @ (Qbg | Qbh | Midonet)) = kind else { return Ok(()) };
    let text = format!("<virtualport type='{kind}'> of interfaces is not supported");
    Err(Error::new(ErrorCode::ConfigUnsupported, text)
        .hint("leave it out, or use a bridge of Open vSwitch: <virtualport type='openvswitch'/>"))
}

/// Removes the ports of cards that do not go with their devices. What is not there any more is no matter. A switch that
/// does not answer is asked once, for others wait to clean up after the same guest.
pub async fn leave(owner: &Owner, cards: &[Interface]) {
    let port = |card: &Interface| of_open_vswitch(card, owner, card.target_dev()?);
    let ports: Vec<Port> = cards.iter().filter_map(port).collect();
    for (index, port) in ports.iter().enumerate() {
        let Err(error) = port.remove().await else { continue };
        tracing::warn!("{error}");
        if timed_out(&error) {
            for Port { device, .. } in &ports[index..] {
                tracing::warn!("the port may be left: 'ovs-vsctl del-port {device}' removes it");
            }
            return;
        }
    }
}

fn timed_out(error: &Error) -> bool {
    error.code() == ErrorCode::OperationTimeout
}

/// The port of a card's device, where it is one of Open vSwitch.
pub(crate) fn of_open_vswitch(card: &Interface, owner: &Owner, device: &str) -> Option<Port> {
    let guest = owner.uuid.filter(|_| is_on_open_vswitch(card))?;
    Some(Port { device: device.to_owned(), guest })
}

fn is_bridged(card: &Interface) -> bool {
    matches!(card.plugged_kind(), InterfaceType::Bridge | InterfaceType::Network)
}

pub(crate) fn is_on_open_vswitch(card: &Interface) -> bool {
    let kind = card.plugged_virtualport().and_then(|profile| profile.kind);
    is_bridged(card) && kind == Some(VirtualPortType::Openvswitch)
}

async fn remove(port: Port) {
    if let Err(error) = port.remove().await {
        tracing::warn!("{error}");
    }
}

/// One tag by itself is that of a port whose guest knows of no VLANs; several are a trunk.
fn port_vlans(vlan: &Vlan) -> Vec<PortVlan> {
    let alone = vlan.trunk.is_none() && vlan.tags.len() == 1;
    let port = |tag: &VlanTag| {
        let mode = tag.native_mode.or(alone.then_some(NativeMode::Untagged));
        PortVlan {
            number: u16::try_from(tag.id).unwrap_or_default(),
            native: mode.is_some(),
            untagged: mode == Some(NativeMode::Untagged),
        }
    };
    vlan.tags.iter().map(port).collect()
}

#[cfg(test)]
mod tests {
    use virtus_xml::domain::interface::{ActualNetwork, InterfaceSource};

    use super::*;

    #[test]
    fn a_card_of_a_network_is_in_the_vlan_of_its_port() {
        let mut card = Interface { kind: InterfaceType::Network, ..Interface::default() };
        card.actual = Some(Box::new(ActualNetwork {
            kind: InterfaceType::Bridge,
            source: Some(InterfaceSource { bridge: Some("br0".to_owned()), ..Default::default() }),
            vlan: Some(Vlan {
                tags: vec![VlanTag { id: 42, ..Default::default() }],
                ..Default::default()
            }),
            ..Default::default()
        }));
        let port = SwitchPort::of(&card, &Owner::default()).unwrap().unwrap();
        assert_eq!(port.bridge, "br0");
        let Kind::Kernel { vlan: Some(vlan), .. } = port.kind else { panic!("{port:?}") };
        let alone = PortVlan { number: 42, native: true, untagged: true };
        assert_eq!(port_vlans(&vlan), [alone]);
    }
}

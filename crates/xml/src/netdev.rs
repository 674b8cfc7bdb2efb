// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a card of a guest, a virtual network and a network port say alike about the switch that they are on.

mod route;
mod virtual_port;

use uuid::Uuid;
use virtus_api::Result;

pub use route::Route;
pub use virtual_port::{VirtualPort, VirtualPortParameters, VirtualPortType};

use crate::reader::Node;
use crate::value::{Mac, YesNo};

element! {
    /// `<vlan>`: the tags of the packets; several make a trunk.
    pub struct Vlan {
        attr trunk: Option<YesNo> = "trunk",
        child tags: Vec<VlanTag> = "tag"
    }
    schema { some VlanTag = "tag" }
    then Self::check
}

element! {
    /// `<tag>` of a VLAN.
    pub struct VlanTag {
        required id: u32 = "id",
        attr native_mode: Option<NativeMode> = "nativeMode"
    }
}

spellings! {
    /// How the native VLAN is sent.
    pub enum NativeMode { Tagged = "tagged", Untagged = "untagged" }
}

/// The largest number of a VLAN.
const MAX_VLAN: u32 = 4095;

impl Vlan {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.tags.is_empty() {
            return Err(node.missing_child("tag"));
        }
        if let Some(tag) = self.tags.iter().find(|tag| tag.id > MAX_VLAN) {
            return Err(
                node.error(format_args!("vlan tag id {} too large (maximum {MAX_VLAN})", tag.id))
            );
        }
        let natives = self.tags.iter().filter(|tag| tag.native_mode.is_some()).count();
        if natives > 1 {
            return Err(
                node.error("duplicate native vlan setting: one <tag> at most has 'nativeMode'")
            );
        }
        if self.tags.len() > 1 || natives > 0 {
            if self.trunk == Some(YesNo::No) {
                return Err(node.error(
                    "trunk='no' contradicts the tags: several, or a native one, are a trunk",
                ));
            }
            if self.tags.len() > 1 {
                self.trunk = Some(YesNo::Yes);
            }
        }
        self.trunk.take_if(|trunk| !trunk.is_yes());
        Ok(())
    }
}

element! {
    /// `<bandwidth>`.
    pub struct Bandwidth {
        attr class_id: Option<u32> = "classID",
        child inbound: Option<Rate> = "inbound",
        child outbound: Option<Rate> = "outbound"
    }
    then Self::check
}

element! {
    /// Limits of one direction, in KiB per second and KiB.
    pub struct Rate {
        attr average: Option<u64> = "average",
        attr peak: Option<u64> = "peak",
        attr floor: Option<u64> = "floor",
        attr burst: Option<u64> = "burst"
    }
    then Self::check
}

impl Bandwidth {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        for name in ["inbound", "outbound"] {
            if node.children().filter(|child| child.name() == name).nth(1).is_some() {
                return Err(node.error(format_args!("only one <{name}> is allowed in <bandwidth>")));
            }
        }
        if self.outbound.as_ref().is_some_and(|rate| rate.floor.is_some()) {
            return Err(node.error("'floor' is allowed only in <inbound>"));
        }
        // It could not be read again.
        for rate in [&mut self.inbound, &mut self.outbound] {
            rate.take_if(|rate| *rate == Rate::default());
        }
        Ok(())
    }

    /// Whether a minimum is asked for, which only a network with a bridge of its own can guarantee.
    #[must_use]
    pub fn has_floor(&self) -> bool {
        self.inbound.as_ref().is_some_and(|rate| rate.floor.is_some())
    }
}

impl Rate {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.average.is_none() && self.floor.is_none() {
            return Err(node.error(format_args!("<{}> needs 'average' or 'floor'", node.name())));
        }
        if (self.peak.is_some() || self.burst.is_some()) && self.average.is_none() {
            return Err(node.error("'peak' and 'burst' require 'average'"));
        }
        for limit in [&mut self.average, &mut self.peak, &mut self.floor, &mut self.burst] {
            limit.take_if(|limit| *limit == 0);
        }
        if self.average.is_none() {
            (self.peak, self.burst) = (None, None);
        }
        Ok(())
    }
}

element! {
    /// `<mtu size='…'/>`.
    pub struct Mtu { required size: u32 = "size" }
}

element! {
    /// `<link>`: what a device of the host says of its cable.
    pub struct DeviceLink {
        /// In Mbit/s.
        attr speed: Option<u32> = "speed",
        attr state: Option<DeviceLinkState> = "state"
    }
    then Self::check
}

spellings! {
    /// The state of a device's link, as the kernel calls it.
    pub enum DeviceLinkState {
        Unknown = "unknown", Notpresent = "notpresent", Down = "down", Lowerlayerdown = "lowerlayerdown",
        Testing = "testing", Dormant = "dormant", Up = "up",
    }
}

impl DeviceLink {
    fn check(&mut self, _: Node<'_>) -> Result<()> {
        self.speed.take_if(|speed| *speed == 0);
        Ok(())
    }
}

element! {
    /// `<mac address='…'/>`.
    pub struct MacAddress { required address: Mac = "address" }
}

element! {
    /// `<owner>`: the guest that a port, or a filter at work, is for.
    pub struct Owner {
        leaf name: String = "name",
        leaf uuid: Option<Uuid> = "uuid"
    }
    schema { one_leaf String = "name", one_leaf Uuid = "uuid" }
    then Self::check
}

impl Owner {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.name.is_empty() {
            return Err(node.missing_child("name"));
        }
        if self.uuid.is_none() {
            return Err(node.missing_child("uuid"));
        }
        Ok(())
    }
}

element! {
    /// `<port isolated='yes'/>`.
    pub struct PortOptions { attr isolated: Option<YesNo> = "isolated" }
}

spellings! {
    /// Who keeps a bridge's table of MAC addresses.
    pub enum MacTableManager { Kernel = "kernel", Libvirt = "libvirt" }
}

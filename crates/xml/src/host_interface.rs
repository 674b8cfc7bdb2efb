// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<interface>` of the host: how one of its network devices is configured. (A guest's card has the same name:
//! [`crate::domain::interface`].)
//!
//! Invariant: addresses, delays and tags keep their spelling, as in libvirt: the host's own tools judge them.

mod bond;
mod protocol;

use virtus_api::{ErrorDomain, Result};

pub use bond::{ArpMonitor, ArpValidate, Bond, BondMode, Carrier, MiiMonitor};
pub use protocol::{Dhcp, HostIp, HostRoute, Protocol};

use crate::document::Document;
use crate::domain::storage::Named;
use crate::netdev::{DeviceLink, Mtu};
use crate::reader::Node;
use crate::schema::kinds::DeviceName;
use crate::value::{Mac, OnOff};
use crate::writer::{FormatFlags, Writer};

element! {
    /// `<interface>`.
    pub struct HostInterface {
        required kind: HostInterfaceType = "type",
        attr name: String = "name",
        child start: Option<Start> = "start",
        child mtu: Option<Mtu> = "mtu",
        block protocols: Vec<Protocol> = "protocol",
        child link: DeviceLink = "link",
        child mac: Option<HostMac> = "mac",
        block bridge: Option<HostBridge> = "bridge",
        block bond: Option<Bond> = "bond",
        child vlan: Option<HostVlan> = "vlan"
    }
    schema {
        required DeviceName = "name",
        case "type" ["ethernet"] { without child "bridge", without child "bond", without child "vlan" },
        case "type" ["bridge"] { one HostBridge = "bridge", without child "bond", without child "vlan" },
        case "type" ["bond"] { one Bond = "bond", without child "bridge", without child "vlan" },
        case "type" ["vlan"] {
            attr DeviceName = "name", one HostVlan = "vlan", without child "bridge", without child "bond"
        }
    }
    then Self::check
}

spellings! {
    /// What kind of device it is.
    pub enum HostInterfaceType { Ethernet = "ethernet", Bridge = "bridge", Bond = "bond", Vlan = "vlan" }
}

element! {
    /// `<start>`: when the device is configured.
    pub struct Start { required mode: StartMode = "mode" }
}

spellings! {
    /// When a device is configured.
    pub enum StartMode { Onboot = "onboot", None = "none", Hotplug = "hotplug" }
}

element! {
    /// `<mac>`.
    pub struct HostMac { required address: String = "address" }
    schema { required Mac = "address" }
}

element! {
    /// `<bridge>`: its options and its ports.
    pub struct HostBridge {
        attr stp: Option<OnOff> = "stp",
        /// In seconds, which may have a fraction.
        attr delay: Option<String> = "delay",
        block interfaces: Vec<HostInterface> = "interface"
    }
    then Self::check
}

element! {
    /// `<vlan>`: the tag, and the device whose packets have it.
    pub struct HostVlan {
        required tag: String = "tag",
        child interface: Option<Named> = "interface"
    }
    schema { required u16 = "tag", one Named = "interface" }
    then Self::check
}

/// The largest size of a packet that is believed.
const MAX_MTU: u32 = 100_000;

impl HostInterface {
    /// Refuses what lacks its type's element; drops what the type does not have.
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.name.is_empty() {
            return Err(node.error("interface has no name"));
        }
        if self.mtu.as_ref().is_some_and(|mtu| mtu.size > MAX_MTU) {
            return Err(node.error(format_args!("the mtu of an interface is at most {MAX_MTU}")));
        }
        self.mtu.take_if(|mtu| mtu.size == 0);
        let wanted = match self.kind {
            HostInterfaceType::Ethernet => None,
            HostInterfaceType::Bridge => Some(("bridge", self.bridge.is_some())),
            HostInterfaceType::Bond => Some(("bond", self.bond.is_some())),
            HostInterfaceType::Vlan => Some(("vlan", self.vlan.is_some())),
        };
        if let Some((name, false)) = wanted {
            return Err(node.missing_child(name));
        }
        self.mac.take_if(|_| self.kind != HostInterfaceType::Ethernet);
        self.bridge.take_if(|_| self.kind != HostInterfaceType::Bridge);
        self.bond.take_if(|_| self.kind != HostInterfaceType::Bond);
        self.vlan.take_if(|_| self.kind != HostInterfaceType::Vlan);
        if self.kind == HostInterfaceType::Bridge {
            self.link = DeviceLink::default();
        }
        Ok(())
    }

    /// What this port of another interface may be; it has its start, size and addresses from there.
    fn subordinate(&mut self, node: Node<'_>, allowed: &[HostInterfaceType]) -> Result<()> {
        if !allowed.contains(&self.kind) {
            return Err(node.error(format_args!(
                "interface '{}' has unsupported type '{}' here",
                self.name, self.kind
            )));
        }
        (self.start, self.mtu) = (None, None);
        self.protocols.clear();
        Ok(())
    }
}

impl HostBridge {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        const PORTS: [HostInterfaceType; 3] =
            [HostInterfaceType::Ethernet, HostInterfaceType::Bond, HostInterfaceType::Vlan];
        self.interfaces.iter_mut().try_for_each(|port| port.subordinate(node, &PORTS))
    }
}

impl HostVlan {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.interface.is_none() {
            return Err(node.missing_child("interface"));
        }
        Ok(())
    }
}

impl Document for HostInterface {
    const ROOT: &'static str = "interface";
    const WHAT: &'static str = "(interface_definition)";
    const DOMAIN: ErrorDomain = ErrorDomain::Interface;

    fn format(&self, flags: FormatFlags) -> String {
        use crate::reader::Element;
        let mut out = Writer::new(flags);
        out.as_block();
        self.write(Self::ROOT, &mut out);
        out.finish()
    }
}

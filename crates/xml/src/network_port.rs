// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<networkport>`: the place of a guest's card on a virtual network, and what it is plugged into there.

use uuid::Uuid;
use virtus_api::{ErrorDomain, Result};

use crate::document::Document;
use crate::domain::hostdev::HostdevDriver;
use crate::domain::storage::SourcePciAddress;
use crate::netdev::{
    Bandwidth, MacAddress, MacTableManager, Owner, PortOptions, VirtualPort, Vlan,
};
use crate::reader::Node;
use crate::schema::kinds::DeviceName;
use crate::value::YesNo;

element! {
    /// `<networkport>`.
    pub struct NetworkPort {
        leaf uuid: Option<Uuid> = "uuid",
        child owner: Owner = "owner",
        /// The port group.
        leaf group: Option<String> = "group",
        child mac: Option<MacAddress> = "mac",
        child virtualport: Option<VirtualPort> = "virtualport",
        child bandwidth: Bandwidth = "bandwidth",
        child vlan: Option<Vlan> = "vlan",
        child port: PortOptions = "port",
        child rxfilters: RxFilters = "rxfilters",
        child plug: Option<Plug> = "plug"
    }
    schema { one_leaf Uuid = "uuid", one Owner = "owner", leaf DeviceName = "group", one MacAddress = "mac" }
    then Self::check
}

element! {
    /// `<rxfilters>`: whether the guest may choose which packets it receives.
    pub struct RxFilters { attr trust_guest: Option<YesNo> = "trustGuest" }
}

element! {
    /// `<plug>`; the type decides what there is.
    pub struct Plug {
        required kind: PlugType = "type",
        attr bridge: Option<String> = "bridge",
        attr mac_table_manager: Option<MacTableManager> = "macTableManager",
        attr dev: Option<String> = "dev",
        attr mode: Option<DirectMode> = "mode",
        attr managed: Option<YesNo> = "managed",
        child driver: Option<HostdevDriver> = "driver",
        child address: Option<SourcePciAddress> = "address"
    }
    schema {
        case "type" ["network" "bridge"] {
            required DeviceName = "bridge", without attr "dev", without attr "mode", without attr "managed",
            without child "driver", without child "address"
        },
        case "type" ["direct"] {
            required DeviceName = "dev", required DirectMode = "mode", without attr "bridge",
            without attr "macTableManager", without attr "managed", without child "driver", without child "address"
        },
        case "type" ["hostdev-pci"] {
            one SourcePciAddress = "address", without attr "bridge", without attr "macTableManager",
            without attr "dev", without attr "mode"
        }
    }
    then Self::check
}

spellings! {
    /// What a port is plugged into.
    pub enum PlugType {
        None = "none", Network = "network", Bridge = "bridge", Direct = "direct", HostdevPci = "hostdev-pci",
    }
}

spellings! {
    /// How packets leave a macvtap device.
    pub enum DirectMode { Vepa = "vepa", Private = "private", Bridge = "bridge", Passthrough = "passthrough" }
}

impl NetworkPort {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        for name in ["uuid", "owner", "mac"] {
            if node.find(name).is_none() {
                return Err(node.missing_child(name));
            }
        }
        self.group.take_if(|group| group.is_empty());
        self.plug.take_if(|plug| plug.kind == PlugType::None);
        Ok(())
    }
}

impl Plug {
    /// Keeps what the type asks for.
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        let given = std::mem::take(self);
        self.kind = given.kind;
        match given.kind {
            PlugType::None => {}
            PlugType::Network | PlugType::Bridge => {
                if given.bridge.is_none() {
                    return Err(node.missing_attr("bridge"));
                }
                self.bridge = given.bridge;
                self.mac_table_manager = given.mac_table_manager;
            }
            PlugType::Direct => {
                if given.dev.is_none() {
                    return Err(node.missing_attr("dev"));
                }
                self.dev = given.dev;
                self.mode = Some(given.mode.unwrap_or_default());
            }
            PlugType::HostdevPci => {
                let Some(mut address) = given.address else {
                    return Err(node.missing_child("address"));
                };
                address.typed = false;
                self.address = Some(address);
                self.managed = given.managed;
                self.driver = given.driver.filter(|driver| *driver != HostdevDriver::default());
            }
        }
        Ok(())
    }
}

impl Document for NetworkPort {
    const ROOT: &'static str = "networkport";
    const WHAT: &'static str = "(networkport_definition)";
    const DOMAIN: ErrorDomain = ErrorDomain::Network;
}

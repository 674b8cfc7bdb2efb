// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<network>`: a virtual network: a bridge of its own, or a way onto a network that the host has.
//!
//! Invariant: the fields stand in libvirt's order; what only the network driver can refuse (what would not run,
//! though it is a network) is in [`Network::check_supported`], not in [`Document::validate`].

pub mod dhcp;
pub mod dns;
mod dnsmasq;
pub mod forward;
pub mod ip;
mod settle;
mod support;
mod update;
mod validate;

use std::ops::{Deref, DerefMut};

use uuid::Uuid;
use virtus_api::{ErrorDomain, Result};

pub use dns::Dns;
pub use forward::{Forward, ForwardMode};
pub use ip::NetworkIp;

use crate::chance::Chance;
use crate::document::Document;
use crate::domain::metadata::Metadata;
use crate::netdev::{
    Bandwidth, MacAddress, MacTableManager, Mtu, PortOptions, Route, VirtualPort, Vlan,
};
use crate::reader::{Element, Node, ParseFlags, Part, Source};
use crate::schema::{Described, Kind, Shape, kinds};
use crate::slot::AttrSlot;
use crate::value::{OnOff, YesNo};
use crate::writer::Writer;

/// `<network>`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Network {
    pub body: Body,
    /// Lines for the configuration of dnsmasq, which nobody but dnsmasq checks.
    pub dnsmasq: Vec<String>,
}

part! {
    /// What stands in `<network>`. [`Network`] dereferences to it.
    pub struct Body {
        attr connections: Connections = "connections",
        attr ipv6: Option<YesNo> = "ipv6",
        attr trust_guest_rx_filters: Option<YesNo> = "trustGuestRxFilters",
        leaf name: String = "name",
        leaf uuid: Option<Uuid> = "uuid",
        leaf title: Option<String> = "title",
        leaf description: Option<String> = "description",
        child metadata: Option<Metadata> = "metadata",
        child forward: Option<Forward> = "forward",
        child bridge: Bridge = "bridge",
        child mtu: Option<Mtu> = "mtu",
        child mac: Option<MacAddress> = "mac",
        child domain: Option<DnsDomain> = "domain",
        child dns: Dns = "dns",
        child vlan: Option<Vlan> = "vlan",
        child bandwidth: Bandwidth = "bandwidth",
        child port: PortOptions = "port",
        block ips: Vec<NetworkIp> = "ip",
        child routes: Vec<Route> = "route",
        child virtualport: Option<VirtualPort> = "virtualport",
        block portgroups: Vec<Portgroup> = "portgroup"
    }
}

/// How many cards use something now. Never read: whoever counts knows better than a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connections(pub u32);

impl AttrSlot for Connections {
    const KIND: Kind = <u32 as Described>::KIND;
    fn set(&mut self, _: Source<'_>) -> Result<()> {
        Ok(())
    }
    fn write(&self, name: &str, out: &mut Writer) {
        if self.0 > 0 && !out.inactive() {
            out.attr(name, &self.0);
        }
    }
    fn write_text(&self, _: &mut Writer) {}
}

element! {
    /// `<bridge>`: the network's own, or one that the host has.
    pub struct Bridge {
        attr name: Option<String> = "name",
        /// The zone of firewalld.
        attr zone: Option<String> = "zone",
        attr stp: Option<OnOff> = "stp",
        /// In seconds.
        attr delay: Option<u64> = "delay",
        attr mac_table_manager: Option<MacTableManager> = "macTableManager"
    }
    schema {
        attr kinds::DeviceName = "name",
        attr kinds::GenericName = "zone"
    }
}

element! {
    /// `<domain>`: the DNS domain of the guests.
    pub struct DnsDomain {
        required name: String = "name",
        /// Whether names in it are asked of no other server.
        attr local_only: Option<YesNo> = "localOnly",
        /// Whether the host resolves its names too.
        attr register: Option<YesNo> = "register"
    }
}

element! {
    /// `<portgroup>`: what cards that name it (or no other, if it is the default) have alike.
    pub struct Portgroup {
        required name: String = "name",
        attr default: Option<YesNo> = "default",
        attr trust_guest_rx_filters: Option<YesNo> = "trustGuestRxFilters",
        child vlan: Option<Vlan> = "vlan",
        child virtualport: Option<VirtualPort> = "virtualport",
        child bandwidth: Bandwidth = "bandwidth"
    }
    then Self::check
}

impl Portgroup {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.name.is_empty() {
            return Err(node.missing_attr("name"));
        }
        self.default.take_if(|default| !default.is_yes());
        Ok(())
    }
}

impl Deref for Network {
    type Target = Body;
    fn deref(&self) -> &Body {
        &self.body
    }
}

impl DerefMut for Network {
    fn deref_mut(&mut self) -> &mut Body {
        &mut self.body
    }
}

impl Element for Network {
    const SHAPE: &'static Shape = shape!(Network:
        one_leaf String = "name",
        part Body,
        pieces (dnsmasq::PIECES)
    );

    fn read(node: Node<'_>) -> Result<Self> {
        let mut network = Self::default();
        node.fill(&mut network.body)?;
        network.dnsmasq = dnsmasq::read(node)?;
        Ok(network)
    }

    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        dnsmasq::write_namespace(&self.dnsmasq, out);
        self.body.write_attrs(out);
        self.body.write_body(out);
        dnsmasq::write(&self.dnsmasq, out);
        out.end(tag);
    }
}

impl Document for Network {
    const ROOT: &'static str = "network";
    const WHAT: &'static str = "(network_definition)";
    const DOMAIN: ErrorDomain = ErrorDomain::Network;

    fn settle(&mut self, _: ParseFlags) -> Result<()> {
        settle::settle(self);
        Ok(())
    }

    fn validate(&self) -> Result<()> {
        validate::validate(self)
    }
}

impl Network {
    /// How packets leave the network.
    #[must_use]
    pub fn mode(&self) -> ForwardMode {
        self.forward.as_ref().map_or(ForwardMode::None, |forward| forward.mode)
    }

    /// Gives the network a UUID if it has none.
    pub fn name_missing(&mut self, random: &mut dyn FnMut(&mut [u8])) {
        self.body.uuid.get_or_insert_with(|| Chance(random).uuid());
    }

    /// Gives the bridge an address if it is the network's own and has none.
    pub fn address_bridge(&mut self, mac_prefix: [u8; 3], random: &mut dyn FnMut(&mut [u8])) {
        if self.mode().has_own_bridge() {
            let address = || MacAddress { address: Chance(random).mac(mac_prefix) };
            self.body.mac.get_or_insert_with(address);
        }
    }
}

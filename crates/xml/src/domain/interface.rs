// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<interface>`: a network card of the guest and what it is plugged into.

use uuid::Uuid;

use super::device::{Device, VirtioOptions};
use super::storage::{Named, Reconnect, SourcePciAddress};
use crate::netdev::{Bandwidth, Mtu, PortOptions, Route, VirtualPort, Vlan};
use crate::nwfilter::FilterRef;
use crate::schema::kinds;
use crate::tree::Tree;
use crate::value::{Mac, OnOff, YesNo};

spellings! {
    /// What a card is plugged into.
    pub enum InterfaceType {
        Network = "network", Bridge = "bridge", User = "user", Ethernet = "ethernet",
        Direct = "direct", Hostdev = "hostdev", VhostUser = "vhostuser", Vdpa = "vdpa",
        Server = "server", Client = "client", Mcast = "mcast", Udp = "udp",
        Internal = "internal", Null = "null", Vds = "vds",
    }
}

element! {
    /// `<interface>`.
    pub struct Interface {
        required kind: InterfaceType = "type",
        attr managed: Option<YesNo> = "managed",
        attr trust_guest_rx_filters: Option<YesNo> = "trustGuestRxFilters",
        child mac: Option<InterfaceMac> = "mac",
        child source: Option<InterfaceSource> = "source",
        status actual: Option<Box<ActualNetwork>> = "actual",
        child vlan: Option<Vlan> = "vlan",
        child virtualport: Option<Box<VirtualPort>> = "virtualport",
        child bandwidth: Option<Box<Bandwidth>> = "bandwidth",
        child port: Option<PortOptions> = "port",
        child ips: Vec<Ip> = "ip",
        child routes: Vec<Route> = "route",
        child port_forwards: Vec<PortForward> = "portForward",
        child script: Option<Script> = "script",
        child downscript: Option<Script> = "downscript",
        child backenddomain: Option<Named> = "backenddomain",
        child target: Option<InterfaceTarget> = "target",
        child guest: Option<GuestEnd> = "guest",
        child model: Option<InterfaceModel> = "model",
        child driver: Option<Box<InterfaceDriver>> = "driver",
        child backend: Option<Box<InterfaceBackend>> = "backend",
        child teaming: Option<Teaming> = "teaming",
        child filterref: Option<FilterRef> = "filterref",
        child tune: Option<Tune> = "tune",
        child link: Option<Link> = "link",
        child mtu: Option<Mtu> = "mtu",
        child coalesce: Option<Coalesce> = "coalesce",
        part info: Device
    }
}

element! {
    /// `<mac>`.
    pub struct InterfaceMac {
        required address: Mac = "address",
        attr kind: Option<MacType> = "type",
        attr check: Option<YesNo> = "check",
        attr current_address: Option<Mac> = "currentAddress"
    }
    schema {
        required kinds::UnicastMac = "address",
        attr kinds::UnicastMac = "currentAddress"
    }
}

spellings! {
    /// Who chose an address.
    pub enum MacType { Generated = "generated", Static = "static" }
}

element! {
    /// `<source>` of a card; the interface's type decides which attributes there are.
    pub struct InterfaceSource {
        attr network: Option<String> = "network",
        attr portgroup: Option<String> = "portgroup",
        attr switchid: Option<Uuid> = "switchid",
        attr portid: Option<String> = "portid",
        attr portgroupid: Option<String> = "portgroupid",
        attr connectionid: Option<String> = "connectionid",
        attr kind: Option<String> = "type",
        attr dev: Option<String> = "dev",
        attr bridge: Option<String> = "bridge",
        attr path: Option<String> = "path",
        attr address: Option<String> = "address",
        attr port: Option<u32> = "port",
        attr mode: Option<String> = "mode",
        attr name: Option<String> = "name",
        attr mac_table_manager: Option<String> = "macTableManager",
        child pci_address: Option<SourcePciAddress> = "address",
        child local: Option<UdpEnd> = "local",
        child reconnect: Option<Reconnect> = "reconnect",
        child ips: Vec<Ip> = "ip",
        child routes: Vec<Route> = "route"
    }
}

element! {
    /// `<actual>`: what a card of a virtual network is really plugged into.
    pub struct ActualNetwork {
        required kind: InterfaceType = "type",
        attr managed: Option<YesNo> = "managed",
        attr trust_guest_rx_filters: Option<YesNo> = "trustGuestRxFilters",
        child source: Option<InterfaceSource> = "source",
        child vlan: Option<Vlan> = "vlan",
        child virtualport: Option<Box<VirtualPort>> = "virtualport",
        child bandwidth: Option<Box<Bandwidth>> = "bandwidth",
        child class: Option<Tree> = "class",
        child port: Option<PortOptions> = "port",
        child driver: Option<Box<InterfaceDriver>> = "driver"
    }
}

element! {
    /// `<local>`: this end of a UDP tunnel.
    pub struct UdpEnd {
        required address: String = "address",
        required port: u32 = "port"
    }
}

element! {
    /// `<ip>`: an address of the guest's side.
    pub struct Ip {
        required address: String = "address",
        attr family: Option<String> = "family",
        attr prefix: Option<u32> = "prefix",
        attr peer: Option<String> = "peer"
    }
}

element! {
    /// `<portForward>`: ports of the host that lead into the guest.
    pub struct PortForward {
        required proto: ForwardProto = "proto",
        attr address: Option<String> = "address",
        attr dev: Option<String> = "dev",
        child ranges: Vec<PortRange> = "range"
    }
}

spellings! {
    /// Protocols that are forwarded.
    pub enum ForwardProto { Tcp = "tcp", Udp = "udp" }
}

element! {
    /// `<range>` of ports.
    pub struct PortRange {
        required start: u32 = "start",
        attr end: Option<u32> = "end",
        attr to: Option<u32> = "to",
        attr exclude: Option<YesNo> = "exclude"
    }
}

element! {
    /// `<script path='…'/>`.
    pub struct Script { required path: String = "path" }
}

element! {
    /// `<target>`: the tap device on the host.
    pub struct InterfaceTarget {
        attr dev: Option<String> = "dev",
        attr managed: Option<YesNo> = "managed"
    }
}

element! {
    /// `<guest>`: the name inside a container.
    pub struct GuestEnd {
        attr dev: Option<String> = "dev",
        attr actual: Option<String> = "actual"
    }
}

element! {
    /// `<model type='virtio'/>`. Any name: QEMU has models that we need not know.
    pub struct InterfaceModel { required kind: String = "type" }
    schema {
        required kinds::CardModel = "type"
    }
}

impl InterfaceModel {
    /// A name that libvirt knows may be written in any case; what it does not know is kept as it is.
    pub(crate) fn settle(&mut self) {
        const KNOWN: [&str; 21] = [
            "netfront",
            "rtl8139",
            "virtio",
            "e1000",
            "e1000e",
            "igb",
            "virtio-transitional",
            "virtio-non-transitional",
            "usb-net",
            "spapr-vlan",
            "lan9118",
            "smc91c111",
            "vlance",
            "vmxnet",
            "vmxnet2",
            "vmxnet3",
            "Am79C970A",
            "Am79C973",
            "82540EM",
            "82545EM",
            "82543GC",
        ];
        if let Some(known) = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(&self.kind)) {
            self.kind = (*known).to_owned();
        }
    }
}

element! {
    /// `<driver>` of a card.
    pub struct InterfaceDriver {
        attr name: Option<String> = "name",
        attr model: Option<String> = "model",
        attr txmode: Option<String> = "txmode",
        attr ioeventfd: Option<OnOff> = "ioeventfd",
        attr event_idx: Option<OnOff> = "event_idx",
        attr queues: Option<u32> = "queues",
        attr rx_queue_size: Option<u32> = "rx_queue_size",
        attr tx_queue_size: Option<u32> = "tx_queue_size",
        attr rss: Option<OnOff> = "rss",
        attr rss_hash_report: Option<OnOff> = "rss_hash_report",
        part virtio: VirtioOptions,
        child host: Option<HostOffloads> = "host",
        child guest: Option<GuestOffloads> = "guest"
    }
}

element! {
    /// `<host>`: what the host's side offloads.
    pub struct HostOffloads {
        attr csum: Option<OnOff> = "csum",
        attr gso: Option<OnOff> = "gso",
        attr tso4: Option<OnOff> = "tso4",
        attr tso6: Option<OnOff> = "tso6",
        attr ecn: Option<OnOff> = "ecn",
        attr ufo: Option<OnOff> = "ufo",
        attr mrg_rxbuf: Option<OnOff> = "mrg_rxbuf"
    }
}

element! {
    /// `<guest>`: what the guest's side offloads.
    pub struct GuestOffloads {
        attr csum: Option<OnOff> = "csum",
        attr tso4: Option<OnOff> = "tso4",
        attr tso6: Option<OnOff> = "tso6",
        attr ecn: Option<OnOff> = "ecn",
        attr ufo: Option<OnOff> = "ufo"
    }
}

element! {
    /// `<backend>`: what on the host moves the packets.
    pub struct InterfaceBackend {
        attr kind: Option<String> = "type",
        attr tap: Option<String> = "tap",
        attr vhost: Option<String> = "vhost",
        attr log_file: Option<String> = "logFile"
    }
}

element! {
    /// `<tune>`.
    pub struct Tune { leaf sndbuf: Option<u64> = "sndbuf" }
}

element! {
    /// `<link state='down'/>`.
    pub struct Link { required state: LinkState = "state" }
}

spellings! {
    /// Whether the cable is plugged.
    pub enum LinkState { Up = "up", Down = "down" }
}

element! {
    /// `<coalesce>`: how interrupts are gathered.
    pub struct Coalesce { child rx: Option<CoalesceRx> = "rx" }
}

element! {
    /// The receiving side.
    pub struct CoalesceRx { child frames: Option<CoalesceFrames> = "frames" }
}

element! {
    /// At most so many frames.
    pub struct CoalesceFrames { attr max: Option<u32> = "max" }
}

element! {
    /// `<teaming>`: two cards that stand in for each other during a migration.
    pub struct Teaming {
        required kind: TeamingType = "type",
        attr persistent: Option<String> = "persistent"
    }
}

spellings! {
    /// Which half of a team a card is.
    pub enum TeamingType { Persistent = "persistent", Transient = "transient" }
}

impl Interface {
    /// The MAC address, if it is chosen already.
    #[must_use]
    pub fn mac_address(&self) -> Option<Mac> {
        self.mac.as_ref().map(|mac| mac.address)
    }

    /// What the card is really plugged into: a card of a virtual network goes where the network sends it.
    #[must_use]
    pub fn plugged_kind(&self) -> InterfaceType {
        self.actual.as_ref().map_or(self.kind, |actual| actual.kind)
    }

    /// The `<source>` that goes with [`Self::plugged_kind`].
    #[must_use]
    pub fn plugged_source(&self) -> Option<&InterfaceSource> {
        self.actual.as_ref().map_or(self.source.as_ref(), |actual| actual.source.as_ref())
    }

    /// The limits that hold for [`Self::plugged_kind`].
    #[must_use]
    pub fn plugged_bandwidth(&self) -> Option<&Bandwidth> {
        self.actual.as_ref().map_or(self.bandwidth.as_deref(), |actual| actual.bandwidth.as_deref())
    }

    /// The VLANs that hold for [`Self::plugged_kind`].
    #[must_use]
    pub fn plugged_vlan(&self) -> Option<&Vlan> {
        self.actual.as_ref().map_or(self.vlan.as_ref(), |actual| actual.vlan.as_ref())
    }

    /// The port profile that holds for [`Self::plugged_kind`].
    #[must_use]
    pub fn plugged_virtualport(&self) -> Option<&VirtualPort> {
        let own = self.virtualport.as_deref();
        self.actual.as_ref().map_or(own, |actual| actual.virtualport.as_deref())
    }

    /// How its port on a switch is set up, where it is on one.
    #[must_use]
    pub fn plugged_port(&self) -> Option<&PortOptions> {
        self.actual.as_ref().map_or(self.port.as_ref(), |actual| actual.port.as_ref())
    }

    /// Says what the card is really plugged into in the place of what was asked for, as users see it of a running
    /// guest; the network's name stays.
    pub fn show_actual(&mut self) {
        let Some(actual) = self.actual.take() else { return };
        let asked = self.source.take().unwrap_or_default();
        self.kind = actual.kind;
        self.source = Some(InterfaceSource {
            network: asked.network,
            portgroup: asked.portgroup,
            portid: asked.portid,
            ..actual.source.unwrap_or_default()
        });
        self.vlan = actual.vlan;
        self.virtualport = actual.virtualport;
        self.bandwidth = actual.bandwidth;
        self.port = actual.port;
    }

    /// The tap device's name on the host.
    #[must_use]
    pub fn target_dev(&self) -> Option<&str> {
        self.target.as_ref().and_then(|target| target.dev.as_deref())
    }
}

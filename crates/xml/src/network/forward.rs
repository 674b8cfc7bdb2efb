// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<forward>`: how packets leave the network, and through which devices.

use virtus_api::Result;

use super::Connections;
use crate::domain::hostdev::HostdevDriver;
use crate::domain::storage::SourcePciAddress;
use crate::ip::{Family, IpAddress, range_size};
use crate::reader::Node;
use crate::schema::kinds;
use crate::value::YesNo;

element! {
    /// `<forward>`. `dev` is the first of `interfaces`; it and they are one list.
    pub struct Forward {
        attr dev: Option<String> = "dev",
        attr mode: ForwardMode = "mode",
        /// Whether a host device is taken from its driver and given back; for [`ForwardMode::Hostdev`] only.
        attr managed: Option<YesNo> = "managed",
        child driver: Option<HostdevDriver> = "driver",
        child nat: Option<Nat> = "nat",
        child pf: Option<PhysicalFunction> = "pf",
        child interfaces: Vec<ForwardInterface> = "interface",
        child addresses: Vec<SourcePciAddress> = "address"
    }
    schema {
        attr kinds::DeviceName = "dev"
    }
    then Self::check
}

spellings! {
    /// How packets leave a network.
    pub enum ForwardMode {
        Nat = "nat", None = "none", Route = "route", Open = "open", Bridge = "bridge", Private = "private",
        Vepa = "vepa", Passthrough = "passthrough", Hostdev = "hostdev",
    }
}

impl ForwardMode {
    /// Whether such a network has a bridge that is made for it.
    #[must_use]
    pub fn has_own_bridge(self) -> bool {
        matches!(self, Self::None | Self::Nat | Self::Route | Self::Open)
    }
}

element! {
    /// `<interface>` and `<address>` of a pool of devices.
    pub struct ForwardInterface {
        required dev: String = "dev",
        attr connections: Connections = "connections"
    }
    schema {
        required kinds::DeviceName = "dev"
    }
}

element! {
    /// `<pf>`: the physical function whose virtual functions are the pool.
    pub struct PhysicalFunction { required dev: String = "dev" }
    schema {
        required kinds::DeviceName = "dev"
    }
}

element! {
    /// `<nat>`: as whom the guests speak.
    pub struct Nat {
        attr ipv6: Option<YesNo> = "ipv6",
        child address: Option<NatAddresses> = "address",
        child port: Option<NatPorts> = "port"
    }
    then Self::check
}

element! {
    /// `<address>`: IPv4 addresses of the host.
    pub struct NatAddresses {
        required start: IpAddress = "start",
        required end: IpAddress = "end"
    }
    then Self::check
}

element! {
    /// `<port>`: ports of the host.
    pub struct NatPorts {
        required start: u16 = "start",
        required end: u16 = "end"
    }
    then Self::check
}

impl Forward {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        for (name, what) in [("nat", "nat"), ("pf", "physical function")] {
            if node.children().filter(|child| child.name() == name).nth(1).is_some() {
                return Err(
                    node.error(format_args!("only one <{name}> ({what}) is allowed in <forward>"))
                );
            }
        }
        if self.nat.is_some() && self.mode != ForwardMode::Nat {
            return Err(
                node.error(format_args!("<nat> needs forward mode 'nat', not '{}'", self.mode))
            );
        }
        if let Some(name) = self.driver.as_ref().and_then(|driver| driver.name.as_deref())
            && !["kvm", "vfio", "xen"].contains(&name)
        {
            return Err(
                node.error(format_args!("unknown forward <driver name='{name}'/>: kvm, vfio, xen"))
            );
        }
        for address in node.children().filter(|child| child.name() == "address") {
            let kind: String = address.need("type")?;
            if kind != "pci" {
                return Err(address.error(format_args!("unknown address type '{kind}': pci")));
            }
        }
        self.settle_pool(node)
    }

    /// Makes one list of `dev` and the interfaces; of interfaces, addresses and a physical function only the first
    /// that is there counts.
    fn settle_pool(&mut self, node: Node<'_>) -> Result<()> {
        self.dev.take_if(|dev| dev.is_empty());
        if let Some(dev) = &self.dev {
            if !self.addresses.is_empty() || self.pf.is_some() {
                return Err(node.error(
                    "the attribute 'dev' cannot be used when <address> or <pf> elements are present",
                ));
            }
            match self.interfaces.first() {
                None => self
                    .interfaces
                    .push(ForwardInterface { dev: dev.clone(), ..Default::default() }),
                Some(first) if first.dev == *dev => {}
                Some(first) => {
                    return Err(node.error(format_args!(
                        "<forward dev='{dev}'> must match the first <interface dev='{}'/>",
                        first.dev
                    )));
                }
            }
        }
        self.dev = self.interfaces.first().map(|first| first.dev.clone());
        if !self.interfaces.is_empty() {
            self.addresses.clear();
        }
        if !self.interfaces.is_empty() || !self.addresses.is_empty() {
            self.pf = None;
        }
        if self.mode == ForwardMode::Hostdev {
            self.managed.get_or_insert(YesNo::No);
        } else {
            self.managed = None;
        }
        self.driver.take_if(|driver| *driver == HostdevDriver::default());
        self.nat.take_if(|nat| *nat == Nat::default());
        Ok(())
    }
}

impl Nat {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        for name in ["address", "port"] {
            if node.children().filter(|child| child.name() == name).nth(1).is_some() {
                return Err(node.error(format_args!("only one <{name}> is allowed in <nat>")));
            }
        }
        self.port.take_if(|port| port.end == 0);
        Ok(())
    }
}

impl NatAddresses {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        let Self { start, end } = self;
        if start.family() != Family::Ipv4 || end.family() != Family::Ipv4 {
            return Err(node.error("the addresses of <nat> must be IPv4 addresses"));
        }
        range_size(*start, *end, None)
            .map(|_| ())
            .map_err(|why| node.error(why.about(*start, *end, None)))
    }
}

impl NatPorts {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.end < self.start {
            return Err(
                node.error(format_args!("bad range of ports {} - {}", self.start, self.end))
            );
        }
        Ok(())
    }
}

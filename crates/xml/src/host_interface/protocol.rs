// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<protocol>`: the addresses of a family, and where they come from.

use virtus_api::Result;

use crate::ip::{Family, IpAddress};
use crate::reader::Node;
use crate::value::YesNo;

element! {
    /// `<protocol>`.
    pub struct Protocol {
        required family: Family = "family",
        /// Whether routers say which addresses there are; for IPv6 only.
        flag autoconf: bool = "autoconf",
        child dhcp: Option<Dhcp> = "dhcp",
        child ips: Vec<HostIp> = "ip",
        child route: Option<HostRoute> = "route"
    }
    schema { case "family" ["ipv4"] { without child "autoconf" } }
    then Self::check
}

element! {
    /// `<dhcp>`: a server says it.
    pub struct Dhcp {
        /// Whether its name servers are used.
        attr peerdns: Option<YesNo> = "peerdns"
    }
}

element! {
    /// `<ip>`: a fixed address.
    pub struct HostIp {
        required address: String = "address",
        attr prefix: Option<u32> = "prefix"
    }
    schema { required IpAddress = "address" }
    then Self::check
}

element! {
    /// `<route>`: where packets for everyone else go.
    pub struct HostRoute { required gateway: String = "gateway" }
    schema { required IpAddress = "gateway" }
}

impl Protocol {
    fn check(&mut self, _: Node<'_>) -> Result<()> {
        self.autoconf &= self.family == Family::Ipv6;
        Ok(())
    }
}

impl HostIp {
    fn check(&mut self, _: Node<'_>) -> Result<()> {
        self.prefix.take_if(|prefix| *prefix == 0);
        Ok(())
    }
}

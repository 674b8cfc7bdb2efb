// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<ip>`: an address of the host on the network, and what is served there.

use virtus_api::Result;

use super::dhcp::{Dhcp, DhcpHost, DhcpRange};
use crate::ip::{Family, IpAddress, range_size};
use crate::reader::Node;
use crate::value::{Mac, Value, YesNo};

element! {
    /// `<ip>`.
    pub struct NetworkIp {
        attr family: Option<Family> = "family",
        required address: IpAddress = "address",
        attr netmask: Option<IpAddress> = "netmask",
        attr prefix: Option<u32> = "prefix",
        /// Whether the server answers for the addresses' names in reverse.
        attr local_ptr: Option<YesNo> = "localPtr",
        child tftp: Option<Tftp> = "tftp",
        child dhcp: Option<Dhcp> = "dhcp"
    }
    schema {
        attr IpAddress = "address"
    }
    then Self::check
}

element! {
    /// `<tftp>`: the folder that is served.
    pub struct Tftp { attr root: Option<String> = "root" }
}

impl NetworkIp {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        let family = self.family.unwrap_or_default();
        if self.address.family() != family {
            return Err(node.error(format_args!(
                "address '{}' is not of family '{family}'; without 'family' it is ipv4",
                self.address
            )));
        }
        self.prefix.take_if(|prefix| *prefix == 0);
        if self.prefix.is_some_and(|prefix| prefix > family.width()) {
            return Err(node.error(format_args!("the prefix must be 0 - {}", family.width())));
        }
        if let Some(mask) = self.netmask {
            if family == Family::Ipv6 {
                return Err(node.error("an IPv6 address takes a prefix, not a netmask"));
            }
            if mask.family() != Family::Ipv4 || mask.prefix_of_mask().is_none() {
                return Err(node.error(format_args!("'{mask}' is not a netmask")));
            }
            if self.prefix.is_some() {
                return Err(node.error("an address cannot have both a prefix and a netmask"));
            }
        }
        if self.tftp.is_some() && family == Family::Ipv6 {
            return Err(node.error("<tftp> is served at an IPv4 address only"));
        }
        self.tftp.take_if(|tftp| tftp.root.as_ref().is_none_or(String::is_empty));
        self.check_dhcp(node)
    }

    fn check_dhcp(&mut self, node: Node<'_>) -> Result<()> {
        let Some(dhcp) = &mut self.dhcp else { return Ok(()) };
        if self.address.family() == Family::Ipv6 {
            dhcp.bootp = None;
        }
        if dhcp.ranges.is_empty() && dhcp.hosts.is_empty() {
            self.dhcp = None;
        }
        let (Some(dhcp), Some(place)) = (&self.dhcp, node.find("dhcp")) else { return Ok(()) };
        let called = |name| place.children().filter(move |child| child.name() == name);
        for (range, place) in dhcp.ranges.iter().zip(called("range")) {
            self.check_range(range, place)?;
        }
        for (host, place) in dhcp.hosts.iter().zip(called("host")) {
            self.check_host(host, place, false)?;
        }
        Ok(())
    }

    /// Whether the server at this address can hand out `range`.
    pub(super) fn check_range(&self, range: &DhcpRange, place: Node<'_>) -> Result<()> {
        let Some(prefix) = self.network_prefix() else {
            return Err(
                place.error(format_args!("{} has no prefix to check a range by", self.address))
            );
        };
        let network = Some((self.address, prefix));
        range_size(range.start, range.end, network)
            .map(|_| ())
            .map_err(|why| place.error(why.about(range.start, range.end, network)))
    }

    /// Whether the server at this address can know `host`; of a pattern (`partial`) any one field is enough.
    pub(super) fn check_host(&self, host: &DhcpHost, place: Node<'_>, partial: bool) -> Result<()> {
        let ipv6 = self.address.family() == Family::Ipv6;
        if let Some(mac) = &host.mac {
            if ipv6 {
                return Err(place.error("an IPv6 host is known by its id, not by a MAC address"));
            }
            match Mac::parse(mac) {
                None => return Err(place.error(format_args!("cannot parse MAC address '{mac}'"))),
                Some(mac) if mac.is_multicast() => {
                    return Err(
                        place.error(format_args!("expected unicast MAC address, found '{mac}'"))
                    );
                }
                Some(_) => {}
            }
        }
        if partial {
            if host.mac.is_none() && host.name.is_none() && host.ip.is_none() {
                return Err(place.error("a host is looked for by 'name', 'mac' or 'ip'"));
            }
            return Ok(());
        }
        let known_by = if ipv6 { &host.id } else { &host.mac };
        if known_by.is_none() && host.name.is_none() {
            let known_by = if ipv6 { "id" } else { "mac" };
            return Err(place
                .error(format_args!("static host definition must have '{known_by}' or 'name'")));
        }
        if host.ip.is_none() {
            return Err(place.missing_attr("ip"));
        }
        Ok(())
    }

    /// How many bits of the address are the network's; `None` if nothing says so.
    #[must_use]
    pub fn network_prefix(&self) -> Option<u32> {
        self.prefix
            .or_else(|| self.netmask.and_then(IpAddress::prefix_of_mask))
            .or_else(|| self.address.natural_prefix())
    }
}

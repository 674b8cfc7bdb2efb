// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<dhcp>`: which addresses are handed out, for how long, and from where guests boot. What an address may be is
//! decided by the `<ip>` around it ([`NetworkIp`](super::NetworkIp)).

use virtus_api::Result;

use crate::ip::IpAddress;
use crate::reader::Node;
use crate::value::Mac;

element! {
    /// `<dhcp>`.
    pub struct Dhcp {
        child ranges: Vec<DhcpRange> = "range",
        child hosts: Vec<DhcpHost> = "host",
        child bootp: Option<Bootp> = "bootp"
    }
}

element! {
    /// `<range>`: addresses for whoever asks.
    pub struct DhcpRange {
        required start: IpAddress = "start",
        required end: IpAddress = "end",
        child lease: Lease = "lease"
    }
}

element! {
    /// `<host>`: the address of one guest, which is known by its MAC address, its DUID or its name.
    pub struct DhcpHost {
        /// As it was written: libvirt keeps its spelling.
        attr mac: Option<String> = "mac",
        attr id: Option<String> = "id",
        attr name: Option<String> = "name",
        attr ip: Option<IpAddress> = "ip",
        child lease: Lease = "lease"
    }
    schema { attr Mac = "mac", required IpAddress = "ip" }
    then Self::check
}

element! {
    /// `<lease>`: how long an address is kept; 0 is for ever.
    pub struct Lease {
        attr expiry: Option<u64> = "expiry",
        attr unit: Option<LeaseUnit> = "unit"
    }
    schema { required u64 = "expiry" }
    then Self::check
}

spellings! {
    /// In what a lease is measured.
    pub enum LeaseUnit { Minutes = "minutes", Seconds = "seconds", Hours = "hours" }
}

element! {
    /// `<bootp>`: what a guest boots from the network, and from which server if not this one.
    pub struct Bootp {
        required file: String = "file",
        attr server: Option<IpAddress> = "server"
    }
}

impl Lease {
    /// dnsmasq knows no lease of less than two minutes.
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        let unit = self.unit.unwrap_or_default();
        let (expiry, unit) = match (self.expiry, unit) {
            (None, _) => (None, None),
            (Some(0), _) => (Some(0), None),
            (Some(1..120), LeaseUnit::Seconds) | (Some(1), LeaseUnit::Minutes) => {
                return Err(node.error("the minimum lease time is 2 minutes"));
            }
            (expiry, unit) => (expiry, Some(unit)),
        };
        *self = Self { expiry, unit };
        Ok(())
    }
}

impl DhcpHost {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if let Some(id) = &self.id
            && let Some(bad) = id.chars().find(|c| !c.is_ascii_hexdigit() && *c != ':')
        {
            return Err(node.error(format_args!("invalid character '{bad}' in id '{id}'")));
        }
        if let Some(name) = &self.name
            && !name.starts_with(|c: char| c.is_ascii_alphanumeric())
        {
            return Err(node.error(format_args!("cannot use host name '{name}'")));
        }
        Ok(())
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Updates of what is handed out at an address: hosts and ranges.

use virtus_api::Result;

use super::{Change, place, positions, refused, unmodifiable};
use crate::network::Network;
use crate::network::dhcp::{Dhcp, DhcpHost, DhcpRange};
use crate::reader::Node;
use crate::value::{Mac, Value};

impl Network {
    pub(super) fn update_dhcp_host(
        &mut self,
        change: Change,
        parent: i32,
        root: Node<'_>,
    ) -> Result<()> {
        let entry: DhcpHost = self.read_entry(root, "host")?;
        let index = self.dhcp_parent(parent, "dhcp host entry")?;
        let ip = &self.ips[index];
        if change != Change::Delete && entry.ip.is_none() {
            return Err(root.error(format_args!(
                "Missing IP address in static host definition for network '{}'",
                self.name
            )));
        }
        ip.check_host(&entry, root, change == Change::Delete)?;
        let family = entry.ip.map(crate::ip::IpAddress::family);
        if change != Change::Delete && family != Some(ip.address.family()) {
            return Err(self.invalid("the family of a host's address must be that of its <ip>"));
        }
        let hosts = ip.dhcp.as_ref().map_or(&[][..], |dhcp| &dhcp.hosts);
        let found = if change == Change::Delete {
            positions(hosts, |known| meets_pattern(known, &entry))
        } else {
            positions(hosts, |known| collides(known, &entry))
        };
        let exists = || self.existing("dhcp host entry", &shown(&entry));
        let place = place(change, &found, exists, || self.lacking("dhcp host entry"))?;
        self.refuse_second_server(change, index)?;
        self.edit_dhcp(index, |dhcp| place.apply(change, &mut dhcp.hosts, entry));
        Ok(())
    }

    pub(super) fn update_dhcp_range(
        &mut self,
        change: Change,
        parent: i32,
        root: Node<'_>,
    ) -> Result<()> {
        if change == Change::Modify {
            return Err(unmodifiable("dhcp ranges"));
        }
        let entry: DhcpRange = self.read_entry(root, "range")?;
        let index = self.dhcp_parent(parent, "dhcp range entry")?;
        let ip = &self.ips[index];
        ip.check_range(&entry, root)?;
        let ranges = ip.dhcp.as_ref().map_or(&[][..], |dhcp| &dhcp.ranges);
        let found = positions(ranges, |known| (known.start, known.end) == (entry.start, entry.end));
        let shown = format!("<range start='{}' end='{}'/>", entry.start, entry.end);
        let exists = || self.existing("dhcp range entry", &shown);
        let place = place(change, &found, exists, || self.lacking("dhcp range entry"))?;
        self.refuse_second_server(change, index)?;
        self.edit_dhcp(index, |dhcp| place.apply(change, &mut dhcp.ranges, entry));
        Ok(())
    }

    /// Which `<ip>` is meant, for an update of `what`.
    fn dhcp_parent(&self, parent: i32, what: &str) -> Result<usize> {
        if let Ok(index) = usize::try_from(parent) {
            if index < self.ips.len() {
                return Ok(index);
            }
            let name = &self.name;
            return Err(refused(format!(
                "couldn't update {what} - no <ip> element found at index {index} in network '{name}'"
            )));
        }
        let serving = self.ips.iter().position(|ip| ip.dhcp.is_some());
        let first_v4 = || self.ips.iter().position(|ip| ip.address.0.is_ipv4());
        let first = serving.or_else(first_v4).or((!self.ips.is_empty()).then_some(0));
        first.ok_or_else(|| self.invalid("no <ip> element found"))
    }

    /// One address of a family serves DHCP.
    fn refuse_second_server(&self, change: Change, index: usize) -> Result<()> {
        let family = self.ips[index].address.family();
        let other = self
            .ips
            .iter()
            .enumerate()
            .any(|(at, ip)| at != index && ip.address.family() == family && ip.dhcp.is_some());
        if matches!(change, Change::AddFirst | Change::AddLast) && other {
            return Err(self.invalid(format_args!(
                "dhcp is supported only for a single {family} address on each network"
            )));
        }
        Ok(())
    }

    fn edit_dhcp(&mut self, index: usize, edit: impl FnOnce(&mut Dhcp)) {
        let slot = &mut self.body.ips[index].dhcp;
        edit(slot.get_or_insert_default());
        slot.take_if(|dhcp| dhcp.ranges.is_empty() && dhcp.hosts.is_empty());
    }
}

fn same_mac(a: Option<&String>, b: Option<&String>) -> Option<bool> {
    Some(Mac::parse(a?) == Mac::parse(b?))
}

/// Whether two hosts cannot both be there: same card, same name or same address.
fn collides(known: &DhcpHost, entry: &DhcpHost) -> bool {
    same_mac(known.mac.as_ref(), entry.mac.as_ref()) == Some(true)
        || (entry.name.is_some() && entry.name == known.name)
        || (entry.ip.is_some() && entry.ip == known.ip)
}

/// Whether a host has all that the pattern says.
fn meets_pattern(known: &DhcpHost, pattern: &DhcpHost) -> bool {
    same_mac(known.mac.as_ref(), pattern.mac.as_ref()) != Some(false)
        && (pattern.name.is_none() || pattern.name == known.name)
        && (pattern.ip.is_none() || pattern.ip == known.ip)
}

fn shown(host: &DhcpHost) -> String {
    let mut shown = String::from("<host");
    let ip = host.ip.map(|ip| ip.to_string());
    for (name, value) in [("mac", &host.mac), ("name", &host.name), ("ip", &ip)] {
        if let Some(value) = value {
            shown.push_str(&format!(" {name}='{value}'"));
        }
    }
    shown + "/>"
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Updates of what the name server answers.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::{Change, Place, place, positions, refused, unmodifiable};
use crate::network::Network;
use crate::network::dns::{DnsHost, Srv, Txt};
use crate::reader::Node;

impl Network {
    pub(super) fn update_dns_host(&mut self, change: Change, root: Node<'_>) -> Result<()> {
        let nameless = root.attr("ip").is_some() && root.find("hostname").is_none();
        if root.name() == "host" && nameless && change != Change::Delete {
            let name = &self.name;
            return Err(incomplete(format!(
                "Missing hostname in network '{name}' DNS HOST record"
            )));
        }
        let entry: DnsHost = self.read_entry(root, "host")?;
        let same_ip = |known: &DnsHost| entry.ip.is_some() && known.ip == entry.ip;
        let shares_name =
            |known: &DnsHost| entry.names.iter().any(|name| known.names.contains(name));
        // A name may well have several addresses, so only a pattern is held against names.
        let pattern = change == Change::Delete;
        let found =
            positions(&self.dns.hosts, |known| same_ip(known) || (pattern && shares_name(known)));
        let exists = "at least one DNS HOST record with a matching field";
        let place = self.dns_place(change, &found, "DNS HOST record", exists)?;
        place.apply(change, &mut self.body.dns.hosts, entry);
        Ok(())
    }

    pub(super) fn update_dns_txt(&mut self, change: Change, root: Node<'_>) -> Result<()> {
        if root.name() == "txt" && root.attr("name").is_none() {
            return Err(incomplete(format!(
                "missing required name attribute in DNS TXT record of network {}",
                self.name
            )));
        }
        let entry: Txt = self.read_entry(root, "txt")?;
        let found = positions(&self.dns.txts, |known| known.name == entry.name);
        let exists = format!("a DNS TXT record with name '{}'", entry.name);
        let place = self.dns_place(change, &found, "DNS TXT record", &exists)?;
        place.apply(change, &mut self.body.dns.txts, entry);
        Ok(())
    }

    pub(super) fn update_dns_srv(&mut self, change: Change, root: Node<'_>) -> Result<()> {
        if change == Change::Modify {
            return Err(unmodifiable("DNS SRV records"));
        }
        let entry: Srv = self.read_entry(root, "srv")?;
        let agrees =
            |asked: &Option<String>, known: &Option<String>| asked.is_none() || asked == known;
        let found = positions(&self.dns.srvs, |known| {
            agrees(&entry.domain, &known.domain)
                && agrees(&entry.service, &known.service)
                && agrees(&entry.protocol, &known.protocol)
                && agrees(&entry.target, &known.target)
        });
        let exists = "at least one DNS SRV record matching all specified fields";
        let place = self.dns_place(change, &found, "DNS SRV record", exists)?;
        place.apply(change, &mut self.body.dns.srvs, entry);
        Ok(())
    }

    /// Which record is meant: only one can be changed or deleted.
    fn dns_place(
        &self,
        change: Change,
        found: &[usize],
        what: &str,
        exists: &str,
    ) -> Result<Place> {
        let name = &self.name;
        let replaces = matches!(change, Change::Modify | Change::Delete);
        if replaces && found.len() > 1 {
            let text = format!("multiple matching {what}s were found in network {name}");
            return Err(refused(text));
        }
        let exists = || format!("there is already {exists} in network {name}");
        place(change, found, exists, || {
            format!("couldn't locate a matching {what} in network {name}")
        })
    }
}

/// An entry that lacks what it must have.
fn incomplete(text: String) -> Error {
    Error::new(ErrorCode::XmlDetail, text).in_domain(ErrorDomain::Network)
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Updates of what the name server answers.

use virtus_api::Result;

use super::{Change, positions, read_entry};
use crate::network::Network;
use crate::network::dns::{DnsHost, Srv, Txt};
use crate::reader::Node;

impl Network {
    pub(super) fn update_dns_host(&mut self, change: Change, root: Node<'_>) -> Result<()> {
        let entry: DnsHost = read_entry(root, "host")?;
        let same_ip = |known: &DnsHost| entry.ip.is_some() && known.ip == entry.ip;
        let shares_name =
            |known: &DnsHost| entry.names.iter().any(|name| known.names.contains(name));
        // A name may well have several addresses, so only a pattern is held against names.
        let pattern = change == Change::Delete;
        let found =
            positions(&self.dns.hosts, |known| same_ip(known) || (pattern && shares_name(known)));
        self.update_dns(change, &found, "DNS HOST record")?.apply(
            change,
            &mut self.body.dns.hosts,
            entry,
        );
        Ok(())
    }

    pub(super) fn update_dns_txt(&mut self, change: Change, root: Node<'_>) -> Result<()> {
        let entry: Txt = read_entry(root, "txt")?;
        let found = positions(&self.dns.txts, |known| known.name == entry.name);
        self.update_dns(change, &found, "DNS TXT record")?.apply(
            change,
            &mut self.body.dns.txts,
            entry,
        );
        Ok(())
    }

    pub(super) fn update_dns_srv(&mut self, change: Change, root: Node<'_>) -> Result<()> {
        let entry: Srv = read_entry(root, "srv")?;
        let agrees =
            |asked: &Option<String>, known: &Option<String>| asked.is_none() || asked == known;
        let found = positions(&self.dns.srvs, |known| {
            agrees(&entry.domain, &known.domain)
                && agrees(&entry.service, &known.service)
                && agrees(&entry.protocol, &known.protocol)
                && agrees(&entry.target, &known.target)
        });
        self.update_dns(change, &found, "DNS SRV record")?.apply(
            change,
            &mut self.body.dns.srvs,
            entry,
        );
        Ok(())
    }

    /// Records are added or deleted, and what is deleted must be one.
    fn update_dns(&self, change: Change, found: &[usize], what: &str) -> Result<super::Place> {
        if change == Change::Modify {
            return Err(self.unmodifiable(&format!("{what}s")));
        }
        if change == Change::Delete && found.len() > 1 {
            return Err(self.invalid(format_args!("multiple matching {what}s were found")));
        }
        self.place(change, found, what, "all specified fields")
    }
}

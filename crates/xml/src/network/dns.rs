// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<dns>`: what the network's name server answers. Each record may stand alone too, to be added, or found and deleted
//! ([`ParseFlags::PARTIAL`]: any of its fields may then be missing).

use virtus_api::Result;

use crate::ip::IpAddress;
use crate::reader::{Node, ParseFlags};
use crate::schema::kinds::DnsName;
use crate::value::YesNo;

element! {
    /// `<dns>`.
    pub struct Dns {
        attr enable: Option<YesNo> = "enable",
        /// Whether names without a domain are asked of the host's servers.
        attr forward_plain_names: Option<YesNo> = "forwardPlainNames",
        child forwarders: Vec<Forwarder> = "forwarder",
        child txts: Vec<Txt> = "txt",
        child srvs: Vec<Srv> = "srv",
        child hosts: Vec<DnsHost> = "host"
    }
}

element! {
    /// `<forwarder>`: the server for a domain, or for all.
    pub struct Forwarder {
        attr domain: Option<String> = "domain",
        attr addr: Option<IpAddress> = "addr"
    }
    schema { attr DnsName = "domain" }
    then Self::check
}

element! {
    /// `<txt>`: a text under a name.
    pub struct Txt {
        required name: String = "name",
        attr value: Option<String> = "value"
    }
    schema { required DnsName = "name", required String = "value" }
    then Self::check
}

element! {
    /// `<srv>`: where a service is.
    pub struct Srv {
        attr service: Option<String> = "service",
        attr protocol: Option<String> = "protocol",
        attr domain: Option<String> = "domain",
        attr target: Option<String> = "target",
        attr port: Option<u16> = "port",
        attr priority: Option<u16> = "priority",
        attr weight: Option<u16> = "weight"
    }
    schema { required String = "service", required SrvProtocol = "protocol", attr DnsName = "domain" }
    then Self::check
}

element! {
    /// `<host>`: the names of an address.
    pub struct DnsHost {
        attr ip: Option<IpAddress> = "ip",
        leaf names: Vec<String> = "hostname"
    }
    schema { required IpAddress = "ip", some_leaf DnsName = "hostname" }
    then Self::check
}

spellings! {
    /// What the schema allows as a protocol; the reader takes whatever a record can hold.
    pub enum SrvProtocol { Tcp = "tcp", Udp = "udp" }
}

/// The longest name of a service: what a record of 512 bytes leaves.
const MAX_SERVICE: usize = 482;

/// Whether what makes a record whole may be missing.
fn partial(node: Node<'_>) -> bool {
    node.flags().contains(ParseFlags::PARTIAL)
}

impl Forwarder {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.addr.is_none() && self.domain.is_none() {
            return Err(node.error("a <forwarder> needs 'addr' or 'domain'"));
        }
        Ok(())
    }
}

impl Txt {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.name.contains([' ', ',']) {
            return Err(node.error(format_args!(
                "prohibited character in DNS TXT record name '{}': no blank, no comma",
                self.name
            )));
        }
        if self.value.is_none() && !partial(node) {
            return Err(node.missing_attr("value"));
        }
        Ok(())
    }
}

impl Srv {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        for (name, value, others) in
            [("service", &self.service, "_-+/*"), ("protocol", &self.protocol, "-+/")]
        {
            let Some(value) = value else {
                if partial(node) {
                    continue;
                }
                return Err(node.missing_attr(name));
            };
            if value.len() > MAX_SERVICE {
                return Err(node.error(format_args!("{name} of the DNS SRV record is too long")));
            }
            if !value.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c)) {
                return Err(node.error(format_args!(
                    "invalid character in {name} '{value}' of the DNS SRV record"
                )));
            }
        }
        let numbers = [("port", self.port), ("priority", self.priority), ("weight", self.weight)];
        for (name, number) in numbers {
            if number.is_some() && self.target.is_none() {
                return Err(node.error(format_args!(
                    "'{name}' of the DNS SRV record is not permitted without 'target'"
                )));
            }
        }
        if self.port == Some(0) {
            return Err(node.error("'port' of the DNS SRV record must be 1 - 65535"));
        }
        for number in [&mut self.priority, &mut self.weight] {
            number.take_if(|number| *number == 0);
        }
        Ok(())
    }
}

impl DnsHost {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.names.iter().any(String::is_empty) {
            return Err(node.error("a <hostname> of the DNS HOST record is empty"));
        }
        if partial(node) {
            if self.ip.is_none() && self.names.is_empty() {
                return Err(node.error("the DNS HOST record has neither 'ip' nor a <hostname>"));
            }
        } else if self.ip.is_none() {
            return Err(node.missing_attr("ip"));
        } else if self.names.is_empty() {
            return Err(node.missing_child("hostname"));
        }
        Ok(())
    }
}

impl Dns {
    /// Whether the name server is told anything.
    #[must_use]
    pub fn has_records(&self) -> bool {
        !(self.txts.is_empty() && self.srvs.is_empty() && self.hosts.is_empty())
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a rule compares: the elements `<tcp …/>` and their like, by the table of protocols.
//!
//! Invariant: items stand in the order of the table, at most one for an attribute. Several elements of a rule's one
//! protocol are one; what is negated (`match='no'`) is written in an element of its own.

use virtus_api::Result;

use super::kind::{IpsetSide, ItemValue};
use super::protocol::{Attribute, Protocol};
use crate::reader::{Node, Part, Source};
use crate::schema::Piece;
use crate::value::Value;
use crate::writer::{Escaped, Writer};

/// All conditions of a rule; a packet must meet each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matches {
    /// The protocol of the packets; `None`: any.
    pub protocol: Option<Protocol>,
    pub items: Vec<Item>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub attribute: &'static Attribute,
    /// Whether packets match that do not have the value.
    pub negated: bool,
    pub value: ItemValue,
}

impl Matches {
    /// The condition about a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.attribute.name == name)
    }

    fn read(&mut self, protocol: Protocol, node: Node<'_>) -> Result<()> {
        let negated = node.attr("match").is_some_and(|sign| sign.text() == "no");
        for (name, source) in node.attrs().filter(|(name, _)| *name != "match") {
            let Some(attribute) = protocol.attributes().find(|attribute| attribute.name == name)
            else {
                let known: Vec<&str> =
                    protocol.attributes().map(|attribute| attribute.name).collect();
                node.unknown_attr(name, &known);
                continue;
            };
            let value = attribute.kind.parse(source.text());
            let value = value.ok_or_else(|| source.invalid(&attribute.kind.allowed()))?;
            self.items.retain(|item| item.attribute.name != name);
            self.items.push(Item { attribute, negated, value });
        }
        let place =
            |item: &Item| protocol.attributes().position(|known| known.name == item.attribute.name);
        self.items.sort_by_key(place);
        self.check_ports(protocol, node)
    }

    /// Only some of IP's payloads have ports.
    fn check_ports(&self, protocol: Protocol, node: Node<'_>) -> Result<()> {
        const DCCP: u32 = 33;
        if !matches!(protocol, Protocol::Ip | Protocol::Ipv6) {
            return Ok(());
        }
        let ports = ["srcportstart", "srcportend", "dstportstart", "dstportend"];
        let payload = self.get("protocol").map(|item| &item.value);
        let has_ports =
            matches!(payload, Some(ItemValue::Number { number: 6 | 17 | DCCP | 132, .. }));
        if !has_ports && ports.iter().any(|port| self.get(port).is_some()) {
            return Err(node.error(format_args!(
                "a rule about ports of <{protocol}> needs 'protocol' to be one of tcp, udp, dccp (33) and sctp"
            )));
        }
        Ok(())
    }

    /// What is written in one element.
    fn write_element(&self, protocol: Protocol, negated: bool, out: &mut Writer) {
        out.start(protocol.as_str());
        if negated {
            out.attr_text("match", "no");
        }
        for item in self.items.iter().filter(|item| item.negated == negated) {
            out.attr(item.attribute.name, item);
        }
        out.end(protocol.as_str());
    }
}

impl Part for Matches {
    const ATTRS: &'static [&'static str] = &[];
    const CHILDREN: &'static [&'static str] = Protocol::WORDS;
    const PIECES: &'static [Piece] = Protocol::PIECES;

    fn attr(&mut self, _: &str, _: Source<'_>) -> Result<bool> {
        Ok(false)
    }

    fn child(&mut self, name: &str, node: Node<'_>) -> Result<bool> {
        let Some(protocol) = Protocol::parse(name) else { return Ok(false) };
        match self.protocol {
            Some(other) if other != protocol => {
                node.ignored(format_args!("the rule is about <{other}>"));
            }
            _ => {
                self.protocol = Some(protocol);
                self.read(protocol, node)?;
            }
        }
        Ok(true)
    }

    fn text(&mut self, _: Source<'_>) -> Result<bool> {
        Ok(false)
    }

    fn finish(&mut self, _: Node<'_>) -> Result<()> {
        let signs: Vec<(&str, bool)> =
            self.items.iter().map(|item| (item.attribute.name, item.negated)).collect();
        for item in &mut self.items {
            if let Some(leader) = item.attribute.sign_of
                && let Some((_, sign)) = signs.iter().find(|(name, _)| *name == leader)
            {
                item.negated = *sign;
            }
        }
        // A set is looked up by the source unless it is said; the two protocols of all packets leave it open.
        let open = matches!(self.protocol, Some(Protocol::All | Protocol::AllIpv6));
        if let Some(set) = self.items.iter().position(|item| item.attribute.name == "ipset")
            && !open
            && self.get("ipsetflags").is_none()
            && let Some(flags) = self
                .protocol
                .into_iter()
                .flat_map(Protocol::attributes)
                .find(|a| a.name == "ipsetflags")
        {
            let value = ItemValue::Ipset(vec![IpsetSide::Src]);
            let item = Item { attribute: flags, negated: self.items[set].negated, value };
            self.items.insert(set + 1, item);
        }
        Ok(())
    }

    fn write_attrs(&self, _: &mut Writer) {}

    fn write_body(&self, out: &mut Writer) {
        let Some(protocol) = self.protocol else { return };
        let has = |negated| self.items.iter().any(|item| item.negated == negated);
        if has(false) || !has(true) {
            self.write_element(protocol, false, out);
        }
        if has(true) {
            self.write_element(protocol, true, out);
        }
    }
}

impl Value for Item {
    const ALLOWED: crate::value::Allowed = crate::value::Allowed::A("what its attribute allows");
    fn parse(_: &str) -> Option<Self> {
        None
    }
    fn write(&self, out: &mut Escaped<'_>) {
        self.attribute.kind.write(&self.value, out);
    }
}

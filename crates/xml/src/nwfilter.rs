// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<filter>`: rules about the packets of a guest's card, and other filters that are part of it.
//!
//! Invariant: rules and references keep their order; [`protocol`] is the one table of what a rule can match.

mod binding;
mod kind;
mod matches;
pub mod protocol;
mod reference;
mod rule;
mod variable;

use uuid::Uuid;
use virtus_api::{ErrorDomain, Result};

pub use binding::NwfilterBinding;
pub use kind::{IpsetSide, ItemValue, Kind, Number, States};
pub use matches::{Item, Matches};
pub use reference::{FilterParameter, FilterRef};
pub use rule::{Action, Direction, Rule, RulePriority, StateMatch};
pub use variable::{Access, Variable};

use crate::chance::Chance;
use crate::document::Document;
use crate::reader::{Element, Node, Part, Source};
use crate::schema::Piece;
use crate::value::{Allowed, Value};
use crate::writer::{Escaped, Writer};

element! {
    /// `<filter>`.
    pub struct Nwfilter {
        required name: String = "name",
        attr chain: Chain = "chain",
        /// When the chain is visited, from -1000 to 1000; without: 0.
        attr priority: Option<i32> = "priority",
        leaf uuid: Option<Uuid> = "uuid",
        part entries: Entries
    }
    then Self::check
}

/// The rules and references of a filter, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Entries(pub Vec<Entry>);

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    Rule(Rule),
    Reference(FilterRef),
}

/// The name of a chain of rules: `root`, or what begins with the name of a protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain(String);

/// The protocols that have chains, and when these are visited unless it is said.
const CHAINS: [(&str, i32); 7] = [
    ("stp", -810),
    ("mac", -800),
    ("vlan", -750),
    ("ipv4", -700),
    ("ipv6", -600),
    ("arp", -500),
    ("rarp", -400),
];

/// What a name in the kernel's tables leaves for ours.
const MAX_CHAIN: usize = 12;

impl Chain {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When the chain is visited unless it is said.
    fn default_priority(&self) -> i32 {
        CHAINS
            .iter()
            .find(|(prefix, _)| self.0.starts_with(prefix))
            .map_or(0, |(_, priority)| *priority)
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self("root".to_owned())
    }
}

impl Value for Chain {
    const ALLOWED: Allowed = Allowed::A(
        "root, or up to 12 of letters, digits and _-.: that begin with stp, mac, vlan, ipv4, ipv6, arp or rarp",
    );
    fn parse(text: &str) -> Option<Self> {
        let known = text == "root" || CHAINS.iter().any(|(prefix, _)| text.starts_with(prefix));
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c));
        (known && plain && text.len() <= MAX_CHAIN).then(|| Self(text.to_owned()))
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put(&self.0);
    }
}

impl Part for Entries {
    const ATTRS: &'static [&'static str] = &[];
    const CHILDREN: &'static [&'static str] = &["rule", "filterref"];
    const PIECES: &'static [Piece] = pieces!(many Rule = "rule", many FilterRef = "filterref");

    fn attr(&mut self, _: &str, _: Source<'_>) -> Result<bool> {
        Ok(false)
    }
    fn child(&mut self, name: &str, node: Node<'_>) -> Result<bool> {
        self.0.push(match name {
            "rule" => Entry::Rule(Rule::read(node)?),
            "filterref" => Entry::Reference(FilterRef::read(node)?),
            _ => return Ok(false),
        });
        Ok(true)
    }
    fn text(&mut self, _: Source<'_>) -> Result<bool> {
        Ok(false)
    }
    fn finish(&mut self, _: Node<'_>) -> Result<()> {
        Ok(())
    }
    fn write_attrs(&self, _: &mut Writer) {}
    fn write_body(&self, out: &mut Writer) {
        // libvirt never writes an empty filter as one tag.
        out.content();
        for entry in &self.0 {
            match entry {
                Entry::Rule(rule) => rule.write("rule", out),
                Entry::Reference(reference) => reference.write("filterref", out),
            }
        }
    }
}

impl Nwfilter {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.name.is_empty() {
            return Err(node.error("filter has no name"));
        }
        if let Some(priority) = self.priority.filter(|priority| !(-1000..=1000).contains(priority))
        {
            return Err(node.error(format_args!(
                "priority '{priority}' of the chain is outside of [-1000,1000]"
            )));
        }
        let usual = self.chain.default_priority();
        if node.attr("chain").is_none() {
            self.priority = None;
        } else if self.priority.is_none() {
            self.priority = Some(usual);
        }
        self.priority.take_if(|priority| *priority == 0 && usual == 0);
        Ok(())
    }

    /// The rules, without those of referenced filters.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.entries.0.iter().filter_map(|entry| match entry {
            Entry::Rule(rule) => Some(rule),
            Entry::Reference(_) => None,
        })
    }

    /// Gives the filter a UUID if it has none.
    pub fn name_missing(&mut self, random: &mut dyn FnMut(&mut [u8])) {
        self.uuid.get_or_insert_with(|| Chance(random).uuid());
    }
}

impl Document for Nwfilter {
    const ROOT: &'static str = "filter";
    const SCHEMA: &'static str = "nwfilter";
    const WHAT: &'static str = "(nwfilter_definition)";
    const DOMAIN: ErrorDomain = ErrorDomain::Nwfilter;
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Edits one list of a network by the XML of one entry, as `virsh net-update` asks for it.
//!
//! Invariant: an edit that errs changes nothing. What an edit deletes is found by a pattern: an entry that states
//! some of its fields ([`ParseFlags::PARTIAL`]).

mod dhcp;
mod dns;

use std::borrow::Cow;
use std::fmt::Display;

use virtus_api::{
    Error, ErrorCode, ErrorDomain, NetworkUpdateCommand as Command,
    NetworkUpdateSection as Section, Result,
};

use super::{ForwardMode, Network, Portgroup, validate};
use crate::network::forward::ForwardInterface;
use crate::reader::{self, Element, Node, ParseFlags};

impl Network {
    /// Does `command` to `section` with the entry in `text`. `parent` says which `<ip>` is meant by its index; any
    /// negative number: the one that serves DHCP, or else the first.
    pub fn update(
        &mut self,
        section: Section,
        command: Command,
        parent: i32,
        text: &str,
    ) -> Result<()> {
        let change = Change::of(command);
        let pattern = matches!(change, Ok(Change::Delete));
        let flags = if pattern { ParseFlags::PARTIAL } else { ParseFlags::empty() };
        let read = |read: &mut dyn FnMut(Change, Node<'_>) -> Result<()>| {
            reader::parse_for(ErrorDomain::Network, text, "(network_update_xml)", flags, |root| {
                read(change.clone()?, root)
            })
            .map(|_| ())
        };
        match section {
            Section::IpDhcpHost => read(&mut |how, root| self.update_dhcp_host(how, parent, root)),
            Section::IpDhcpRange => {
                read(&mut |how, root| self.update_dhcp_range(how, parent, root))
            }
            Section::ForwardInterface => {
                read(&mut |how, root| self.update_forward_interface(how, root))
            }
            Section::Portgroup => read(&mut |how, root| self.update_portgroup(how, root)),
            Section::DnsHost => read(&mut |how, root| self.update_dns_host(how, root)),
            Section::DnsTxt => read(&mut |how, root| self.update_dns_txt(how, root)),
            Section::DnsSrv => read(&mut |how, root| self.update_dns_srv(how, root)),
            Section::None => Err(unsupported("can't update unrecognized section of network")),
            Section::Bridge
            | Section::Domain
            | Section::Ip
            | Section::Forward
            | Section::ForwardPf => {
                let (name, network) = (section_name(section), &self.name);
                let text = format!("can't update '{name}' section of network '{network}'");
                Err(unsupported(text))
            }
        }
    }

    fn update_forward_interface(&mut self, change: Change, root: Node<'_>) -> Result<()> {
        if change == Change::Modify {
            return Err(unmodifiable("forward interface entries"));
        }
        let entry: ForwardInterface = self.read_entry(root, "interface")?;
        let shown = format!("<interface dev='{}'>", entry.dev);
        if self.mode() == ForwardMode::None {
            return Err(self.invalid("there is no <forward> whose interfaces could be updated"));
        }
        let found: Vec<usize> = self
            .forward
            .iter()
            .flat_map(|forward| &forward.interfaces)
            .enumerate()
            .filter(|(_, known)| known.dev == entry.dev)
            .map(|(at, _)| at)
            .collect();
        let missing = || {
            format!("couldn't find an interface entry in network '{}' matching {shown}", self.name)
        };
        let exists = || self.existing("interface entry", &shown);
        let place = place(change, &found, exists, missing)?;
        let used = self.forward.iter().flat_map(|forward| &forward.interfaces).nth(place.at);
        if let Some(users) =
            used.map(|known| known.connections.0).filter(|users| place.replaces && *users > 0)
        {
            return Err(self.invalid(format_args!("{shown} is being used by {users} domains")));
        }
        if let Some(forward) = &mut self.body.forward {
            place.apply(change, &mut forward.interfaces, entry);
            forward.dev = forward.interfaces.first().map(|first| first.dev.clone());
        }
        Ok(())
    }

    fn update_portgroup(&mut self, change: Change, root: Node<'_>) -> Result<()> {
        let entry: Portgroup = self.read_entry(root, "portgroup")?;
        let shown = format!("<portgroup name='{}'>", entry.name);
        let found = positions(&self.portgroups, |known| known.name == entry.name);
        let missing = || {
            format!("couldn't find a portgroup entry in network '{}' matching {shown}", self.name)
        };
        let exists = || self.existing("portgroup entry", &shown);
        let place = place(change, &found, exists, missing)?;
        let other_default = self.portgroups.iter().any(|known| {
            known.default.is_some() && (change != Change::Modify || known.name != entry.name)
        });
        if change != Change::Delete && entry.default.is_some() && other_default {
            return Err(refused(format!(
                "a different portgroup entry in network '{}' is already set as the default. Only one default is allowed.",
                self.name
            )));
        }
        place.apply(change, &mut self.body.portgroups, entry);
        Ok(())
    }

    fn invalid(&self, why: impl Display) -> Error {
        validate::error(ErrorCode::OperationInvalid, self, why)
    }

    /// Reads the entry, which must be a `tag`.
    fn read_entry<T: Element>(&self, root: Node<'_>, tag: &str) -> Result<T> {
        if root.name() != tag {
            let (found, name) = (root.name(), &self.name);
            return Err(root.error(format_args!(
                "unexpected element <{found}>, expecting <{tag}>, while updating network '{name}'"
            )));
        }
        T::read(root)
    }

    /// What is said of an entry that is there already.
    fn existing(&self, what: &str, shown: &str) -> String {
        format!("there is an existing {what} in network '{}' that matches \"{shown}\"", self.name)
    }

    /// What is said of an entry that is not there.
    fn lacking(&self, what: &str) -> String {
        format!("couldn't locate a matching {what} in network '{}'", self.name)
    }
}

/// Where a change takes place, if the entries `found` are those that it is about; or else what is said of those that
/// are there, or are missing.
fn place(
    change: Change,
    found: &[usize],
    exists: impl FnOnce() -> String,
    missing: impl FnOnce() -> String,
) -> Result<Place> {
    match (change, found) {
        (Change::AddFirst | Change::AddLast, []) => Ok(Place { at: 0, replaces: false }),
        (Change::AddFirst | Change::AddLast, _) => Err(refused(exists())),
        (Change::Modify | Change::Delete, []) => Err(refused(missing())),
        (Change::Modify | Change::Delete, [at, ..]) => Ok(Place { at: *at, replaces: true }),
    }
}

fn unmodifiable(what: &str) -> Error {
    unsupported(format!("{what} cannot be modified, only added or deleted"))
}

/// A change that no network knows.
fn unsupported(text: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::OperationUnsupported, text).in_domain(ErrorDomain::Network)
}

/// A change that the network, as it is, refuses.
fn refused(text: String) -> Error {
    Error::new(ErrorCode::OperationInvalid, text).in_domain(ErrorDomain::Network)
}

/// The name of a section that is not edited entry by entry.
fn section_name(section: Section) -> &'static str {
    match section {
        Section::Bridge => "bridge",
        Section::Domain => "domain",
        Section::Ip => "ip",
        Section::Forward => "forward",
        Section::ForwardPf => "forward pf",
        _ => "none",
    }
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Modify,
    Delete,
    AddFirst,
    AddLast,
}

/// Where it is done.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The entry that is meant, if one is replaced or deleted.
    at: usize,
    replaces: bool,
}

impl Change {
    fn of(command: Command) -> Result<Self> {
        Ok(match command {
            Command::Modify => Self::Modify,
            Command::Delete => Self::Delete,
            Command::AddFirst => Self::AddFirst,
            Command::AddLast => Self::AddLast,
            Command::None => {
                return Err(unsupported("unrecognized network update command code 0")
                    .hint("give one of modify, delete, add-first and add-last"));
            }
        })
    }
}

impl Place {
    fn apply<T>(self, change: Change, list: &mut Vec<T>, entry: T) {
        match change {
            Change::Modify => {
                if let Some(known) = list.get_mut(self.at) {
                    *known = entry;
                }
            }
            Change::Delete => {
                list.remove(self.at);
            }
            Change::AddFirst => list.insert(0, entry),
            Change::AddLast => list.push(entry),
        }
    }
}

/// Where in a list the entries are that match.
fn positions<T>(list: &[T], matches: impl Fn(&T) -> bool) -> Vec<usize> {
    list.iter().enumerate().filter(|(_, entry)| matches(entry)).map(|(at, _)| at).collect()
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Edits one list of a network by the XML of one entry, as `virsh net-update` asks for it.
//!
//! Invariant: an edit that errs changes nothing. What an edit deletes is found by a pattern: an entry that states
//! some of its fields ([`ParseFlags::PARTIAL`]).

mod dhcp;
mod dns;

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
        let change = Change::of(command)?;
        let pattern = change == Change::Delete;
        let flags = if pattern { ParseFlags::PARTIAL } else { ParseFlags::empty() };
        let read = |read: &mut dyn FnMut(Node<'_>) -> Result<()>| {
            reader::parse_for(ErrorDomain::Network, text, "(network_update_xml)", flags, |root| {
                read(root)
            })
            .map(|_| ())
        };
        match section {
            Section::IpDhcpHost => read(&mut |root| self.update_dhcp_host(change, parent, root)),
            Section::IpDhcpRange => read(&mut |root| self.update_dhcp_range(change, parent, root)),
            Section::ForwardInterface => {
                read(&mut |root| self.update_forward_interface(change, root))
            }
            Section::Portgroup => read(&mut |root| self.update_portgroup(change, root)),
            Section::DnsHost => read(&mut |root| self.update_dns_host(change, root)),
            Section::DnsTxt => read(&mut |root| self.update_dns_txt(change, root)),
            Section::DnsSrv => read(&mut |root| self.update_dns_srv(change, root)),
            Section::None
            | Section::Bridge
            | Section::Domain
            | Section::Ip
            | Section::Forward
            | Section::ForwardPf => {
                let (name, network) = (section_name(section), &self.name);
                let text = format!("can't update '{name}' section of network '{network}'");
                Err(Error::new(ErrorCode::OperationUnsupported, text)
                    .in_domain(ErrorDomain::Network))
            }
        }
    }

    fn update_forward_interface(&mut self, change: Change, root: Node<'_>) -> Result<()> {
        if change == Change::Modify {
            return Err(self.unmodifiable("forward interface entries"));
        }
        let entry: ForwardInterface = read_entry(root, "interface")?;
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
        let place = self.place(change, &found, "interface entry", &shown)?;
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
        let entry: Portgroup = read_entry(root, "portgroup")?;
        let shown = format!("<portgroup name='{}'>", entry.name);
        let found = positions(&self.portgroups, |known| known.name == entry.name);
        let place = self.place(change, &found, "portgroup entry", &shown)?;
        let other_default = self.portgroups.iter().any(|known| {
            known.default.is_some() && (change != Change::Modify || known.name != entry.name)
        });
        if change != Change::Delete && entry.default.is_some() && other_default {
            return Err(self.invalid(
                "a different portgroup entry is already set as the default, and only one default is allowed",
            ));
        }
        place.apply(change, &mut self.body.portgroups, entry);
        Ok(())
    }

    fn invalid(&self, why: impl Display) -> Error {
        validate::error(ErrorCode::OperationInvalid, self, why)
    }

    fn unmodifiable(&self, what: &str) -> Error {
        let why = format!("{what} cannot be modified, only added or deleted");
        validate::error(ErrorCode::OperationUnsupported, self, why)
    }

    /// Where a change takes place, if the entries `found` are those that it is about.
    fn place(&self, change: Change, found: &[usize], what: &str, shown: &str) -> Result<Place> {
        match (change, found) {
            (Change::AddFirst | Change::AddLast, []) => Ok(Place { at: 0, replaces: false }),
            (Change::AddFirst | Change::AddLast, _) => Err(refused(format!(
                "there is an existing {what} in network '{}' that matches \"{shown}\"",
                self.name
            ))),
            (Change::Modify | Change::Delete, []) => Err(refused(format!(
                "couldn't locate a matching {what} in network '{}'",
                self.name
            ))
            .hint(format!("it is looked for by what stands in {shown}"))),
            (Change::Modify | Change::Delete, [at, ..]) => Ok(Place { at: *at, replaces: true }),
        }
    }
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
        Section::ForwardPf => "forward-pf",
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
                return Err(Error::new(
                    ErrorCode::OperationUnsupported,
                    "no network update command is given",
                )
                .in_domain(ErrorDomain::Network)
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

/// Reads the entry, which must be a `tag`.
fn read_entry<T: Element>(root: Node<'_>, tag: &str) -> Result<T> {
    root.expect(tag)?;
    T::read(root)
}

/// Where in a list the entries are that match.
fn positions<T>(list: &[T], matches: impl Fn(&T) -> bool) -> Vec<usize> {
    list.iter().enumerate().filter(|(_, entry)| matches(entry)).map(|(at, _)| at).collect()
}

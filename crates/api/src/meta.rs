// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is known about a call before it runs: who may make it, where it may run, what travels with it.
//!
//! Invariant: everything here is data out of `table/`; only the questions asked of it are written by hand.

use crate::{CallId, Family, Program};

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Meta {
    /// The name of the request type: `"DomainCreateWithFlags"`.
    pub name: &'static str,
    /// The public C function, where there is one: `"virDomainCreateWithFlags"`.
    pub api: Option<&'static str>,
    pub program: Program,
    pub class: Class,
    /// The permissions that the caller needs, all of them.
    pub acl: &'static [Acl],
    /// What the caller needs on each object of a list for it to be shown.
    pub filter: &'static [Permission],
    /// Whether a read-only connection may make it at all; see [`Meta::permits_read_only`].
    pub read_only: bool,
    /// Whether it is refused before the client has authenticated.
    pub needs_auth: bool,
    pub priority: Priority,
    /// The stream that a successful call opens.
    pub stream: Option<StreamKind>,
    /// The bit of `flags` with which holes may travel on the stream.
    pub sparse_flag: Option<u32>,
    /// File descriptors with the call, and with its reply.
    pub fds: (Fds, Fds),
    /// The events that it asks for, or no longer asks for.
    pub registers: Option<Registration>,
    /// The first libvirt release that had it, where known.
    pub since: Option<&'static str>,
}

/// Where a call may run, and what it may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Answers from published state, at once.
    Snapshot,
    /// Touches this host: files, processes, devices.
    Host,
    /// Is queued to the machine's actor.
    Job,
    /// Needs the guest or its monitor to cooperate; always has a deadline.
    Guest,
}

/// Whether a call may use the workers that are kept free for short calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Priority {
    Low,
    High,
}

/// Which way a call's stream runs, seen from the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamKind {
    In,
    Out,
    Both,
}

/// What a call does to a client's registrations for events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration {
    pub family: Family,
    /// Whether it adds one; otherwise it takes one away.
    pub adds: bool,
    /// Whether events then come as legacy messages, without a callback id.
    pub legacy: bool,
}

/// How many file descriptors travel with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fds {
    None,
    One,
    Many,
}

/// The kinds of objects that access control knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Object {
    Connect,
    Domain,
    Interface,
    Network,
    NetworkPort,
    NodeDevice,
    Nwfilter,
    NwfilterBinding,
    Secret,
    StoragePool,
    StorageVol,
}

impl Object {
    /// The name in polkit actions and access rules.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Domain => "domain",
            Self::Interface => "interface",
            Self::Network => "network",
            Self::NetworkPort => "network-port",
            Self::NodeDevice => "node-device",
            Self::Nwfilter => "nwfilter",
            Self::NwfilterBinding => "nwfilter-binding",
            Self::Secret => "secret",
            Self::StoragePool => "storage-pool",
            Self::StorageVol => "storage-vol",
        }
    }
}

/// A right on an object, such as "domain:read_secure".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permission {
    pub object: Object,
    pub name: &'static str,
}

impl Permission {
    pub(crate) const fn new(object: Object, name: &'static str) -> Self {
        Self { object, name }
    }

    /// Whether everybody who may connect has it: it only looks at what is not secret.
    #[must_use]
    pub fn is_public(&self) -> bool {
        matches!(self.name, "getattr" | "read") || self.name.starts_with("search_")
    }

    /// The polkit action that stands for it.
    #[must_use]
    pub fn polkit_action(&self) -> String {
        format!("org.libvirt.api.{}.{}", self.object.name(), self.name.replace('_', "-"))
    }
}

/// A permission that a call needs, always or on a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acl {
    pub permission: Permission,
    pub when: When,
}

/// A condition on [`Request::flags`](crate::Request::flags).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Always,
    /// All these bits are set.
    Has(u32),
    /// None of these bits is set.
    Lacks(u32),
    /// It is this value.
    Is(u32),
}

impl When {
    /// Whether the condition holds.
    #[must_use]
    pub fn holds(self, flags: u32) -> bool {
        match self {
            Self::Always => true,
            Self::Has(mask) => flags & mask == mask,
            Self::Lacks(mask) => flags & mask == 0,
            Self::Is(value) => flags == value,
        }
    }
}

impl Meta {
    pub(crate) const PLAIN: Self = Self {
        name: "",
        api: None,
        program: Program::Remote,
        class: Class::Host,
        acl: &[],
        filter: &[],
        read_only: false,
        needs_auth: true,
        priority: Priority::Low,
        stream: None,
        sparse_flag: None,
        fds: (Fds::None, Fds::None),
        registers: None,
        since: None,
    };

    /// Whether a read-only connection may make this call with these flags: never what changes
    /// anything, nor what asks for more than everybody may see (the secrets in a domain's XML).
    #[must_use]
    pub fn permits_read_only(&self, flags: u32) -> bool {
        self.read_only
            && self.permissions(flags).all(|permission| {
                permission.is_public() || self.acl.iter().any(|acl| acl.always(permission))
            })
    }

    /// The permissions that the caller needs for a call with these flags.
    pub fn permissions(&self, flags: u32) -> impl Iterator<Item = Permission> + '_ {
        self.acl.iter().filter(move |acl| acl.when.holds(flags)).map(|acl| acl.permission)
    }

    /// The name to show to people: the C function, which they know, or else the call's own.
    #[must_use]
    pub fn shown(&self) -> &'static str {
        self.api.unwrap_or(self.name)
    }
}

impl Acl {
    fn always(&self, permission: Permission) -> bool {
        self.when == When::Always && self.permission == permission
    }
}

impl CallId {
    /// What is known about the call.
    #[must_use]
    pub fn meta(self) -> &'static Meta {
        &crate::generated::META[self.index()]
    }

    /// The place of the call in tables of [`CallId::COUNT`] rows.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use crate::{CallId, Class};

    #[test]
    fn read_only_clients_see_no_secrets() {
        let xml = CallId::DomainGetXmlDesc.meta();
        assert!(xml.permits_read_only(0));
        assert!(!xml.permits_read_only(1), "VIR_DOMAIN_XML_SECURE");
        assert!(!CallId::SecretGetValue.meta().permits_read_only(0));
        assert!(!CallId::DomainCreateWithFlags.meta().permits_read_only(0));
        let addresses = CallId::DomainInterfaceAddresses.meta();
        assert!(addresses.permits_read_only(0) && !addresses.permits_read_only(1));
    }

    #[test]
    fn names_and_classes_come_from_the_table() {
        let meta = CallId::ConnectGetAllDomainStats.meta();
        assert_eq!((meta.name, meta.class), ("ConnectGetAllDomainStats", Class::Snapshot));
        assert_eq!(meta.shown(), "virConnectGetAllDomainStats");
    }

    #[test]
    fn every_permission_names_a_polkit_action() {
        let acl = CallId::DomainGetXmlDesc.meta().acl[1];
        assert_eq!(acl.permission.polkit_action(), "org.libvirt.api.domain.read-secure");
    }
}

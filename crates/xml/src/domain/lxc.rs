// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What only containers have: `<capabilities>` of `<features>`, and the namespaces that are shared.

use virtus_api::Result;

use crate::reader::{Element, Node};
use crate::schema::{Often, Piece, Shape};
use crate::value::{OnOff, Value};
use crate::writer::Writer;

spellings! {
    /// What a container may do unless it is named.
    pub enum CapabilitiesPolicy { Default = "default", Allow = "allow", Deny = "deny" }
}

/// `<capabilities policy='deny'><mknod state='on'/>…`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Capabilities {
    pub policy: CapabilitiesPolicy,
    pub named: Vec<(String, OnOff)>,
}

/// The capabilities that can be named, in the order in which libvirt writes them.
pub const CAPABILITIES: &[&str] = &[
    "audit_control",
    "audit_write",
    "block_suspend",
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "ipc_lock",
    "ipc_owner",
    "kill",
    "lease",
    "linux_immutable",
    "mac_admin",
    "mac_override",
    "mknod",
    "net_admin",
    "net_bind_service",
    "net_broadcast",
    "net_raw",
    "setgid",
    "setfcap",
    "setpcap",
    "setuid",
    "sys_admin",
    "sys_boot",
    "sys_chroot",
    "sys_module",
    "sys_nice",
    "sys_pacct",
    "sys_ptrace",
    "sys_rawio",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "syslog",
    "wake_alarm",
];

/// One element for each capability.
const TOGGLES: [Piece; CAPABILITIES.len()] = {
    let mut toggles = [Piece::Any; CAPABILITIES.len()];
    let mut at = 0;
    while at < toggles.len() {
        toggles[at] = Piece::child(CAPABILITIES[at], Often::Optional, || Toggle::SHAPE);
        at += 1;
    }
    toggles
};

element! {
    /// One capability.
    pub struct Toggle { required state: OnOff = "state" }
}

impl Element for Capabilities {
    const SHAPE: &'static Shape =
        shape!(Capabilities: attr CapabilitiesPolicy = "policy", pieces (&TOGGLES));
    fn read(node: Node<'_>) -> Result<Self> {
        let mut named = Vec::new();
        for child in node.children() {
            if CAPABILITIES.contains(&child.name()) {
                named.push((child.name().to_owned(), child.get("state")?.unwrap_or(OnOff::On)));
            } else {
                child.unknown(CAPABILITIES);
            }
        }
        named.sort_by_key(|(name, _)| CAPABILITIES.iter().position(|known| known == name));
        Ok(Self { policy: node.get("policy")?.unwrap_or_default(), named })
    }

    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        out.attr("policy", &self.policy);
        for (name, state) in &self.named {
            out.start(name);
            out.attr("state", state);
            out.end(name);
        }
        out.end(tag);
    }
}

/// The namespace's name.
pub const NAMESPACE: &str = "http://libvirt.org/schemas/domain/lxc/1.0";

/// `<lxc:namespace>`: which namespaces a container shares, and with whom.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Namespace {
    pub shares: Vec<Share>,
}

/// One namespace.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    pub what: ShareWhat,
    pub kind: ShareType,
    pub value: String,
}

spellings! {
    /// Which namespace.
    pub enum ShareWhat { Ipc = "shareipc", Net = "sharenet", Uts = "shareuts" }
}

spellings! {
    /// How the other side is named.
    pub enum ShareType { None = "none", Name = "name", Pid = "pid", Netns = "netns" }
}

impl Element for Namespace {
    const SHAPE: &'static Shape = shape!(Namespace:
        child (required ShareType = "type", required String = "value") = "shareipc",
        child (required ShareType = "type", required String = "value") = "sharenet",
        child (required ShareType = "type", required String = "value") = "shareuts"
    );
    fn read(node: Node<'_>) -> Result<Self> {
        let mut shares = Vec::new();
        for child in node.children() {
            match ShareWhat::parse(child.name()) {
                Some(what) => {
                    shares.push(Share {
                        what,
                        kind: child.need("type")?,
                        value: child.need("value")?,
                    });
                }
                None => child.unknown(ShareWhat::WORDS),
            }
        }
        shares.sort_by_key(|share| share.what);
        Ok(Self { shares })
    }

    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        for share in &self.shares {
            let tag = format!("lxc:{}", share.what);
            out.start(&tag);
            out.attr("type", &share.kind);
            out.attr("value", &share.value);
            out.end(&tag);
        }
        out.end(tag);
    }
}

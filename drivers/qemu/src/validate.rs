// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What QEMU, or this build of it, cannot run although another hypervisor might: asked of completed definitions.
//!
//! Invariant: nothing is changed here. Definitions that are read from disk are not asked, so that none is lost to a
//! new rule or to a smaller QEMU; each start asks again.

mod address;
mod chardev;
mod clock;
mod controller;
mod disk;
mod display;
mod features;
mod filesystem;
mod hostdev;
mod input;
mod machine;
mod memory;
mod misc;
mod net;
mod pci;
mod security;
mod sound;

use std::borrow::Cow;

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_xml::Domain;
use virtus_xml::domain::graphics::GraphicsType;
use virtus_xml::domain::memory::AccessShare;

use crate::caps::{Capabilities, Flag};
use crate::machine::{arch, machine as machine_name};

/// What the rules need to know of the host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// The versions of TPM that can be emulated; `None` where nobody has looked.
    pub tpm_versions: Option<Vec<String>>,
}

/// Refuses a completed definition that this QEMU cannot run.
pub fn validate(domain: &Domain, caps: &Capabilities, host: &Host) -> Result<()> {
    let rules = Rules { domain, caps };
    machine::validate(rules)?;
    clock::validate(rules)?;
    features::validate(rules)?;
    memory::validate(rules)?;
    security::validate(rules, host)?;
    address::validate(rules)?;
    controller::validate(rules)?;
    pci::validate(rules)?;
    disk::validate(rules)?;
    net::validate(rules)?;
    chardev::validate(rules)?;
    hostdev::validate(rules)?;
    display::validate(rules)?;
    sound::validate(rules)?;
    input::validate(rules)?;
    filesystem::validate(rules)?;
    misc::validate(rules)
}

/// What a rule looks at.
#[derive(Clone, Copy)]
struct Rules<'a> {
    domain: &'a Domain,
    caps: &'a Capabilities,
}

impl Rules<'_> {
    fn has(self, flag: Flag) -> bool {
        self.caps.has(flag)
    }

    /// Refuses `what`, which a build of QEMU has or not.
    fn needs(self, flag: Flag, what: impl std::fmt::Display) -> Result<()> {
        need(self.has(flag), || format!("{what}: {} does not have it", self.emulator()))
    }

    fn emulator(self) -> String {
        let path = self.domain.devices.emulator.as_deref().unwrap_or_default();
        format!("'{path}' (QEMU {})", self.caps.version_text())
    }

    /// The machine, as refusals name it.
    fn board(self) -> String {
        format!("machine '{}' of architecture '{}'", machine_name(self.domain), arch(self.domain))
    }

    fn shows(self, kind: GraphicsType) -> bool {
        self.domain.devices.graphics.iter().any(|graphics| graphics.kind == kind)
    }

    /// A vhost-user process maps the guest's memory, so all of it must be shared.
    fn needs_shared_memory(self, what: &str) -> Result<()> {
        let whole = self.domain.memory_backing.access.as_ref().map(|access| access.mode);
        let numa = self.domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref());
        let cells = numa.map_or(&[][..], |numa| &numa.cells);
        let shared = |access: Option<AccessShare>| access == Some(AccessShare::Shared);
        let all = match cells {
            [] => shared(whole),
            cells => cells.iter().all(|cell| shared(cell.mem_access.or(whole))),
        };
        need(all, || {
            format!("{what} requires shared memory: set <memoryBacking><access mode='shared'/>")
        })
    }
}

fn unsupported(text: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::ConfigUnsupported, text).in_domain(ErrorDomain::Qemu)
}

fn xml_error(text: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::XmlError, text).in_domain(ErrorDomain::Qemu)
}

/// Refuses unless `holds`.
fn need(holds: bool, text: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(unsupported(text())) }
}

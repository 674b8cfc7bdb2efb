// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What no hypervisor could run, though it is well formed: values that contradict each other.
//!
//! Invariant: nothing is changed here; definitions that are loaded from disk are not asked
//! ([`ParseFlags::SKIP_VALIDATE`](crate::ParseFlags::SKIP_VALIDATE)), so none is lost to a new rule.

mod clock;
mod controller;
mod cpu;
mod devices;
mod disk;
mod display;
mod interface;
mod limits;
mod machine;
mod memory;
mod peripherals;
mod placement;
mod tuning;

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use crate::domain::device::VirtioOptions;
use crate::domain::{Domain, DomainType};
use crate::settle::unsupported;

/// An error in libvirt's form that has no lead.
fn detail(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::XmlDetail, text).in_domain(ErrorDomain::Domain)
}

/// `error` unless the rule holds.
fn must(holds: bool, error: impl FnOnce() -> Error) -> Result<()> {
    if holds { Ok(()) } else { Err(error()) }
}

/// Refuses, as what cannot be, unless the rule holds.
fn need(holds: bool, text: impl FnOnce() -> String) -> Result<()> {
    must(holds, || unsupported(text()))
}

/// Whether nothing is said that only virtio's transport knows.
fn no_virtio_options(options: &VirtioOptions) -> bool {
    *options == VirtioOptions::default()
}

impl Domain {
    /// Refuses what contradicts itself.
    pub fn validate(&self) -> Result<()> {
        machine::validate(self)?;
        placement::validate(self)?;
        cpu::validate(self)?;
        clock::validate(self)?;
        tuning::validate(self)?;
        limits::validate(self)?;
        memory::validate(self)?;
        self.validate_devices()
    }

    /// The devices' part of [`Self::validate`].
    pub(crate) fn validate_devices(&self) -> Result<()> {
        for disk in &self.devices.disks {
            disk::validate(disk)?;
            if matches!(
                self.kind,
                DomainType::Qemu | DomainType::Kqemu | DomainType::Kvm | DomainType::Hvf
            ) {
                disk::whole(disk)?;
            }
        }
        self.devices.interfaces.iter().try_for_each(interface::validate)?;
        peripherals::validate(self)?;
        controller::validate(self)?;
        display::validate(self)?;
        devices::validate(self)
    }
}

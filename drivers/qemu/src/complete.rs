// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a definition does not say, filled in as libvirt's QEMU driver does: pure, no I/O.
//!
//! The parser has settled what every hypervisor settles alike ([`Domain::settle`]); UUIDs and MAC addresses come
//! from [`Domain::name_missing`], because they are chance. Here follows what depends on QEMU: the machine, its
//! built-in devices, the models of devices, the controllers that devices need, and every address.
//!
//! Invariant: completing twice is completing once; what a definition states is kept or refused, never changed,
//! but for aliases of machine types, which are replaced by what they stand for.

mod addresses;
mod audio;
mod builtin;
mod cpu;
mod devices;
mod firmware;
mod machine_type;
mod numa;
pub(crate) mod pci;
mod portable;
mod taken_over;
mod usb;

use virtus_api::Result;
use virtus_xml::Domain;

use crate::caps::Capabilities;
use crate::firmware::Firmware;
use crate::plan::{Dirs, effective};

pub use audio::HostAudio;
pub(crate) use machine_type::{emulates, unknown_machine};
pub(crate) use portable::thin;
pub use taken_over::take_over;

/// What the driver knows beyond the binary.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// Whether the definition is new, so that defaults which a guest can see may be the newest.
    pub abi_update: bool,
    /// The driver's folders.
    pub dirs: Dirs,
    /// What the environment says about audio, for where the configuration allows to ask it.
    pub host_audio: Option<HostAudio>,
    /// `vnc_allow_host_audio`.
    pub vnc_allow_host_audio: bool,
    /// `nographics_allow_host_audio`.
    pub nographics_allow_host_audio: bool,
    /// The firmware of this host, in the order of its descriptors.
    pub firmwares: Vec<Firmware>,
}

/// Completes a definition.
pub fn complete(domain: &mut Domain, caps: &Capabilities, defaults: &Defaults) -> Result<()> {
    let caps = &effective(caps, domain);
    machine_type::settle(domain, caps)?;
    if !defaults.abi_update {
        machine_type::drop_acpi(domain, caps);
    }
    firmware::settle(domain, defaults)?;
    builtin::add(domain, caps, defaults)?;
    audio::add(domain, defaults);
    cpu::settle(domain, caps)?;
    numa::settle(domain, defaults)?;
    devices::settle(domain, caps, defaults)?;
    domain.add_needed_controllers();
    devices::settle_controllers(domain, caps, defaults)?;
    addresses::assign(domain, caps, defaults.abi_update)
}

/// Gives ports to the USB devices that have none, for the run that begins: an old definition is not changed.
pub(crate) fn plug_usb(domain: &mut Domain) -> Result<()> {
    usb::assign(domain)
}

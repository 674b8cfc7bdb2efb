// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a guest of bhyve can have, as a document.

use virtus_xml::DomainCapabilities;
use virtus_xml::domain_capabilities::{Facility, LoaderFacility, OsFacility};
use virtus_xml::value::YesNo;

/// What a bhyve binary can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// Guests can boot from firmware in a ROM.
    pub boot_rom: bool,
    /// Guests can have a framebuffer, which VNC shows.
    pub framebuffer: bool,
}

/// The document for the guests of `binary`, with the firmware of this host.
#[must_use]
pub fn domain_capabilities(
    binary: &str,
    machine: Option<&str>,
    arch: &str,
    abilities: Abilities,
    firmwares: &[String],
) -> DomainCapabilities {
    let mut document = DomainCapabilities::of(Some(binary), "bhyve", machine, arch);
    let choice = |there: bool, name: &str, value: &str| match there {
        true => Facility::yes().with(name, [value]),
        false => Facility::no(),
    };
    let loader = match abilities.boot_rom {
        true => LoaderFacility {
            supported: YesNo::Yes,
            values: firmwares.to_vec(),
            enums: Facility::yes().with("type", ["pflash"]).with("readonly", ["yes"]).enums,
        },
        false => LoaderFacility::default(),
    };
    document.iothreads = Some(Facility::no());
    document.os =
        Some(OsFacility { supported: YesNo::Yes, loader: Some(loader), ..OsFacility::default() });
    let devices = &mut document.devices;
    devices.disk = Some(
        Facility::yes()
            .with("diskDevice", ["disk", "cdrom"])
            .with("bus", ["virtio", "sata"])
            .with("model", [""; 0]),
    );
    devices.graphics = Some(choice(abilities.framebuffer, "type", "vnc"));
    devices.video = Some(choice(abilities.framebuffer, "modelType", "gop"));
    devices.hostdev = Some(Facility::no());
    let features = &mut document.features;
    features.gic = Some(Facility::no());
    features.vmcoreinfo = Some(Facility::no());
    features.genid = Some(Facility::no());
    document
}

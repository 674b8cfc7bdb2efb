// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a guest of Xen can have, as a document.

use virtus_xml::DomainCapabilities;
use virtus_xml::domain_capabilities::{Facility, LoaderFacility, MaxVcpu, OsFacility};
use virtus_xml::value::YesNo;

/// The machine whose guests need not know of Xen.
const FULLY_VIRTUAL: &str = "xenfv";
/// The most processors of a guest that does not know of Xen.
const MOST_FULLY_VIRTUAL: u32 = 128;
/// The most processors of a guest that knows.
const MOST: u32 = 512;

/// The document for guests of one machine, with the firmware of this host.
#[must_use]
pub fn domain_capabilities(
    binary: Option<&str>,
    machine: &str,
    arch: &str,
    firmwares: &[String],
) -> DomainCapabilities {
    let mut document = DomainCapabilities::of(binary, "xen", Some(machine), arch);
    let full = machine == FULLY_VIRTUAL;
    document.vcpu = Some(MaxVcpu { max: if full { MOST_FULLY_VIRTUAL } else { MOST } });
    document.iothreads = Some(Facility::no());
    let loader = match full {
        true => LoaderFacility {
            supported: YesNo::Yes,
            values: firmwares.to_vec(),
            enums: Facility::yes().with("type", ["rom", "pflash"]).with("readonly", ["yes"]).enums,
        },
        false => LoaderFacility::default(),
    };
    document.os =
        Some(OsFacility { supported: YesNo::Yes, loader: Some(loader), ..OsFacility::default() });
    let buses = if full { &["ide", "scsi", "xen"][..] } else { &["xen"] };
    let devices = &mut document.devices;
    devices.disk = Some(
        Facility::yes()
            .with("diskDevice", ["disk", "cdrom"])
            .with("bus", buses)
            .with("model", [""; 0]),
    );
    devices.graphics = Some(Facility::yes().with("type", ["sdl", "vnc", "spice"]));
    devices.video = Some(Facility::yes().with("modelType", ["vga", "cirrus", "xen"]));
    devices.hostdev = Some(
        Facility::yes()
            .with("mode", ["subsystem"])
            .with("startupPolicy", ["default", "mandatory", "requisite", "optional"])
            .with("subsysType", ["usb", "pci"])
            .with("capsType", [""; 0])
            .with("pciBackend", ["xen"]),
    );
    let features = &mut document.features;
    features.gic = Some(Facility::no());
    features.vmcoreinfo = Some(Facility::no());
    features.genid = Some(Facility::no());
    document
}

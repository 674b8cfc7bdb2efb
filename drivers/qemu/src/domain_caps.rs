// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a guest of one kind of machine can have, as a document. Pure: the host's own abilities are given.

mod cpu;
mod devices;
mod features;

use virtus_api::Result;
use virtus_xml::Domain;
use virtus_xml::domain_capabilities::{
    DomainCapabilities, Facility, LoaderFacility, MaxVcpu, OsFacility,
};
use virtus_xml::value::YesNo;

use crate::caps::{Accel, Capabilities, Flag};
use crate::cpu::Cpus;
use crate::firmware::{Firmware, supported};

/// What the host has besides QEMU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// Whether PCI devices can be given to guests.
    pub vfio: bool,
    /// The versions of TPM that can be emulated; empty where none is.
    pub tpm_versions: Vec<String>,
    /// The most processors that the kernel gives one guest.
    pub kvm_max_vcpus: Option<u32>,
    /// How many encrypted guests there can be, and how many of them with encrypted state.
    pub sev_guests: Option<(u32, u32)>,
    /// Whether a server of RDP can be started beside a guest.
    pub rdp: bool,
}

/// The kind of guest that is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// What is to run the guest's instructions.
    pub accel: Accel,
    /// By libvirt's name.
    pub arch: &'a str,
    /// `None`: the preferred one.
    pub machine: Option<&'a str>,
    /// Whether `host-model` is to do without features that QEMU advises against.
    pub without_deprecated: bool,
}

/// The guest that is asked about: its architecture and machine as a definition has them.
struct Asked<'a> {
    caps: &'a Capabilities,
    cpus: &'a Cpus,
    wanted: Wanted<'a>,
    guest: Domain,
}

impl Asked<'_> {
    fn has(&self, flag: Flag) -> bool {
        self.caps.has(flag)
    }

    /// The words whose flag is there.
    fn known<'w>(&self, words: &[(&'w str, Flag)]) -> Vec<&'w str> {
        words.iter().filter(|(_, flag)| self.has(*flag)).map(|(word, _)| *word).collect()
    }
}

/// The document for one kind of guest.
pub fn domain_capabilities(
    caps: &Capabilities,
    wanted: Wanted<'_>,
    firmwares: &[Firmware],
    host: &Host,
    cpus: &Cpus,
) -> Result<DomainCapabilities> {
    let Wanted { accel, arch, machine, .. } = wanted;
    let known = caps.accelerator(accel).or_else(|| caps.accelerators.first());
    let machine = match machine {
        Some(name) => caps.canonical_machine(accel, name).to_owned(),
        None => known
            .and_then(|known| known.default_machine())
            .map(|machine| machine.name.clone())
            .unwrap_or_default(),
    };
    let mut guest = Domain::default();
    guest.body.os.kind.arch = Some(arch.to_owned());
    guest.body.os.kind.machine = Some(machine.clone());
    let asked = Asked { caps, cpus, wanted, guest };
    let most = caps.machine(accel, &machine).map(|machine| machine.max_cpus);
    let most = most.filter(|most| *most > 0).map(|most| match (accel, host.kvm_max_vcpus) {
        (Accel::Kvm, Some(kernel)) => most.min(kernel),
        _ => most,
    });
    Ok(DomainCapabilities {
        path: Some(caps.binary.display().to_string()),
        domain: Some(word(accel).to_owned()),
        machine: Some(machine.clone()),
        arch: Some(arch.to_owned()),
        vcpu: most.map(|max| MaxVcpu { max }),
        iothreads: Some(Facility::yes()),
        os: Some(os(arch, &machine, firmwares)),
        cpu: Some(cpu::modes(&asked)?),
        memory_backing: Some(
            Facility::yes().with(
                "sourceType",
                ["file", "anonymous"]
                    .into_iter()
                    .chain(asked.known(&[("memfd", Flag::MemoryBackendMemfd)])),
            ),
        ),
        devices: devices::devices(&asked, host),
        features: features::features(&asked, host),
    })
}

/// The `type` of domains that run under it.
fn word(accel: Accel) -> &'static str {
    match accel {
        Accel::Tcg => "qemu",
        other => other.name(),
    }
}

fn facility(there: bool) -> Facility {
    if there { Facility::yes() } else { Facility::no() }
}

/// What is there if it comes in any variant.
fn variants(name: &str, values: Vec<&str>) -> Facility {
    if values.is_empty() { Facility::no() } else { Facility::yes().with(name, values) }
}

fn os(arch: &str, machine: &str, firmwares: &[Firmware]) -> OsFacility {
    let offered = supported(firmwares, arch, machine);
    let kinds = offered.interfaces;
    let uses = Facility::yes()
        .with("type", ["rom", "pflash"])
        .with("readonly", ["yes", "no"])
        .with("secure", if offered.secure { &["yes", "no"][..] } else { &["no"] });
    let mut values: Vec<String> = Vec::new();
    for (code, _) in offered.images {
        if !values.iter().any(|known| known == code) {
            values.push(code.to_owned());
        }
    }
    OsFacility {
        supported: YesNo::Yes,
        enums: Facility::yes().with("firmware", kinds).enums,
        loader: Some(LoaderFacility { supported: YesNo::Yes, values, enums: uses.enums }),
    }
}

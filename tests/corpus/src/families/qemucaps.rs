// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What QEMU binaries can do, and what is told of it.

use serde_json::Value;
use virtus_bhyve::domain_caps as bhyve;
use virtus_qemu::caps::{Accel, Capabilities, Circumstances, Replies};
use virtus_qemu::domain_caps::{Host, Wanted, domain_capabilities};
use virtus_qemu::guest_caps::guest;
use virtus_xen::domain_caps as xen;
use virtus_xml::DomainCapabilities;
use virtus_xml::capabilities::{self, HostCpu, IommuSupport, PowerManagement};

use super::cpu_hosts;
use super::qemuxmlconf::surroundings::firmwares;
use crate::{Case, Corpus, Verdict, compare};

pub(super) fn domain(corpus: &Corpus, case: &Case) -> Verdict {
    let param = |name: &str| case.param(name).ok_or_else(|| format!("the case has no '{name}'"));
    let others = match param("driver")? {
        "qemu" => None,
        driver => Some(without_qemu(case, driver)?),
    };
    if let Some(document) = others {
        return compare::text(&case.read_expected(corpus, "xml")?, &document.format());
    }
    let qemu = corpus.qemu(param("qemu_caps")?)?;
    let mut caps = (*qemu).clone();
    caps.binary = param("emulator")?.into();
    let accel = Accel::of_domain_type(param("virt_type")?).ok_or("unknown virt_type")?;
    let host = Host {
        vfio: true,
        tpm_versions: case.words("tpm_versions").into_iter().map(str::to_owned).collect(),
        kvm_max_vcpus: None,
        sev_guests: Some((59, 450)),
        rdp: true,
    };
    let wanted = Wanted {
        accel,
        arch: param("arch")?,
        machine: case.param("machine"),
        without_deprecated: false,
    };
    let cpus = cpu_hosts::cpus(&case.params, "Broadwell").map_err(|error| error.to_string())?;
    let mut document = domain_capabilities(&caps, wanted, &firmwares(corpus)?, &host, &cpus)
        .map_err(|error| error.to_string())?;
    // The suite does not look for firmware, but says that it found two.
    if let Some(loader) = document.os.as_mut().and_then(|os| os.loader.as_mut()) {
        loader.values = [1, 2].map(|n| format!("/obviously/fake/firmware{n}.fd")).into();
    }
    compare::text(&case.read_expected(corpus, "xml")?, &document.format())
}

/// The document of another hypervisor's guests.
fn without_qemu(case: &Case, driver: &str) -> Result<DomainCapabilities, String> {
    let param = |name: &str| case.param(name).ok_or_else(|| format!("the case has no '{name}'"));
    let (binary, arch, machine) = (param("emulator")?, param("arch")?, case.param("machine"));
    let firmwares: Vec<_> = case.words("firmwares").into_iter().map(str::to_owned).collect();
    match driver {
        "none" => Ok(DomainCapabilities::of(Some(binary), param("virt_type")?, machine, arch)),
        "bhyve" => {
            let words = case.words("bhyve_caps");
            let has = |word: &str| words.iter().any(|known| known.eq_ignore_ascii_case(word));
            let abilities =
                bhyve::Abilities { boot_rom: has("lpc-bootrom"), framebuffer: has("fbuf") };
            Ok(bhyve::domain_capabilities(binary, machine, arch, abilities, &firmwares))
        }
        "libxl" => Ok(xen::domain_capabilities(Some(binary), param("machine")?, arch, &firmwares)),
        other => Err(format!("there is no driver '{other}'")),
    }
}

/// The guests of a binary of which only the flags are known.
pub(super) fn guests(corpus: &Corpus, case: &Case) -> Verdict {
    let param = |name: &str| case.param(name).ok_or_else(|| format!("the case has no '{name}'"));
    let known = corpus.qemu(param("qemu_caps")?)?;
    let caps = Capabilities { flags: known.flags, ..Capabilities::default() };
    let arch = param("arch")?;
    let host = capabilities::Host {
        cpu: HostCpu { arch: Some(arch.to_owned()), ..HostCpu::default() },
        power_management: Some(PowerManagement::default()),
        iommu: Some(IommuSupport::default()),
        ..capabilities::Host::default()
    };
    let guests = vec![guest(arch, param("binary")?.as_ref(), &caps)];
    let document = capabilities::Capabilities { host, guests };
    compare::text(&case.read_expected(corpus, "xml")?, &document.format())
}

/// Recorded conversations lead to the cache that libvirt makes of them.
pub(super) fn cache(corpus: &Corpus, case: &Case) -> Verdict {
    let replies = conversations(&case.read_input(corpus, "replies")?)?;
    let hvf = case.param("caps_variant") == Some("+hvf");
    let accelerated = replies.first().ok_or("no conversation")?;
    let mut caps = Capabilities::from_replies(accelerated, replies.get(1), Circumstances { hvf });
    caps.binary = case.param("binary").unwrap_or_default().into();
    let microcode = case.params["microcode_version"].as_u64();
    caps.microcode = microcode.and_then(|version| version.try_into().ok()).unwrap_or_default();
    compare::text(&case.read_expected(corpus, "xml")?, &caps.to_cache_xml())
}

/// Commands and replies in turns, apart by blank lines; a second `qmp_capabilities` starts the second process.
fn conversations(text: &str) -> Result<Vec<Replies>, String> {
    let mut documents = text.split("\n\n").filter(|part| !part.trim().is_empty());
    let mut all: Vec<Replies> = Vec::new();
    while let (Some(command), Some(reply)) = (documents.next(), documents.next()) {
        let parsed = |text| serde_json::from_str::<Value>(text).map_err(|cause| cause.to_string());
        let (command, mut reply) = (parsed(command)?, parsed(reply)?);
        let name = command["execute"].as_str().ok_or("a command without a name")?;
        if name == "qmp_capabilities" {
            all.push(Replies::default());
        } else if let (Some(value), Some(last)) = (reply.get_mut("return"), all.last_mut()) {
            last.insert(name, command.get("arguments"), value.take());
        }
    }
    Ok(all)
}

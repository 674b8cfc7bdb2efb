// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What becomes of a definition's CPU when its guest starts: it is checked against the host, and whatever depends
//! on the host becomes concrete, so that the guest has the same CPU wherever it goes.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_domain::cpu::{Comparison, Profile};
use virtus_xml::Domain;
use virtus_xml::domain::cpu::{Cpu, CpuCheck, CpuMode, Fallback, FeaturePolicy};

use super::host_model::is_native;
use super::{Cpus, HostModel, Offer, is_libvirts_alone};
use crate::caps::{Accel, Accelerator, Capabilities, Flag};
use crate::machine::arch;

/// Settles the CPU of a definition that is about to run.
pub(crate) fn settle(domain: &mut Domain, caps: &Capabilities, cpus: &Cpus) -> Result<()> {
    let Some(cpu) = &domain.body.cpu else { return Ok(()) };
    let mut profile = Profile::of_guest(cpu);
    let mode = profile.mode.unwrap_or(CpuMode::Custom);
    if mode == CpuMode::Custom && profile.model.is_none() {
        return Ok(());
    }
    let arch = arch(domain).to_owned();
    let Some(known) =
        Accel::of_domain_type(domain.kind.as_str()).and_then(|accel| caps.accelerator(accel))
    else {
        return Ok(());
    };
    let offer = Offer { arch: &arch, known };
    let host = HostModel::of(cpus, offer)?;
    if !is_supported(domain, caps, cpus, known, mode, host.as_ref()) {
        return Err(unsupported(format!(
            "CPU mode '{mode}' for {arch} {} domain on {} host is not supported by hypervisor",
            domain.kind, cpus.arch
        )));
    }
    let map = &cpus.map;
    map.modernise(&arch, &mut profile);
    map.check_features(&arch, &profile.features)?;
    let check = cpu.check.unwrap_or_default();
    if let Some(host) = host.as_ref().filter(|_| check != CpuCheck::None) {
        map.check_forbidden(&arch, &profile, &host.full)?;
    }
    let open = matches!(mode, CpuMode::HostPassthrough | CpuMode::Maximum);
    if !open {
        if check == CpuCheck::Partial && !map.is_empty() && !is_usable(offer, &profile) {
            let nothing = Profile::default();
            let full = host.as_ref().map_or(&nothing, |host| &host.full);
            map.compare(&arch, full, &profile).and_then(Comparison::check)?;
        }
        let migratable = host.as_ref().map(|host| &host.migratable);
        map.update(&arch, &mut profile, migratable)?;
        let models = offer.usable_models();
        map.translate(&arch, &mut profile, models.as_deref())?;
        profile.fallback = Some(Fallback::Forbid);
    }
    if let Some(policy) = cpu.deprecated_features {
        let policy = if policy.is_on() { FeaturePolicy::Require } else { FeaturePolicy::Disable };
        let best = known.host_cpu.as_ref();
        let names = best.map(|best| offer.features(&best.deprecated_features)).unwrap_or_default();
        names.iter().for_each(|name| profile.set(name, policy));
    }
    profile.features.retain(|feature| !is_libvirts_alone(&arch, &feature.name));
    let settled = profile.to_guest();
    if let Some(cpu) = &mut domain.body.cpu {
        let Cpu { mode, matches, model, vendor, features, .. } = settled;
        *cpu = Cpu { mode, matches, model, vendor, features, ..cpu.clone() };
    }
    Ok(())
}

/// Whether the binary can run a mode on this host.
fn is_supported(
    domain: &Domain,
    caps: &Capabilities,
    cpus: &Cpus,
    known: &Accelerator,
    mode: CpuMode,
    host: Option<&HostModel>,
) -> bool {
    match mode {
        CpuMode::HostPassthrough => {
            known.accel != Accel::Tcg && is_native(&cpus.arch, arch(domain))
        }
        CpuMode::HostModel => host.is_some(),
        CpuMode::Maximum => caps.has(Flag::CpuMax),
        CpuMode::Custom => true,
    }
}

/// Whether QEMU says that this host can run the model, at least without the features that are off.
fn is_usable(offer: Offer<'_>, cpu: &Profile) -> bool {
    let Some(model) = cpu.model.as_deref().and_then(|name| offer.known.cpu(name)) else {
        return false;
    };
    match model.usable {
        Some(true) => true,
        Some(false) if !model.blockers.is_empty() => {
            let off = |name: &String| {
                cpu.policy(name).is_some_and(|policy| policy == FeaturePolicy::Disable)
            };
            offer.features(&model.blockers).iter().all(off)
        }
        _ => false,
    }
}

fn unsupported(text: String) -> Error {
    Error::new(ErrorCode::ConfigUnsupported, text)
        .in_domain(ErrorDomain::Qemu)
        .hint("'virsh domcapabilities' lists the modes that this host supports")
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The CPU of a definition that names none, and how strictly a named one is checked.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::DomainType;
use virtus_xml::domain::cpu::{
    Cpu, CpuCheck, CpuFeature, CpuMatch, CpuMode, CpuModel, Fallback, FeaturePolicy,
};
use virtus_xml::value::OnOff;

use crate::caps::{Accel, Capabilities, Flag};
use crate::machine::{arch, is_ppc64, is_s390, is_x86, machine};

/// Fills in the CPU.
pub(super) fn settle(domain: &mut Domain, caps: &Capabilities) -> Result<()> {
    default_model(domain, caps);
    let x86 = is_x86(domain);
    let tcg = domain.kind == DomainType::Qemu;
    let running = domain.id.is_some();
    let Some(cpu) = &mut domain.body.cpu else { return Ok(()) };
    sve(cpu)?;
    let mode = cpu.mode.unwrap_or(CpuMode::Custom);
    if !running && mode == CpuMode::HostPassthrough && cpu.migratable.is_none() {
        if caps.has(Flag::CpuMigratable) {
            cpu.migratable = Some(OnOff::On);
        } else if x86 {
            cpu.migratable = Some(OnOff::Off);
        }
    }
    if mode == CpuMode::Custom && cpu.model.as_ref().is_none_or(|model| model.name.is_none()) {
        return Ok(());
    }
    cpu.check.get_or_insert(match mode {
        CpuMode::HostPassthrough | CpuMode::Maximum => CpuCheck::None,
        CpuMode::HostModel => CpuCheck::Partial,
        CpuMode::Custom if tcg => CpuCheck::None,
        CpuMode::Custom => CpuCheck::Partial,
    });
    Ok(())
}

/// A vector length means that there are vectors.
fn sve(cpu: &mut Cpu) -> Result<()> {
    let is_on = |feature: &CpuFeature| feature.policy != Some(FeaturePolicy::Disable);
    let length = |feature: &CpuFeature| {
        let bits = feature.name.strip_prefix("sve").unwrap_or_default();
        !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let lengths = cpu.features.iter().any(|feature| length(feature) && is_on(feature));
    match cpu.features.iter().find(|feature| feature.name == "sve") {
        Some(sve) if lengths && !is_on(sve) => Err(Error::new(
            ErrorCode::ConfigUnsupported,
            "SVE disabled, but SVE vector lengths provided",
        )
        .hint("remove <feature policy='disable' name='sve'/>, or the lengths")),
        None if lengths => {
            let policy = Some(FeaturePolicy::Require);
            cpu.features.push(CpuFeature { policy, name: "sve".to_owned() });
            Ok(())
        }
        _ => Ok(()),
    }
}

fn default_model(domain: &mut Domain, caps: &Capabilities) {
    let named = domain.cpu.as_ref().is_some_and(|cpu| {
        cpu.mode.unwrap_or(CpuMode::Custom) != CpuMode::Custom
            || cpu.model.as_ref().is_some_and(|model| model.name.is_some())
    });
    if named {
        return;
    }
    let known = [
        "i686",
        "x86_64",
        "ppc64",
        "ppc64le",
        "s390",
        "s390x",
        "aarch64",
        "armv7l",
        "armv6l",
        "loongarch64",
        "riscv64",
        "riscv32",
    ];
    if !known.contains(&arch(domain)) {
        return;
    }
    let tcg = domain.kind == DomainType::Qemu;
    if !(is_x86(domain) || is_s390(domain) || is_ppc64(domain) || tcg) {
        return;
    }
    let Some(accelerator) =
        Accel::of_domain_type(domain.kind.as_str()).and_then(|accel| caps.accelerator(accel))
    else {
        return;
    };
    let Some(typename) =
        accelerator.machine(machine(domain)).and_then(|machine| machine.default_cpu.clone())
    else {
        return;
    };
    let model = accelerator
        .cpus
        .iter()
        .find(|cpu| cpu.typename.as_deref() == Some(&typename))
        .map_or_else(|| short(&typename), |cpu| cpu.name.clone());
    let s390 = is_s390(domain);
    let cpu = domain.body.cpu.get_or_insert_with(Cpu::default);
    if model == "host" {
        cpu.mode = Some(if s390 { CpuMode::HostModel } else { CpuMode::HostPassthrough });
        return;
    }
    cpu.mode = Some(CpuMode::Custom);
    cpu.matches = Some(CpuMatch::Exact);
    cpu.check = Some(CpuCheck::None);
    cpu.model = Some(CpuModel {
        fallback: Some(Fallback::Forbid),
        name: Some(model),
        ..CpuModel::default()
    });
}

/// The model's name in a QOM type such as `qemu64-x86_64-cpu`.
fn short(typename: &str) -> String {
    let name = typename.strip_suffix("-cpu").unwrap_or(typename);
    name.rsplit_once('-').map_or(name, |(model, _)| model).to_owned()
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can be said of a guest's CPU.

use virtus_xml::domain_capabilities::{
    CpuModeFacility, CpuModes, CustomModel, Facility, ModelLine, Usable,
};
use virtus_xml::value::YesNo;

use super::Asked;
use crate::caps::{Accel, CpuModel, Flag};
use crate::machine;

pub(super) fn modes(asked: &Asked<'_>) -> CpuModes {
    let passthrough = matches!(asked.accel, Accel::Kvm | Accel::Hvf);
    let migratable = if asked.has(Flag::CpuMigratable) { &["on", "off"][..] } else { &["off"] };
    let models = custom(asked);
    CpuModes {
        modes: vec![
            mode("host-passthrough", passthrough, "hostPassthroughMigratable", migratable),
            mode("maximum", asked.has(Flag::CpuMax), "maximumMigratable", &["on", "off"]),
            mode("host-model", false, "", &[]),
            CpuModeFacility {
                supported: if models.is_empty() { YesNo::No } else { YesNo::Yes },
                models,
                ..mode("custom", false, "", &[])
            },
        ],
    }
}

fn mode(name: &str, there: bool, choice: &str, values: &[&str]) -> CpuModeFacility {
    let facility = if there { Facility::yes().with(choice, values) } else { Facility::no() };
    CpuModeFacility {
        name: name.to_owned(),
        supported: facility.supported,
        enums: facility.enums,
        ..CpuModeFacility::default()
    }
}

/// The models that can be named, by name.
fn custom(asked: &Asked<'_>) -> Vec<CustomModel> {
    let known = asked.caps.accelerator(asked.accel);
    let mut models: Vec<_> = known
        .iter()
        .flat_map(|known| &known.cpus)
        .filter(|model| can_be_named(asked, &model.name))
        .map(custom_model)
        .collect();
    models.sort_by(|a, b| a.model.name.cmp(&b.model.name));
    models
}

/// What stands for the host or for nothing is no model; of POWER the hundreds of embedded ones are none for servers.
fn can_be_named(asked: &Asked<'_>, name: &str) -> bool {
    if machine::is_x86(&asked.guest) {
        return !matches!(name, "max" | "host" | "base");
    }
    if machine::is_ppc64(&asked.guest) {
        let number = name.strip_prefix("POWER");
        return number.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    }
    true
}

fn custom_model(model: &CpuModel) -> CustomModel {
    let usable = match model.usable {
        None => Usable::Unknown,
        Some(true) => Usable::Yes,
        Some(false) => Usable::No,
    };
    let vendor = model.vendor.clone().unwrap_or_else(|| "unknown".to_owned());
    let mut blockers: Vec<_> = model.blockers.iter().map(|name| feature(name)).collect();
    blockers.sort();
    blockers.dedup();
    CustomModel {
        model: ModelLine {
            usable: Some(usable),
            deprecated: model.deprecated.then_some(YesNo::Yes),
            vendor: Some(vendor),
            canonical: None,
            name: model.name.clone(),
        },
        blockers,
    }
}

/// The name of a feature in definitions, where QEMU's differs.
fn feature(name: &str) -> String {
    match name {
        "cmp-legacy" | "ds-cpl" | "fxsr-opt" | "lahf-lm" | "perfctr-core" | "perfctr-nb"
        | "tsc-adjust" | "kvm-pv-eoi" | "kvm-pv-unhalt" | "nodeid-msr" => name.replace('-', "_"),
        "pclmulqdq" => "pclmuldq".to_owned(),
        other => other.to_owned(),
    }
}

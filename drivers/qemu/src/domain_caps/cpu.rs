// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can be said of a guest's CPU.

use virtus_api::Result;
use virtus_domain::cpu::Family;
use virtus_xml::domain::cpu::FeaturePolicy;
use virtus_xml::domain_capabilities::{
    CpuModeFacility, CpuModes, CustomModel, Facility, HostModel as HostModelFacility, ModelLine,
    Usable,
};
use virtus_xml::value::YesNo;

use super::Asked;
use crate::caps::{Accel, CpuModel, Flag};
use crate::cpu::{HostModel, Offer};

pub(super) fn modes(asked: &Asked<'_>) -> Result<CpuModes> {
    let passthrough = matches!(asked.wanted.accel, Accel::Kvm | Accel::Hvf);
    let migratable = if asked.has(Flag::CpuMigratable) { &["on", "off"][..] } else { &["off"] };
    let models = custom(asked);
    let host_model = host_model(asked)?;
    Ok(CpuModes {
        modes: vec![
            mode("host-passthrough", passthrough, "hostPassthroughMigratable", migratable),
            mode("maximum", asked.has(Flag::CpuMax), "maximumMigratable", &["on", "off"]),
            CpuModeFacility {
                supported: host_model.is_some().into(),
                host_model,
                ..mode("host-model", false, "", &[])
            },
            CpuModeFacility {
                supported: (!models.is_empty()).into(),
                models,
                ..mode("custom", false, "", &[])
            },
        ],
    })
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

/// What binary and accelerator offer; `None` where the accelerator does not work.
fn offer<'a>(asked: &Asked<'a>) -> Option<Offer<'a>> {
    let known = asked.caps.accelerator(asked.wanted.accel)?;
    Some(Offer { arch: asked.wanted.arch, known })
}

fn host_model(asked: &Asked<'_>) -> Result<Option<HostModelFacility>> {
    let Some(offer) = offer(asked) else { return Ok(None) };
    let Some(HostModel { mut reported, .. }) = HostModel::of(asked.cpus, offer)? else {
        return Ok(None);
    };
    let best = offer.known.host_cpu.as_ref().filter(|_| asked.wanted.without_deprecated);
    for name in best.iter().flat_map(|best| offer.features(&best.deprecated_features)) {
        reported.set(&name, FeaturePolicy::Disable);
    }
    let guest = reported.to_guest();
    Ok(Some(HostModelFacility {
        model: guest.model,
        vendor: guest.vendor,
        maxphysaddr: guest.maxphysaddr,
        features: guest.features,
    }))
}

/// The models that can be named, by name: those that both QEMU and the descriptions of models know, where there are
/// descriptions.
fn custom(asked: &Asked<'_>) -> Vec<CustomModel> {
    let arch = asked.wanted.arch;
    let Some(offer) = offer(asked).filter(|_| Family::of(arch).is_some()) else {
        return Vec::new();
    };
    let described = asked.cpus.map.models(arch);
    let can_be_named = |model: &&CpuModel| {
        let name = model.name.as_str();
        name != "host" && described.as_ref().is_none_or(|described| described.contains(&name))
    };
    let named = offer.known.cpus.iter().filter(can_be_named);
    let mut models: Vec<_> = named.map(|model| custom_model(asked, offer, model)).collect();
    models.sort_by(|a, b| a.model.name.cmp(&b.model.name));
    models
}

fn custom_model(asked: &Asked<'_>, offer: Offer<'_>, model: &CpuModel) -> CustomModel {
    let usable = match model.usable {
        None => Usable::Unknown,
        Some(true) => Usable::Yes,
        Some(false) => Usable::No,
    };
    let (map, arch) = (&asked.cpus.map, asked.wanted.arch);
    let vendor = map.vendor(arch, &model.name).or(model.vendor.as_deref()).unwrap_or("unknown");
    let mut blockers = offer.features(&model.blockers);
    blockers.sort();
    blockers.dedup();
    CustomModel {
        model: ModelLine {
            usable: Some(usable),
            deprecated: model.deprecated.then_some(YesNo::Yes),
            vendor: Some(vendor.to_owned()),
            canonical: map.canonical(arch, &model.name).map(str::to_owned),
            name: model.name.clone(),
        },
        blockers,
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a binary tells about CPUs.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::model::{Accel, Accelerator, CpuModel, CpuProperty, CpuValue, HostCpu, Hyperv};
use super::super::replies::{Replies, hyperv_properties};
use super::super::{Flag, FlagSet};

/// The models that the binary knows, in its own order.
pub(super) fn models(reply: &Value, arch: &str) -> Vec<CpuModel> {
    let list = reply.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut models: Vec<CpuModel> = list.iter().filter_map(model).collect();
    if matches!(arch, "ppc64" | "ppc64le") {
        for model in &mut models {
            // libvirt writes the generations of POWER as IBM does, QEMU does not.
            if matches!(
                &*model.name,
                "power6" | "power7" | "power8" | "power9" | "power10" | "power11"
            ) {
                model.name.make_ascii_uppercase();
            }
        }
    }
    models
}

fn model(entry: &Value) -> Option<CpuModel> {
    let blockers = entry["unavailable-features"]
        .as_array()
        .map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>());
    Some(CpuModel {
        name: entry["name"].as_str()?.to_owned(),
        typename: entry["typename"].as_str().filter(|name| !name.is_empty()).map(str::to_owned),
        usable: blockers.as_ref().map(Vec::is_empty),
        blockers: blockers.unwrap_or_default(),
        deprecated: entry["deprecated"] == true,
        vendor: None,
    })
}

/// The best CPU under `accel`. x86 and s390x tell it relative to a base model ("static"); Arm lists
/// every property ("full").
pub(super) fn host_cpu(
    replies: &Replies,
    accel: Accel,
    arch: &str,
    flags: &FlagSet,
) -> Option<HostCpu> {
    let model = if accel == Accel::Tcg { "max" } else { "host" };
    let kind = if matches!(arch, "aarch64" | "armv7l") { "full" } else { "static" };
    let reply = replies.expansion(kind, model, None)?;
    let mut cpu = best(reply)?;
    if flags.has(Flag::CpuMigratable) {
        let all = replies.expansion(kind, model, Some(json!({ "migratable": false })));
        if let Some(all) = all {
            mark_migratable(&mut cpu.properties, &all["model"]["props"]);
            cpu.migratability = true;
        }
    }
    if flags.has(Flag::QueryCpuModelExpansionDeprecatedProps) {
        let full = replies.expansion("full", model, None).unwrap_or(reply);
        let list = full["deprecated-props"].as_array().map(Vec::as_slice).unwrap_or_default();
        cpu.deprecated_features =
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    Some(cpu)
}

/// The model and properties of an expansion.
fn best(reply: &Value) -> Option<HostCpu> {
    Some(HostCpu {
        model: reply["model"]["name"].as_str()?.to_owned(),
        properties: properties(&reply["model"]["props"]),
        ..HostCpu::default()
    })
}

impl Accelerator {
    /// What KVM offers, as far as these replies say: to `query-cpu-model-expansion` of the host, and to
    /// `query-cpu-definitions`.
    #[must_use]
    pub fn of_cpu_replies(expansion: &Value, definitions: Option<&Value>, arch: &str) -> Self {
        Self {
            host_cpu: best(expansion),
            cpus: definitions.map(|list| models(list, arch)).unwrap_or_default(),
            ..Self::new(Accel::Kvm)
        }
    }
}

fn properties(props: &Value) -> Vec<CpuProperty> {
    let Some(props) = props.as_object() else { return Vec::new() };
    props
        .iter()
        .filter_map(|(name, value)| {
            let value = match value {
                Value::Bool(value) => CpuValue::Boolean(*value),
                Value::String(text) => CpuValue::Text(text.clone()),
                Value::Number(number) => CpuValue::Number(number.as_i64()?),
                _ => return None,
            };
            Some(CpuProperty { name: name.clone(), value, migratable: None })
        })
        .collect()
}

/// A feature that is on in a migratable CPU can be migrated; one that is on only otherwise cannot, but
/// is there.
fn mark_migratable(properties: &mut [CpuProperty], all: &Value) {
    let on: HashMap<&str, bool> = all
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_bool()?)))
        .collect();
    for property in properties {
        let (CpuValue::Boolean(value), Some(without)) =
            (&mut property.value, on.get(property.name.as_str()))
        else {
            continue;
        };
        if *value {
            property.migratable = Some(true);
        } else if *without {
            *value = true;
            property.migratable = Some(false);
        }
    }
}

/// Enlightenments by the names of domain XML and of QEMU's properties, in the order of caches.
const HYPERV: &[(&str, &str)] = &[
    ("relaxed", "hv-relaxed"),
    ("vapic", "hv-vapic"),
    ("spinlocks", "hv-spinlocks"),
    ("vpindex", "hv-vpindex"),
    ("runtime", "hv-runtime"),
    ("synic", "hv-synic"),
    ("stimer", "hv-stimer"),
    ("reset", "hv-reset"),
    ("vendor_id", "hv-vendor-id"),
    ("frequencies", "hv-frequencies"),
    ("reenlightenment", "hv-reenlightenment"),
    ("tlbflush", "hv-tlbflush"),
    ("ipi", "hv-ipi"),
    ("evmcs", "hv-evmcs"),
    ("avic", "hv-avic"),
    ("emsr_bitmap", "hv-emsr-bitmap"),
    ("xmm_input", "hv-xmm-input"),
];

/// The enlightenments that the kernel offers.
pub(super) fn hyperv(replies: &Replies) -> Option<Hyperv> {
    let reply = replies.expansion("full", "host", Some(hyperv_properties()))?;
    let props = &reply["model"]["props"];
    let offered = |property: &str| match &props[property] {
        Value::Bool(value) => *value,
        // How often a guest spins before it tells: all ones is "never".
        Value::Number(number) => number.as_u64().is_some_and(|n| n != 0 && n != 0xffff_ffff),
        Value::String(text) => !text.is_empty(),
        _ => false,
    };
    let features: Vec<String> = HYPERV
        .iter()
        .filter(|(name, property)| {
            // These two need nothing of the kernel.
            matches!(*name, "spinlocks" | "vendor_id") && !props[property].is_null()
                || offered(property)
        })
        .map(|(name, _)| (*name).to_owned())
        .collect();
    Some(Hyperv { supported: !features.is_empty(), features })
}

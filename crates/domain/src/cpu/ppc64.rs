// SPDX-License-Identifier: Apache-2.0 OR MIT
//! POWER: a model is known by the processor version register; features cannot be chosen. A guest of a newer model
//! may run as an older one: `host-model` with a name in small letters, such as `power9`.

use virtus_api::{ErrorCode, Result};
use virtus_xml::cpu_map::CpuMapFile;
use virtus_xml::domain::cpu::CpuMode;

use super::map::vendor_name;
use super::{Comparison, Profile, error, failed, unknown_model};

/// The models of POWER.
#[derive(Debug, Clone, Default)]
pub(super) struct Map {
    vendors: Vec<String>,
    models: Vec<Model>,
}

#[derive(Debug, Clone)]
struct Model {
    name: String,
    vendor: Option<String>,
    /// Value and mask of the version register.
    versions: Vec<(u64, u64)>,
}

impl Map {
    pub(super) fn add(&mut self, file: &CpuMapFile) -> Result<()> {
        self.vendors.extend(file.vendors.iter().map(|vendor| vendor.name.clone()));
        for model in &file.models {
            let pvrs = model.pvrs.iter();
            self.models.push(Model {
                name: model.name.clone(),
                vendor: vendor_name(model),
                versions: pvrs.map(|p| (p.value.0, p.mask.map_or(u64::MAX, |m| m.0))).collect(),
            });
        }
        Ok(())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|model| model.name.as_str())
    }

    pub(super) fn vendor(&self, model: &str) -> Option<&str> {
        self.model(model).ok()?.vendor.as_deref()
    }

    /// The CPU whose version register holds `pvr`.
    pub(super) fn decode(&self, pvr: u64) -> Result<Profile> {
        let fits =
            |model: &&Model| model.versions.iter().any(|(value, mask)| pvr & mask == value & mask);
        let model = self
            .models
            .iter()
            .find(fits)
            .ok_or_else(|| failed(format!("Cannot find CPU model with PVR {pvr:#010x}")))?;
        Ok(Profile {
            host: true,
            model: Some(model.name.clone()),
            vendor: model.vendor.clone(),
            ..Profile::default()
        })
    }

    fn model(&self, name: &str) -> Result<&Model> {
        self.models.iter().find(|model| model.name == name).ok_or_else(|| unknown_model(name))
    }

    fn model_of(&self, cpu: &Profile) -> Result<&Model> {
        let name = cpu.model.as_deref();
        let name = name.ok_or_else(|| error(ErrorCode::InvalidArg, "the CPU names no model"))?;
        self.model(current_name(name).unwrap_or(name))
    }

    pub(super) fn compare(&self, host: &Profile, cpu: &Profile) -> Result<Comparison> {
        if let Some(arch) = cpu.arch.as_deref().filter(|arch| !arch.starts_with("ppc64")) {
            return Ok(Comparison::incompatible(format!(
                "CPU arch {arch} does not match host arch"
            )));
        }
        if let Some(vendor) = cpu.vendor.as_deref().filter(|_| cpu.vendor != host.vendor) {
            return Ok(Comparison::wrong_vendor(vendor));
        }
        let own = self.model_of(host)?;
        let wanted = match cpu.mode.filter(|_| !cpu.host).unwrap_or(CpuMode::Custom) {
            CpuMode::Custom => self.model_of(cpu)?,
            CpuMode::HostModel => {
                let verdict = as_older(&own.name, cpu.model.as_deref())?;
                if verdict != Comparison::Identical {
                    return Ok(verdict);
                }
                own
            }
            CpuMode::HostPassthrough | CpuMode::Maximum => own,
        };
        if wanted.name == own.name {
            return Ok(Comparison::Identical);
        }
        Ok(Comparison::incompatible(format!(
            "host CPU model does not match required CPU model {}",
            wanted.name
        )))
    }

    pub(super) fn baseline(&self, cpus: &[Profile]) -> Result<Profile> {
        let [first, ..] = cpus else { return Err(failed("no CPUs are given")) };
        let model = self.model_of(first)?;
        let mut vendor: Option<&str> = None;
        for cpu in cpus {
            if cpu.model.as_deref() != Some(&model.name) {
                return Err(failed("CPUs are incompatible"));
            }
            let Some(name) = cpu.vendor.as_deref() else { continue };
            if !self.vendors.iter().any(|known| known == name) {
                return Err(failed(format!("Unknown CPU vendor {name}")));
            }
            if let Some(own) = model.vendor.as_deref().filter(|own| *own != name) {
                let model = &model.name;
                return Err(failed(format!(
                    "CPU vendor {own} of model {model} differs from vendor {name}"
                )));
            }
            if vendor.is_some_and(|known| known != name) {
                return Err(failed("CPU vendors do not match"));
            }
            vendor = Some(name);
        }
        Ok(Profile { model: Some(model.name.clone()), ..Profile::default() })
    }
}

/// Whether a host of one generation can run a guest as one of `older`.
fn as_older(host: &str, older: Option<&str>) -> Result<Comparison> {
    const FIRST: u32 = 6;
    let Some(older) = older else { return Ok(Comparison::Identical) };
    let generation = |name: &str, prefix: &str| -> Option<u32> {
        name.strip_prefix(prefix)?.parse().ok().filter(|number| *number >= FIRST)
    };
    let own = generation(host, "POWER").ok_or_else(|| {
        error(ErrorCode::InternalError, "Host CPU does not support compatibility modes")
    })?;
    let wanted = generation(older, "power").ok_or_else(|| {
        error(ErrorCode::InternalError, format!("Unknown compatibility mode {older}"))
    })?;
    if own >= wanted {
        return Ok(Comparison::Identical);
    }
    Ok(Comparison::incompatible(format!("host CPU {host} cannot run as {older}")))
}

/// The name of today for one that carried a revision.
pub(super) fn current_name(name: &str) -> Option<&str> {
    match name {
        "POWER7_v2.1" | "POWER7_v2.3" | "POWER7+_v2.1" => Some("POWER7"),
        "POWER8_v1.0" => Some("POWER8"),
        _ => None,
    }
}

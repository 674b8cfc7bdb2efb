// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether a host can run a CPU, and which CPU several hosts can run.

use virtus_api::{ErrorCode, Result};
use virtus_xml::domain::cpu::{CpuMatch, CpuMode, Fallback, FeaturePolicy};

use super::x86::{self, Decode, Registers};
use super::{CpuMap, Family, Profile, UsableModel, error, failed};

/// How a CPU relates to the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// The host has just that.
    Identical,
    /// The host has that and more.
    Superset,
    /// The host lacks something; the text says what.
    Incompatible(String),
}

impl Comparison {
    pub(super) fn incompatible(why: impl Into<String>) -> Self {
        Self::Incompatible(why.into())
    }

    pub(super) fn wrong_vendor(vendor: &str) -> Self {
        Self::Incompatible(format!("host CPU vendor does not match required CPU vendor {vendor}"))
    }

    /// The error for a CPU that the host cannot run.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Identical | Self::Superset => Ok(()),
            Self::Incompatible(why) => Err(error(ErrorCode::CpuIncompatible, why)),
        }
    }
}

/// What a common CPU may be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Baseline<'a> {
    /// The models that the hypervisor knows; `None` where all will do.
    pub models: Option<&'a [UsableModel]>,
    /// The features that the hypervisor offers; `None` where all will do.
    pub features: Option<&'a [String]>,
    /// Whether features that keep a guest from moving are left out.
    pub migratable: bool,
}

impl CpuMap {
    /// Compares `cpu` with the host.
    pub fn compare(&self, arch: &str, host: &Profile, cpu: &Profile) -> Result<Comparison> {
        let family = Family::of(arch).ok_or_else(|| {
            error(ErrorCode::NoSupport, format!("cannot compare CPUs of {arch} architecture"))
        })?;
        if cpu.model.is_none() && cpu.mode.is_none_or(|mode| mode == CpuMode::Custom) && !cpu.host {
            return Err(error(ErrorCode::OperationInvalid, "no CPU model specified"));
        }
        match family {
            Family::X86 if host.model.is_none() => Ok(Comparison::incompatible("unknown host CPU")),
            Family::X86 => compare_x86(&self.x86, host, cpu),
            Family::Ppc64 => self.ppc64.compare(host, cpu),
            Family::Arm => Ok(self.arm.compare(host, cpu)),
            Family::S390 | Family::Plain => Ok(Comparison::Identical),
        }
    }

    /// The best CPU that all of `cpus` can run, as a guest's definition.
    pub fn baseline(&self, arch: &str, cpus: &[Profile], how: &Baseline<'_>) -> Result<Profile> {
        let mut common = match (Family::of(arch), cpus) {
            (_, []) => {
                return Err(error(ErrorCode::InvalidArg, "no CPUs given"));
            }
            (Some(Family::X86), cpus) => baseline_x86(&self.x86, cpus, how)?,
            (Some(Family::Ppc64), cpus) => {
                Profile { fallback: Some(Fallback::Forbid), ..self.ppc64.baseline(cpus)? }
            }
            (Some(Family::Arm), [first, others @ ..]) => {
                if others.iter().any(|cpu| cpu.model != first.model) {
                    return Err(failed("CPUs are incompatible"));
                }
                let (model, vendor) = (first.model.clone(), first.vendor.clone());
                Profile { model, vendor, ..Profile::default() }
            }
            _ => {
                let text = format!("cannot compute baseline CPU of {arch} architecture");
                return Err(error(ErrorCode::NoSupport, text));
            }
        };
        common.matches = Some(CpuMatch::Exact);
        Ok(common)
    }
}

fn compare_x86(map: &x86::Map, host: &Profile, cpu: &Profile) -> Result<Comparison> {
    if let Some(arch) = cpu.arch.as_deref().filter(|arch| Family::of(arch) != Some(Family::X86)) {
        return Ok(Comparison::incompatible(format!("CPU arch {arch} does not match host arch")));
    }
    if let Some(vendor) = cpu.vendor.as_deref().filter(|_| cpu.vendor != host.vendor) {
        return Ok(Comparison::wrong_vendor(vendor));
    }
    let own = map.bits_of(host)?;
    let with = |policy| -> Result<Registers> {
        match cpu.host && policy != FeaturePolicy::Require {
            true => Ok(Registers::default()),
            false => map.bits_with(cpu, policy),
        }
    };
    let refuse = |why: &str, bits: &Registers| {
        let names: Vec<_> = map.names_in(bits).collect();
        Ok(Comparison::incompatible(format!("{why}: {}", names.join(", "))))
    };
    let mut forbidden = with(FeaturePolicy::Forbid)?;
    forbidden.intersect(&own);
    if !forbidden.is_empty() {
        return refuse("Host CPU provides forbidden features", &forbidden);
    }
    let mut required = with(FeaturePolicy::Require)?;
    let free = [FeaturePolicy::Force, FeaturePolicy::Optional, FeaturePolicy::Disable];
    let mut rest = own.clone();
    for policy in free {
        let bits = with(policy)?;
        required.subtract(&bits);
        rest.subtract(&bits);
    }
    rest.subtract(&required);
    if !own.contains(&required) {
        required.subtract(&own);
        return refuse("Host CPU does not provide required features", &required);
    }
    if rest.is_empty() {
        return Ok(Comparison::Identical);
    }
    if !cpu.host && cpu.matches == Some(CpuMatch::Strict) {
        return refuse("Host CPU does not strictly match guest CPU: Extra features", &rest);
    }
    Ok(Comparison::Superset)
}

fn baseline_x86(map: &x86::Map, cpus: &[Profile], how: &Baseline<'_>) -> Result<Profile> {
    let vendor = common_vendor(map, cpus)?;
    let mut common: Option<Registers> = None;
    let mut models: Vec<String> = Vec::new();
    for cpu in cpus {
        let bits = map.bits_of(cpu)?;
        match &mut common {
            Some(common) => common.intersect(&bits),
            None => common = Some(bits),
        }
        models.extend(
            cpu.model.iter().filter(|name| !models.contains(name)).cloned().collect::<Vec<_>>(),
        );
    }
    let mut common = common.unwrap_or_default();
    if let Some(features) = how.features {
        let mut offered = Registers::default();
        let known = features.iter().filter_map(|name| map.feature(name).ok());
        known.for_each(|feature| offered.add(&feature.bits));
        common.intersect(&offered);
    }
    if common.is_empty() {
        return Err(failed("CPUs are incompatible"));
    }
    if let Some(vendor) = &vendor {
        common.add(map.vendor(vendor)?);
    }
    let how = Decode {
        models: how.models,
        preferred: &models,
        migratable: how.migratable,
        ..Decode::default()
    };
    let mut profile = map.decode(&common, &how)?;
    if models.len() == 1 && profile.model.as_ref() == models.first() {
        profile.fallback = Some(Fallback::Forbid);
    }
    // A maker is required only if all CPUs say who made them.
    profile.vendor.take_if(|_| cpus.iter().any(|cpu| cpu.vendor.is_none()));
    Ok(profile)
}

/// The maker of all CPUs, stated or known by their models.
fn common_vendor(map: &x86::Map, cpus: &[Profile]) -> Result<Option<String>> {
    let mut common: Option<String> = None;
    for (number, cpu) in cpus.iter().enumerate() {
        let model = cpu.model.as_deref().map(|name| map.model(name)).transpose()?;
        let by_model = model.and_then(|model| model.vendor.as_ref());
        if let (Some(stated), Some(known), Some(model)) = (&cpu.vendor, by_model, model)
            && stated != known
            && number > 0
        {
            let model = &model.name;
            return Err(failed(format!(
                "CPU vendor {known} of model {model} differs from vendor {stated}"
            )));
        }
        let by_model = by_model.filter(|_| number > 0);
        let Some(vendor) = cpu.vendor.as_ref().or(by_model) else { continue };
        map.vendor(vendor)?;
        match &common {
            Some(known) if known != vendor => return Err(failed("CPU vendors do not match")),
            _ => common = Some(vendor.clone()),
        }
    }
    Ok(common)
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A definition that depends on the host, made concrete; and one whose model the hypervisor lacks, translated.

use virtus_api::{ErrorCode, Result};
use virtus_xml::domain::cpu::{CpuFeature, CpuMatch, CpuMode, Fallback, FeaturePolicy};

use super::map::find;
use super::x86::{Decode, Signature};
use super::{CpuMap, Family, Profile, UsableModel, error, ppc64};

/// Whether the definition says nothing that could be changed: the hypervisor gives what it has.
fn is_open(cpu: &Profile) -> bool {
    matches!(cpu.mode, Some(CpuMode::HostPassthrough | CpuMode::Maximum))
}

fn no_host_model() -> virtus_api::Error {
    error(ErrorCode::ConfigUnsupported, "unknown host CPU model")
}

impl CpuMap {
    /// Replaces names of models that are no longer used.
    pub fn modernise(&self, arch: &str, cpu: &mut Profile) {
        if Family::of(arch) == Some(Family::Ppc64)
            && let Some(name) = cpu.model.as_deref().and_then(ppc64::current_name)
        {
            cpu.model = Some(name.to_owned());
        }
    }

    /// Makes a definition concrete: `host-model` and `match='minimum'` become the host's model, optional
    /// features are required or disabled as the host has them.
    pub fn update(&self, arch: &str, cpu: &mut Profile, host: Option<&Profile>) -> Result<()> {
        if is_open(cpu) {
            return Ok(());
        }
        let optional = |f: &CpuFeature| f.policy == Some(FeaturePolicy::Optional);
        let host_model = cpu.mode == Some(CpuMode::HostModel);
        let by_host = host_model
            || cpu.matches == Some(CpuMatch::Minimum)
            || cpu.features.iter().any(optional);
        match Family::of(arch) {
            Some(Family::X86) => {
                if by_host {
                    self.update_x86(cpu, host.ok_or_else(no_host_model)?)?;
                }
                self.x86.disable_removed(cpu);
            }
            // As an older model, `host-model` stays what it is.
            Some(Family::Ppc64) if !host_model => cpu.matches = Some(CpuMatch::Exact),
            Some(Family::S390) => {
                if !host_model && cpu.matches == Some(CpuMatch::Minimum) {
                    let text = "match mode minimum not supported";
                    return Err(error(ErrorCode::ConfigUnsupported, text));
                }
                if host_model {
                    take_host(cpu, host.ok_or_else(no_host_model)?);
                } else if cpu.features.iter().any(optional) {
                    let text = "only cpu feature policies 'require' and 'disable' are supported";
                    return Err(error(ErrorCode::ConfigUnsupported, text));
                }
            }
            Some(Family::Arm) if host_model => take_host(cpu, host.ok_or_else(no_host_model)?),
            Some(Family::Ppc64 | Family::Arm) => {}
            Some(Family::Plain) => cpu.matches = Some(CpuMatch::Exact),
            None if by_host => {
                let text = format!("cannot update guest CPU for {arch} architecture");
                return Err(error(ErrorCode::NoSupport, text));
            }
            None => {}
        }
        Ok(())
    }

    fn update_x86(&self, cpu: &mut Profile, host: &Profile) -> Result<()> {
        let bits = self.x86.bits_of(host)?;
        for feature in &mut cpu.features {
            if feature.policy == Some(FeaturePolicy::Optional) {
                let there = bits.contains(&self.x86.feature(&feature.name)?.bits);
                let policy = if there { FeaturePolicy::Require } else { FeaturePolicy::Disable };
                feature.policy = Some(policy);
            }
        }
        if cpu.mode == Some(CpuMode::HostModel) || cpu.matches == Some(CpuMatch::Minimum) {
            take_host(cpu, host);
        }
        Ok(())
    }

    /// Checks that a host has none of the features that are forbidden.
    pub fn check_forbidden(&self, arch: &str, cpu: &Profile, host: &Profile) -> Result<()> {
        let forbidden = cpu.features.iter().filter(|f| f.policy == Some(FeaturePolicy::Forbid));
        for feature in forbidden {
            if self.has_feature(arch, host, &feature.name)? {
                let text = format!("Host CPU provides forbidden feature '{}'", feature.name);
                return Err(error(ErrorCode::CpuIncompatible, text));
            }
        }
        Ok(())
    }

    /// Whether a CPU has a feature.
    pub fn has_feature(&self, arch: &str, cpu: &Profile, feature: &str) -> Result<bool> {
        match Family::of(arch) {
            Some(Family::X86) => {
                Ok(self.x86.bits_of(cpu)?.contains(&self.x86.feature(feature)?.bits))
            }
            _ => Ok(matches!(
                cpu.policy(feature),
                Some(FeaturePolicy::Require | FeaturePolicy::Force)
            )),
        }
    }

    /// Checks that the features of a definition are known, where they are known at all.
    pub fn check_features(&self, arch: &str, features: &[CpuFeature]) -> Result<()> {
        match Family::of(arch) {
            Some(Family::X86) if self.x86.features.is_empty() => Ok(()),
            Some(Family::X86) => {
                features.iter().try_for_each(|f| self.x86.feature(&f.name).map(|_| ()))
            }
            Some(Family::Arm) => self.arm.check_features(features),
            _ => Ok(()),
        }
    }

    /// Replaces a model that the hypervisor lacks by one that it has, if the definition allows.
    pub fn translate(
        &self,
        arch: &str,
        cpu: &mut Profile,
        models: Option<&[UsableModel]>,
    ) -> Result<()> {
        let named = !is_open(cpu) && cpu.mode != Some(CpuMode::HostModel);
        let Some(name) = cpu.model.clone().filter(|_| named) else { return Ok(()) };
        if models.is_none() || find(models, &name).is_some() {
            return Ok(());
        }
        let refuse = |text: String| Err(error(ErrorCode::ConfigUnsupported, text));
        if cpu.fallback == Some(Fallback::Forbid) {
            return refuse(format!("CPU model {name} is not supported by hypervisor"));
        }
        if Family::of(arch) != Some(Family::X86) {
            return refuse(format!("cannot translate CPU model {name} to a supported model"));
        }
        let mut bits = self.x86.bits_of(cpu)?;
        let model = self.x86.model(&name)?;
        if let Some(vendor) = &model.vendor {
            bits.add(self.x86.vendor(vendor)?);
        }
        if let Some(first) = model.signatures.first() {
            bits.add_signature(Signature::first_of(first).to_cpuid());
        }
        let mut translated = self.x86.decode(&bits, &Decode { models, ..Decode::default() })?;
        for feature in &cpu.features {
            translated.set(&feature.name, feature.policy.unwrap_or(FeaturePolicy::Require));
        }
        cpu.model = translated.model;
        cpu.features = translated.features;
        Ok(())
    }

    /// The same host without features that keep a guest from moving.
    #[must_use]
    pub fn migratable(&self, arch: &str, cpu: &Profile) -> Profile {
        let mut copy = cpu.clone();
        if Family::of(arch) == Some(Family::X86) {
            copy.features.retain(|feature| self.x86.is_migratable(&feature.name));
        }
        copy
    }

    /// The definition with all features of its model written out, where models are sets of features.
    pub fn expand(&self, arch: &str, cpu: &Profile) -> Result<Profile> {
        match Family::of(arch) {
            Some(Family::X86) => self.x86.expand(cpu),
            _ => Ok(cpu.clone()),
        }
    }
}

/// Gives a guest the host's model and features; what the guest says of features stays.
fn take_host(cpu: &mut Profile, host: &Profile) {
    let asked = std::mem::take(&mut cpu.features);
    cpu.features.clone_from(&host.features);
    for feature in &mut cpu.features {
        feature.policy.get_or_insert(FeaturePolicy::Require);
    }
    for feature in asked {
        cpu.set(&feature.name, feature.policy.unwrap_or(FeaturePolicy::Require));
    }
    // A guest that only wanted no less than a model keeps what it asked of the maker.
    if cpu.mode != Some(CpuMode::Custom) {
        cpu.vendor.clone_from(&host.vendor);
    }
    cpu.model.clone_from(&host.model);
    cpu.mode = Some(CpuMode::Custom);
    cpu.matches = Some(CpuMatch::Exact);
}

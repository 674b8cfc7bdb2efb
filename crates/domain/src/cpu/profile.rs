// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What computations need of a `<cpu>`, be it a guest's or a host's.

use virtus_xml::CpuDocument;
use virtus_xml::capabilities::{HostCpu, HostFeature, Signature};
use virtus_xml::domain::cpu::{
    Cpu, CpuFeature, CpuMatch, CpuMode, CpuModel, Fallback, FeaturePolicy, MaxPhysAddr,
};

/// A CPU as a model and features that differ from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// Whether this is what a host has, where every feature is there, not what a guest is to have.
    pub host: bool,
    /// The architecture, if it is stated.
    pub arch: Option<String>,
    /// How the model is chosen.
    pub mode: Option<CpuMode>,
    /// How strictly a host must match.
    pub matches: Option<CpuMatch>,
    /// The model's name.
    pub model: Option<String>,
    /// Whether another model will do.
    pub fallback: Option<Fallback>,
    /// The letters that the guest's CPU shows as its maker.
    pub vendor_id: Option<String>,
    /// The maker.
    pub vendor: Option<String>,
    /// Family, model and stepping.
    pub signature: Option<Signature>,
    /// The width of addresses.
    pub maxphysaddr: Option<MaxPhysAddr>,
    /// What differs from the model, in the order of the document.
    pub features: Vec<CpuFeature>,
}

impl Profile {
    /// What is known of a guest's CPU.
    #[must_use]
    pub fn of_guest(cpu: &Cpu) -> Self {
        let model = cpu.model.clone().unwrap_or_default();
        Self {
            host: false,
            arch: cpu.arch.clone(),
            mode: cpu.mode,
            matches: cpu.matches,
            model: model.name,
            fallback: model.fallback,
            vendor_id: model.vendor_id,
            vendor: cpu.vendor.clone(),
            signature: None,
            maxphysaddr: cpu.maxphysaddr.clone(),
            features: cpu.features.clone(),
        }
    }

    /// What is known of a host's CPU.
    #[must_use]
    pub fn of_host(cpu: &HostCpu) -> Self {
        let feature = |feature: &HostFeature| CpuFeature {
            policy: Some(FeaturePolicy::Require),
            name: feature.name.clone(),
        };
        Self {
            host: true,
            arch: cpu.arch.clone(),
            model: cpu.model.clone(),
            vendor: cpu.vendor.clone(),
            signature: cpu.signature.clone(),
            maxphysaddr: cpu.maxphysaddr.clone(),
            features: cpu.features.iter().map(feature).collect(),
            ..Self::default()
        }
    }

    /// What is known of either.
    #[must_use]
    pub fn of(document: &CpuDocument) -> Self {
        match document {
            CpuDocument::Host(host) => Self::of_host(host),
            CpuDocument::Guest(guest) => Self::of_guest(guest),
        }
    }

    /// The same as a guest's definition.
    #[must_use]
    pub fn to_guest(&self) -> Cpu {
        let named = self.model.is_some();
        Cpu {
            mode: self.mode.or(named.then_some(CpuMode::Custom)),
            matches: self.matches,
            model: (named || self.vendor_id.is_some()).then(|| CpuModel {
                fallback: Some(self.fallback.unwrap_or(Fallback::Allow)),
                vendor_id: self.vendor_id.clone(),
                name: self.model.clone(),
            }),
            vendor: self.vendor.clone(),
            maxphysaddr: self.maxphysaddr.clone(),
            features: self.features.clone(),
            ..Cpu::default()
        }
    }

    /// The same as a host's description.
    #[must_use]
    pub fn to_host(&self) -> HostCpu {
        let features = self.features.iter();
        HostCpu {
            arch: self.arch.clone(),
            model: self.model.clone(),
            vendor: self.vendor.clone(),
            signature: self.signature.clone(),
            maxphysaddr: self.maxphysaddr.clone(),
            features: features.map(|f| HostFeature { name: f.name.clone() }).collect(),
            ..HostCpu::default()
        }
    }

    /// The policy for a feature, if it is mentioned.
    #[must_use]
    pub fn policy(&self, feature: &str) -> Option<FeaturePolicy> {
        let known = self.features.iter().find(|known| known.name == feature)?;
        Some(known.policy.unwrap_or(FeaturePolicy::Require))
    }

    /// Sets the policy for a feature; a new one comes last.
    pub fn set(&mut self, feature: &str, policy: FeaturePolicy) {
        match self.features.iter_mut().find(|known| known.name == feature) {
            Some(known) => known.policy = Some(policy),
            None => {
                self.features.push(CpuFeature { policy: Some(policy), name: feature.to_owned() })
            }
        }
    }

    /// Mentions a feature unless it is mentioned.
    pub fn set_if_missing(&mut self, feature: &str, policy: FeaturePolicy) {
        if self.policy(feature).is_none() {
            self.set(feature, policy);
        }
    }
}

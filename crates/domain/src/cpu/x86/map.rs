// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The vendors, features and models of x86.

use std::collections::HashMap;

use virtus_api::Result;
use virtus_xml::cpu_map::{CpuMapFile, MapFeature, MapModel, MapSignature};
use virtus_xml::domain::cpu::FeaturePolicy;

use super::Registers;
use crate::cpu::map::vendor_name;
use crate::cpu::{Profile, failed, unknown_feature, unknown_model};

/// All that is known of x86.
#[derive(Debug, Clone, Default)]
pub struct Map {
    /// Makers and their letters in CPUID.
    pub vendors: Vec<(String, Registers)>,
    /// In the order of the files, which is that of their bits; lists of features have the same order.
    pub features: Vec<Feature>,
    by_name: HashMap<String, usize>,
    /// In the order of the files: newer ones come later.
    pub models: Vec<Model>,
}

/// A name for bits.
#[derive(Debug, Clone)]
pub struct Feature {
    pub name: String,
    pub bits: Registers,
    /// Whether a guest that uses it can be moved to another host.
    pub migratable: bool,
}

/// A name for a set of features.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub name: String,
    pub vendor: Option<String>,
    pub signatures: Vec<MapSignature>,
    pub bits: Registers,
    /// Features that QEMU took out of the model: a definition says explicitly that they are off.
    pub removed: Vec<String>,
    /// Features that the description got later: a hypervisor may or may not have told of them.
    pub added: Vec<String>,
    /// Whether it may be the answer to what a host's CPU is.
    pub for_hosts: bool,
    /// Whether it may be the answer to what a guest's CPU is.
    pub for_guests: bool,
    /// The versioned name of the same model.
    pub canonical: Option<String>,
    /// `check='partial'` compares it with the host instead of asking the hypervisor.
    pub compat_check: bool,
}

impl Map {
    pub(in crate::cpu) fn add(&mut self, file: &CpuMapFile) -> Result<()> {
        for vendor in &file.vendors {
            let letters = vendor.string.as_deref().unwrap_or_default();
            self.vendors.push((vendor.name.clone(), Registers::of_vendor(letters)?));
        }
        for feature in &file.features {
            self.add_feature(feature);
        }
        for model in &file.models {
            self.add_model(model)?;
        }
        Ok(())
    }

    fn add_feature(&mut self, feature: &MapFeature) {
        self.by_name.insert(feature.name.clone(), self.features.len());
        self.features.push(Feature {
            name: feature.name.clone(),
            bits: Registers::of(&feature.cpuid, &feature.msr),
            migratable: feature.migratable.is_none_or(|word| word.is_yes()),
        });
    }

    fn add_model(&mut self, described: &MapModel) -> Result<()> {
        let mut model = match &described.ancestor {
            Some(ancestor) => self.built_on(&ancestor.name, described)?,
            None => Model::default(),
        };
        model.name.clone_from(&described.name);
        if let Some(decode) = &described.decode {
            (model.for_hosts, model.for_guests) = (decode.host.is_on(), decode.guest.is_on());
        }
        if !described.signatures.is_empty() {
            model.signatures.clone_from(&described.signatures);
        }
        model.vendor = vendor_name(described).or(model.vendor);
        let partial = described.check.as_ref().and_then(|check| check.partial.as_deref());
        model.compat_check = partial == Some("compat");
        for feature in &described.features {
            let bits = &self.feature(&feature.name)?.bits;
            if feature.removed.is_some_and(|word| word.is_yes()) {
                model.removed.push(feature.name.clone());
            } else if feature.added.is_some_and(|word| word.is_yes()) {
                model.added.push(feature.name.clone());
            } else {
                model.bits.add(bits);
            }
        }
        self.models.push(model);
        Ok(())
    }

    /// A model as its ancestor has it. One that adds nothing is the ancestor's versioned name.
    fn built_on(&mut self, ancestor: &str, described: &MapModel) -> Result<Model> {
        let known = self.models.iter_mut().find(|model| model.name == ancestor);
        let known = known.ok_or_else(|| unknown_model(ancestor))?;
        if described.features.is_empty() && described.signatures.is_empty() {
            known.canonical = Some(described.name.clone());
        }
        Ok(Model {
            vendor: known.vendor.clone(),
            signatures: known.signatures.clone(),
            bits: known.bits.clone(),
            ..Model::default()
        })
    }

    /// The model with this name.
    pub fn model(&self, name: &str) -> Result<&Model> {
        self.models.iter().find(|model| model.name == name).ok_or_else(|| unknown_model(name))
    }

    /// The feature with this name.
    pub fn feature(&self, name: &str) -> Result<&Feature> {
        let index = self.by_name.get(name).ok_or_else(|| unknown_feature(name))?;
        Ok(&self.features[*index])
    }

    /// Whether a guest with this feature can be moved; what is not known can.
    #[must_use]
    pub fn is_migratable(&self, name: &str) -> bool {
        self.feature(name).map_or(true, |feature| feature.migratable)
    }

    /// The letters of a maker.
    pub fn vendor(&self, name: &str) -> Result<&Registers> {
        let known = self.vendors.iter().find(|vendor| vendor.0 == name);
        known.map(|vendor| &vendor.1).ok_or_else(|| failed(format!("Unknown CPU vendor {name}")))
    }

    /// The maker of a CPU.
    #[must_use]
    pub fn vendor_of(&self, bits: &Registers) -> Option<&str> {
        let mut known = self.vendors.iter();
        known.find(|vendor| bits.contains(&vendor.1)).map(|vendor| vendor.0.as_str())
    }

    /// All features whose bits are there, in order.
    pub fn names_in<'m>(&'m self, bits: &'m Registers) -> impl Iterator<Item = &'m str> {
        let there = self.features.iter().filter(|feature| bits.contains(&feature.bits));
        there.map(|feature| feature.name.as_str())
    }

    /// The fewest names for the bits, in order; a bit is named once.
    pub(super) fn name_all(&self, mut bits: Registers) -> Vec<&str> {
        let mut names = Vec::new();
        for feature in &self.features {
            if bits.contains(&feature.bits) {
                bits.subtract(&feature.bits);
                names.push(feature.name.as_str());
            }
        }
        names
    }

    /// The bits that a definition comes to: its model, with what is required or forced, without what is disabled
    /// or forbidden.
    pub fn bits_of(&self, cpu: &Profile) -> Result<Registers> {
        let mut bits = match &cpu.model {
            Some(model) => self.model(model)?.bits.clone(),
            None => Registers::default(),
        };
        for feature in &cpu.features {
            match feature.policy.unwrap_or(FeaturePolicy::Require) {
                FeaturePolicy::Force | FeaturePolicy::Require => {
                    bits.add(&self.feature(&feature.name)?.bits);
                }
                FeaturePolicy::Disable | FeaturePolicy::Forbid => {
                    bits.subtract(&self.feature(&feature.name)?.bits);
                }
                FeaturePolicy::Optional => {}
            }
        }
        Ok(bits)
    }

    /// The bits of the features that a definition mentions with one policy; those of the model are required.
    pub fn bits_with(&self, cpu: &Profile, policy: FeaturePolicy) -> Result<Registers> {
        let mut bits = match &cpu.model {
            Some(model) if policy == FeaturePolicy::Require => self.model(model)?.bits.clone(),
            _ => Registers::default(),
        };
        for feature in &cpu.features {
            if feature.policy.unwrap_or(FeaturePolicy::Require) == policy {
                bits.add(&self.feature(&feature.name)?.bits);
            }
        }
        Ok(bits)
    }

    /// Says of the features that its model lost that they are off, unless the definition mentions them. Of a
    /// model that is not known here only the hypervisor knows.
    pub fn disable_removed(&self, cpu: &mut Profile) {
        if let Some(known) = cpu.model.as_deref().and_then(|name| self.model(name).ok()) {
            for name in &known.removed {
                cpu.set_if_missing(name, FeaturePolicy::Disable);
            }
        }
    }

    /// The same CPU with all features of its model written out, by name.
    pub fn expand(&self, cpu: &Profile) -> Result<Profile> {
        let mut expanded = cpu.clone();
        expanded.features.clear();
        if let Some(model) = &cpu.model {
            for name in self.name_all(self.model(model)?.bits.clone()) {
                expanded.set(name, FeaturePolicy::Require);
            }
        }
        for feature in &cpu.features {
            let policy = feature.policy.unwrap_or(FeaturePolicy::Require);
            if cpu.host || matches!(policy, FeaturePolicy::Require | FeaturePolicy::Disable) {
                expanded.set(&feature.name, policy);
            }
        }
        if !cpu.host {
            self.disable_removed(&mut expanded);
        }
        expanded.features.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(expanded)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which model, with which features on and off, describes a CPU best.

use virtus_api::{ErrorCode, Result};
use virtus_xml::domain::cpu::{Fallback, FeaturePolicy};

use super::{Map, Model, Registers, Signature};
use crate::cpu::map::find;
use crate::cpu::{Profile, UsableModel, error, failed};

/// What is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A host: features can only be added to a model.
    Host,
    /// A guest's definition.
    #[default]
    Guest,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Decode<'a> {
    pub kind: Kind,
    /// The models that the hypervisor knows; `None` where all will do.
    pub models: Option<&'a [UsableModel]>,
    /// Models that are taken rather than others. A single one is taken whatever it costs.
    pub preferred: &'a [String],
    /// Whether features that keep a guest from moving are left out.
    pub migratable: bool,
    /// Whether a model that the hypervisor does not know may be replaced by another.
    pub fallback: Fallback,
}

/// One way to describe the CPU.
struct Candidate<'m> {
    model: &'m Model,
    profile: Profile,
    preferred: bool,
}

/// The bits of CPUID's signature that mean something.
const SIGNATURE_BITS: u32 = 0x0fff_3fff;

impl Map {
    /// Describes the CPU with these bits.
    pub fn decode(&self, bits: &Registers, how: &Decode<'_>) -> Result<Profile> {
        let vendor = self.vendor_of(bits);
        let eax = bits.signature() & SIGNATURE_BITS;
        let signature = Signature::of_cpuid(eax);
        let mut bits = bits.clone();
        if let Some(vendor) = vendor {
            bits.subtract(self.vendor(vendor)?);
        }
        self.drop_broken_tsx(&mut bits, vendor, signature);
        let single = match how.preferred {
            [single] => Some(single.as_str()),
            _ => None,
        };
        let mut best: Option<Candidate<'_>> = None;
        for model in self.models.iter().rev() {
            let usable = find(how.models, &model.name);
            if how.models.is_some() && usable.is_none() {
                if single == Some(&model.name) && how.fallback == Fallback::Forbid {
                    return Err(error(
                        ErrorCode::ConfigUnsupported,
                        format!("CPU model {} is not supported by hypervisor", model.name),
                    ));
                }
                continue;
            }
            let foreign =
                model.vendor.as_deref().is_some_and(|own| vendor.is_some_and(|v| v != own));
            let fits = match how.kind {
                Kind::Host => model.for_hosts,
                Kind::Guest => model.for_guests,
            };
            if foreign || !fits {
                continue;
            }
            let profile = self.describe(&bits, model, usable, how.kind);
            if how.kind == Kind::Host && off(&profile) > 0 {
                continue;
            }
            let preferred = how.preferred.contains(&model.name);
            let candidate = Candidate { model, profile, preferred };
            if preferred && single.is_some() {
                best = Some(candidate);
                break;
            }
            let known = (eax != 0).then_some(signature);
            if best.as_ref().is_none_or(|best| candidate.is_better_than(best, known)) {
                best = Some(candidate);
            }
        }
        let Some(best) = best else {
            return Err(failed("Cannot find suitable CPU model for given data"));
        };
        let mut profile = best.profile;
        if how.migratable {
            profile.features.retain(|feature| self.is_migratable(&feature.name));
        }
        profile.vendor = vendor.map(str::to_owned);
        profile.signature = (eax != 0).then(|| signature.into());
        Ok(profile)
    }

    /// The bits as `model` with features on and off.
    fn describe(
        &self,
        bits: &Registers,
        model: &Model,
        usable: Option<&UsableModel>,
        kind: Kind,
    ) -> Profile {
        let (mut on, mut off) = (bits.clone(), model.bits.clone());
        on.subtract(&model.bits);
        off.subtract(bits);
        // The hypervisor's model may have features of which the description does not know, and the host has not.
        for blocker in usable.into_iter().flat_map(|model| &model.blockers) {
            if let Ok(feature) = self.feature(blocker)
                && !on.contains(&feature.bits)
            {
                off.add(&feature.bits);
            }
        }
        let mut profile = Profile {
            host: kind == Kind::Host,
            model: Some(model.name.clone()),
            ..Profile::default()
        };
        for (bits, policy) in [(on, FeaturePolicy::Require), (off, FeaturePolicy::Disable)] {
            for name in self.name_all(bits) {
                profile.set(name, policy);
            }
        }
        if kind == Kind::Guest {
            for name in &model.removed {
                profile.set_if_missing(name, FeaturePolicy::Disable);
            }
        }
        profile
    }

    /// Transactional memory of some Intel CPUs corrupts data; microcode hides it, but not everywhere.
    fn drop_broken_tsx(&self, bits: &mut Registers, vendor: Option<&str>, signature: Signature) {
        let broken = match (signature.family, signature.model) {
            (6, 63) => signature.stepping < 4,
            (6, 60 | 69 | 70) => true,
            _ => false,
        };
        if broken && vendor == Some("Intel") {
            for name in ["hle", "rtm"] {
                if let Ok(feature) = self.feature(name) {
                    bits.subtract(&feature.bits);
                }
            }
        }
    }
}

impl Candidate<'_> {
    /// Whether this describes the CPU better: a model of its own family and model is better than any other, then
    /// the description that costs less.
    fn is_better_than(&self, best: &Self, signature: Option<Signature>) -> bool {
        if let Some(signature) = signature {
            let of_kind = |candidate: &Self| {
                candidate.model.signatures.iter().any(|known| signature.is(known))
            };
            if of_kind(self) != of_kind(best) {
                return of_kind(self);
            }
        }
        let ((cost, off), (best_cost, best_off)) = (self.cost(), best.cost());
        (cost, off) < (best_cost, best_off) || self.preferred && off < best_off
    }

    /// The length of the description, in which features that are off count more the more there are: software copes
    /// with an old CPU that has new features, but not with a new one that lacks some. And what those cost. libvirt
    /// weighs only every second of them; a guest that moves must get the same model here as there.
    fn cost(&self) -> (usize, usize) {
        const FIRST: usize = 2;
        let weighed = off(&self.profile).div_ceil(2);
        let penalty = (FIRST..FIRST + weighed).sum();
        (self.profile.features.len() - weighed + penalty, penalty)
    }
}

/// How many features of the model are off.
fn off(profile: &Profile) -> usize {
    profile.features.iter().filter(|f| f.policy == Some(FeaturePolicy::Disable)).count()
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The CPU that `mode='host-model'` stands for under one accelerator.

use virtus_api::Result;
use virtus_domain::cpu::x86::Decode;
use virtus_domain::cpu::{Family, Profile};
use virtus_xml::domain::cpu::{
    CpuFeature, CpuMatch, CpuMode, Fallback, FeaturePolicy, MaxPhysAddr, PhysAddrMode,
};

use super::{Cpus, Offer, from_qemu, is_libvirts_alone};
use crate::caps::{Accel, CpuValue};

/// The host's CPU as guests may have it.
#[derive(Debug, Clone, PartialEq)]
pub struct HostModel {
    /// All that a guest can have; what domain capabilities tell.
    pub reported: Profile,
    /// What a guest that may be moved gets.
    pub migratable: Profile,
    /// All that the host has, with what no guest can: what a definition is compared with.
    pub full: Profile,
}

impl HostModel {
    /// The host's CPU under an accelerator; `None` where guests are of another architecture, or nothing is known.
    pub fn of(cpus: &Cpus, offer: Offer<'_>) -> Result<Option<Self>> {
        if !is_native(&cpus.arch, offer.arch) {
            return Ok(None);
        }
        let told = told(cpus, offer, false)?;
        let (reported, full, migratable) = match (told, &cpus.host) {
            (Some(reported), host) => {
                let mut full = reported.clone();
                if offer.known.accel == Accel::Kvm {
                    let own = host.iter().flat_map(|host| &host.features);
                    for feature in own.filter(|f| is_libvirts_alone(offer.arch, &f.name)) {
                        full.set(&feature.name, FeaturePolicy::Require);
                    }
                }
                let migratable = offer.known.host_cpu.as_ref().is_some_and(|cpu| cpu.migratability);
                let migratable = match told_if(migratable, cpus, offer)? {
                    Some(told) => told,
                    None => cpus.map.migratable(offer.arch, &reported),
                };
                (reported, full, migratable)
            }
            (None, Some(host)) => {
                let mut reported = host.clone();
                reported.host = false;
                reported.signature = None;
                reported.features.retain(|f| !is_libvirts_alone(offer.arch, &f.name));
                let migratable = cpus.map.migratable(offer.arch, &reported);
                (reported.clone(), reported, migratable)
            }
            (None, None) => return Ok(None),
        };
        if reported.model.is_none() {
            return Ok(None);
        }
        let finished = |mut cpu: Profile| {
            cpu.mode = Some(CpuMode::Custom);
            cpu.matches = Some(CpuMatch::Exact);
            cpu.signature = None;
            let runs_itself = offer.known.accel != Accel::Tcg && cpus.address_bits > 0;
            cpu.maxphysaddr = runs_itself.then_some(MaxPhysAddr {
                mode: PhysAddrMode::Passthrough,
                bits: None,
                limit: Some(cpus.address_bits),
            });
            cpu
        };
        Ok(Some(Self {
            reported: finished(reported),
            migratable: finished(migratable),
            full: finished(full),
        }))
    }
}

/// Whether a host runs the guest's instructions itself.
pub(crate) fn is_native(host: &str, guest: &str) -> bool {
    host == guest
        || matches!(
            (host, guest),
            ("x86_64", "i686")
                | ("aarch64", "armv7l")
                | ("armv7l", "armv6l")
                | ("ppc64" | "ppc64le", "ppc64" | "ppc64le")
        )
}

fn told_if(there: bool, cpus: &Cpus, offer: Offer<'_>) -> Result<Option<Profile>> {
    if there { told(cpus, offer, true) } else { Ok(None) }
}

/// The best CPU as QEMU tells it.
fn told(cpus: &Cpus, offer: Offer<'_>, migratable: bool) -> Result<Option<Profile>> {
    match Family::of(offer.arch) {
        Some(Family::X86) => {
            let map = &cpus.map.x86;
            let Some(bits) = offer.registers(map, migratable)? else { return Ok(None) };
            let models = offer.usable_models();
            let how = Decode { models: models.as_deref(), ..Decode::default() };
            let found = map.decode(&bits, &how)?;
            Ok(Some(Profile { fallback: Some(Fallback::Forbid), ..found }))
        }
        Some(Family::S390) => Ok(as_listed(offer)),
        _ => Ok(None),
    }
}

/// s390x: QEMU's model with the features as it lists them.
fn as_listed(offer: Offer<'_>) -> Option<Profile> {
    let best = offer.known.host_cpu.as_ref()?;
    let feature = |(name, on): (&str, bool)| CpuFeature {
        policy: Some(if on { FeaturePolicy::Require } else { FeaturePolicy::Disable }),
        name: from_qemu(offer.arch, name).to_owned(),
    };
    let switches = best.properties.iter().filter_map(|property| match property.value {
        CpuValue::Boolean(on) => Some((property.name.as_str(), on)),
        _ => None,
    });
    Some(Profile {
        model: Some(best.model.clone()),
        fallback: Some(Fallback::Forbid),
        features: switches.map(feature).collect(),
        ..Profile::default()
    })
}

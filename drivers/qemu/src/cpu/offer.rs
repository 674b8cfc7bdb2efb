// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a binary offers under one accelerator, in the terms of CPU models.

use virtus_api::Result;
use virtus_domain::cpu::UsableModel;
use virtus_domain::cpu::x86::{self, Registers, Signature};

use super::from_qemu;
use crate::caps::{Accelerator, CpuValue, HostCpu};

/// The CPUs of one accelerator.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The guest's architecture, by libvirt's name.
    pub arch: &'a str,
    /// What the binary told.
    pub known: &'a Accelerator,
}

impl Offer<'_> {
    /// The models that can be named; `None` where the binary told none.
    #[must_use]
    pub fn usable_models(&self) -> Option<Vec<UsableModel>> {
        let cpus = &self.known.cpus;
        let model = |cpu: &crate::caps::CpuModel| UsableModel {
            name: cpu.name.clone(),
            blockers: self.features(&cpu.blockers),
        };
        (!cpus.is_empty()).then(|| cpus.iter().map(model).collect())
    }

    /// Names of definitions for those of QEMU.
    pub(crate) fn features(&self, names: &[String]) -> Vec<String> {
        names.iter().map(|name| from_qemu(self.arch, name).to_owned()).collect()
    }

    /// The features of the best CPU, or of the best that can be moved; `None` if the binary did not tell.
    pub(crate) fn features_on(&self, migratable: bool) -> Option<Vec<String>> {
        let properties = self.known.host_cpu.as_ref()?.properties.iter();
        let on = properties.filter(|property| {
            property.value == CpuValue::Boolean(true)
                && (!migratable || property.migratable != Some(false))
        });
        Some(on.map(|property| from_qemu(self.arch, &property.name).to_owned()).collect())
    }

    /// The registers of the best CPU, on x86; `migratable`: of the best that can be moved. `None` if the binary
    /// did not tell.
    pub fn registers(&self, map: &x86::Map, migratable: bool) -> Result<Option<Registers>> {
        let Some(best) = &self.known.host_cpu else { return Ok(None) };
        let mut bits = Registers::default();
        for name in self.features_on(migratable).unwrap_or_default() {
            if let Ok(feature) = map.feature(&name) {
                bits.add(&feature.bits);
            }
        }
        let vendor = best.properties.iter().find(|property| property.name == "vendor");
        if let Some(CpuValue::Text(letters)) = vendor.map(|property| &property.value) {
            bits.add(&Registers::of_vendor(letters)?);
        }
        bits.add_signature(signature(best).to_cpuid());
        Ok(Some(bits))
    }
}

fn signature(best: &HostCpu) -> Signature {
    let number = |name: &str| {
        let property = best.properties.iter().find(|property| property.name == name);
        match property.map(|property| &property.value) {
            Some(CpuValue::Number(number)) => u32::try_from(*number).unwrap_or_default(),
            _ => 0,
        }
    };
    Signature { family: number("family"), model: number("model"), stepping: number("stepping") }
}

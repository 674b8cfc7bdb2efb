// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Arm: a model is known by implementer and part number; QEMU decides what its models have.

use virtus_api::{ErrorCode, Result};
use virtus_xml::cpu_map::CpuMapFile;
use virtus_xml::domain::cpu::CpuFeature;

use super::map::vendor_name;
use super::{Comparison, Profile, error};

/// The models of Arm.
#[derive(Debug, Clone, Default)]
pub(super) struct Map {
    vendors: Vec<(String, u64)>,
    features: Vec<String>,
    models: Vec<Model>,
}

#[derive(Debug, Clone)]
struct Model {
    name: String,
    vendor: Option<String>,
    part: Option<u64>,
}

impl Map {
    pub(super) fn add(&mut self, file: &CpuMapFile) -> Result<()> {
        let vendors = file.vendors.iter();
        self.vendors.extend(vendors.filter_map(|v| Some((v.name.clone(), v.value?.0))));
        self.features.extend(file.features.iter().map(|feature| feature.name.clone()));
        self.models.extend(file.models.iter().map(|model| Model {
            name: model.name.clone(),
            vendor: vendor_name(model),
            part: model.pvrs.first().map(|pvr| pvr.value.0),
        }));
        Ok(())
    }

    /// The CPU with this implementer and part number, as far as it is known.
    pub(super) fn decode(&self, implementer: u64, part: u64) -> Profile {
        let vendor = self.vendors.iter().find(|vendor| vendor.1 == implementer);
        let vendor = vendor.map(|vendor| vendor.0.clone());
        let fits = |model: &&Model| model.part == Some(part) && model.vendor == vendor;
        Profile {
            host: true,
            model: self.models.iter().find(fits).map(|model| model.name.clone()),
            vendor,
            ..Profile::default()
        }
    }

    /// Hosts are compared; what a guest asks for is QEMU's to judge.
    pub(super) fn compare(&self, host: &Profile, cpu: &Profile) -> Comparison {
        if !cpu.host {
            return Comparison::Identical;
        }
        if let Some(vendor) = cpu.vendor.as_deref().filter(|_| cpu.vendor != host.vendor) {
            return Comparison::wrong_vendor(vendor);
        }
        if cpu.model != host.model {
            return Comparison::incompatible(format!(
                "host CPU model does not match required CPU model {}",
                cpu.model.as_deref().unwrap_or_default()
            ));
        }
        if let Some(missing) = cpu.features.iter().find(|f| host.policy(&f.name).is_none()) {
            return Comparison::incompatible(format!("host CPU lacks feature {}", missing.name));
        }
        match cpu.features.len() == host.features.len() {
            true => Comparison::Identical,
            false => Comparison::Superset,
        }
    }

    pub(super) fn check_features(&self, features: &[CpuFeature]) -> Result<()> {
        match features.iter().find(|feature| !self.features.contains(&feature.name)) {
            None => Ok(()),
            Some(unknown) => Err(error(
                ErrorCode::ConfigUnsupported,
                format!("unknown CPU feature: {}", unknown.name),
            )),
        }
    }
}

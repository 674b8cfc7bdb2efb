// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All that is known of CPU models, gathered from the files of libvirt's `cpu_map` folder.

use virtus_api::Result;
use virtus_xml::cpu_map::{CpuMapFile, MapModel};
use virtus_xml::{Document, ParseFlags};

use super::arm;
use super::ppc64;
use super::x86;
use super::{Family, Profile, UsableModel};

/// The models of all architectures.
#[derive(Debug, Clone, Default)]
pub struct CpuMap {
    /// Models, features and vendors of x86.
    pub x86: x86::Map,
    pub(super) ppc64: ppc64::Map,
    pub(super) arm: arm::Map,
}

impl CpuMap {
    /// Reads `index.xml` and what it names. `read` gives the text of a file of that folder.
    pub fn load(mut read: impl FnMut(&str) -> Result<String>) -> Result<Self> {
        let index = parse(&read("index.xml")?)?;
        let mut map = Self::default();
        for arch in &index.archs {
            let grouped = arch.groups.iter().flat_map(|group| &group.includes);
            for include in arch.includes.iter().chain(grouped) {
                let file = parse(&read(&include.filename)?)?;
                match arch.name.as_str() {
                    "x86" => map.x86.add(&file)?,
                    "ppc64" => map.ppc64.add(&file)?,
                    "arm" => map.arm.add(&file)?,
                    _ => {}
                }
            }
        }
        Ok(map)
    }

    /// Whether no model is described: nothing can be compared then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.x86.models.is_empty()
    }

    /// POWER: the CPU with this version register.
    pub fn of_pvr(&self, pvr: u32) -> Result<Profile> {
        self.ppc64.decode(pvr.into())
    }

    /// Arm: the CPU of this implementer with this part number, as far as it is known.
    #[must_use]
    pub fn of_arm_part(&self, implementer: u32, part: u32) -> Profile {
        self.arm.decode(implementer.into(), part.into())
    }

    /// The names of an architecture's models; `None` where the hypervisor alone knows its models.
    #[must_use]
    pub fn models(&self, arch: &str) -> Option<Vec<&str>> {
        match Family::of(arch)? {
            Family::X86 => Some(self.x86.models.iter().map(|model| model.name.as_str()).collect()),
            Family::Ppc64 => Some(self.ppc64.names().collect()),
            Family::Arm | Family::S390 | Family::Plain => None,
        }
    }

    /// The maker of a model.
    #[must_use]
    pub fn vendor(&self, arch: &str, model: &str) -> Option<&str> {
        match Family::of(arch)? {
            Family::X86 => self.x86.model(model).ok()?.vendor.as_deref(),
            Family::Ppc64 => self.ppc64.vendor(model),
            Family::Arm | Family::S390 | Family::Plain => None,
        }
    }

    /// The versioned name that a model's short name stands for.
    #[must_use]
    pub fn canonical(&self, arch: &str, model: &str) -> Option<&str> {
        match Family::of(arch)? {
            Family::X86 => self.x86.model(model).ok()?.canonical.as_deref(),
            _ => None,
        }
    }

    /// Whether `check='partial'` of a model means what it did before hypervisors told what they can run.
    #[must_use]
    pub fn checks_as_before(&self, arch: &str, model: &str) -> bool {
        Family::of(arch) == Some(Family::X86)
            && self.x86.model(model).is_ok_and(|model| model.compat_check)
    }
}

fn parse(text: &str) -> Result<CpuMapFile> {
    Ok(CpuMapFile::parse(text, ParseFlags::empty())?.value)
}

/// The models of a hypervisor by name; `None` where all will do.
pub(super) fn find<'m>(models: Option<&'m [UsableModel]>, name: &str) -> Option<&'m UsableModel> {
    models?.iter().find(|model| model.name == name)
}

/// What stands in `<vendor name='…'/>`.
pub(super) fn vendor_name(model: &MapModel) -> Option<String> {
    model.vendor.as_ref().map(|vendor| vendor.name.clone())
}

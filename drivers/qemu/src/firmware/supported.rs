// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the firmware of a host offers to one kind of machine.

use super::{Firmware, Mapping};

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Supported<'a> {
    /// The values of `<os firmware='…'>`.
    pub interfaces: Vec<&'static str>,
    /// Whether one keeps guests from forging its variables.
    pub secure: bool,
    /// The code of each firmware and what its variables are copied from, without repetition.
    pub images: Vec<(&'a str, Option<&'a str>)>,
}

/// What the firmwares offer to a machine of an architecture (libvirt's name).
#[must_use]
pub fn supported<'a>(firmwares: &'a [Firmware], arch: &str, machine: &str) -> Supported<'a> {
    let fitting: Vec<_> = firmwares.iter().filter(|one| one.runs_on(arch, machine)).collect();
    let offers = |interface: &str| {
        fitting.iter().any(|one| one.interfaces.iter().any(|known| known == interface))
    };
    let mut images = Vec::new();
    for firmware in &fitting {
        let variables = match &firmware.mapping {
            Mapping::Flash { variables: Some(image), .. } => Some(image.path.as_str()),
            _ => None,
        };
        let pair = (firmware.code(), variables);
        if !images.contains(&pair) {
            images.push(pair);
        }
    }
    Supported {
        interfaces: [("bios", "bios"), ("efi", "uefi")]
            .into_iter()
            .filter(|(_, interface)| offers(interface))
            .map(|(word, _)| word)
            .collect(),
        secure: fitting.iter().any(|one| one.has("requires-smm")),
        images,
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Firmware descriptors: the JSON files by which a distribution tells which firmware it has for which machines.
//!
//! Which files are in force, and in which order, is [`in_force`]'s to say.

mod installed;
mod supported;

use serde_json::{Value, json};
use virtus_api::{Error, ErrorCode, Result};

pub use crate::descriptor_files::{DescriptorFile, folders, in_force};
pub use installed::installed;
pub use supported::{Supported, supported};

/// The features that libvirt 11.3 knows; descriptors may name others.
const FEATURES: [&str; 10] = [
    "acpi-s3",
    "acpi-s4",
    "amd-sev",
    "amd-sev-es",
    "amd-sev-snp",
    "enrolled-keys",
    "requires-smm",
    "secure-boot",
    "verbose-dynamic",
    "verbose-static",
];

/// One firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// What it offers the guest: `uefi`, `bios`, `openfirmware`, `uboot`.
    pub interfaces: Vec<String>,
    /// How QEMU is given it.
    pub mapping: Mapping,
    /// The machines that it runs on.
    pub targets: Vec<Target>,
    /// What it can do and needs.
    pub features: Vec<String>,
}

/// How QEMU is given a firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mapping {
    /// In flash memory.
    Flash {
        /// Whether variables lie beside the code, with it, or nowhere.
        mode: FlashMode,
        /// The code.
        code: Image,
        /// What the variables of a new guest are copied from.
        variables: Option<Image>,
    },
    /// As a ROM.
    Memory(String),
    /// As a kernel.
    Kernel(String),
}

/// Where variables lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlashMode {
    /// In a flash of their own.
    Split,
    /// In the flash of the code.
    Combined,
    /// Nowhere: nothing is kept.
    Stateless,
}

/// A file and its format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The file.
    pub path: String,
    /// `raw` or `qcow2`.
    pub format: String,
}

/// Machines of an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// By QEMU's name.
    pub arch: String,
    /// Patterns with `*` and `?`.
    pub machines: Vec<String>,
}

impl Firmware {
    /// Reads a descriptor; `name` is the file's name, for errors.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let bad = |what: &str| {
            Error::new(
                ErrorCode::ConfigUnsupported,
                format!("firmware descriptor '{name}' is not understood: {what}"),
            )
        };
        let value: Value = serde_json::from_str(text).map_err(|error| bad(&error.to_string()))?;
        let words = |value: &Value| -> Vec<String> {
            let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let interfaces = words(&value["interface-types"]);
        if interfaces.is_empty() {
            return Err(bad("no 'interface-types'"));
        }
        let mapping = &value["mapping"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let image = |value: &Value| {
            Some(Image { path: text(&value["filename"])?, format: text(&value["format"])? })
        };
        let mapping = match mapping["device"].as_str() {
            Some("flash") => Mapping::Flash {
                mode: match mapping["mode"].as_str() {
                    None | Some("split") => FlashMode::Split,
                    Some("combined") => FlashMode::Combined,
                    Some("stateless") => FlashMode::Stateless,
                    Some(_) => return Err(bad("an unknown 'mode'")),
                },
                code: image(&mapping["executable"]).ok_or_else(|| bad("no 'executable'"))?,
                variables: image(&mapping["nvram-template"]),
            },
            Some("memory") => {
                Mapping::Memory(text(&mapping["filename"]).ok_or_else(|| bad("no 'filename'"))?)
            }
            Some("kernel") => {
                Mapping::Kernel(text(&mapping["filename"]).ok_or_else(|| bad("no 'filename'"))?)
            }
            _ => return Err(bad("no 'mapping' of a known device")),
        };
        let targets = value["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let targets = targets
            .iter()
            .filter_map(|target| {
                let arch = text(&target["architecture"])?;
                Some(Target { arch, machines: words(&target["machines"]) })
            })
            .collect();
        Ok(Self { interfaces, mapping, targets, features: words(&value["features"]) })
    }

    /// The descriptor, with what it means: without descriptions, tags and unknown features.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let image = |image: &Image| json!({ "filename": image.path, "format": image.format });
        let mapping = match &self.mapping {
            Mapping::Flash { mode, code, variables } => {
                let mode = match mode {
                    FlashMode::Split => "split",
                    FlashMode::Combined => "combined",
                    FlashMode::Stateless => "stateless",
                };
                let mut flash =
                    json!({ "device": "flash", "mode": mode, "executable": image(code) });
                if let Some(variables) = variables {
                    flash["nvram-template"] = image(variables);
                }
                flash
            }
            Mapping::Memory(path) => json!({ "device": "memory", "filename": path }),
            Mapping::Kernel(path) => json!({ "device": "kernel", "filename": path }),
        };
        let targets = self
            .targets
            .iter()
            .map(|target| json!({ "architecture": target.arch, "machines": target.machines }));
        let features = self.features.iter().filter(|name| FEATURES.contains(&name.as_str()));
        json!({
            "interface-types": self.interfaces,
            "mapping": mapping,
            "targets": targets.collect::<Vec<_>>(),
            "features": features.collect::<Vec<_>>(),
        })
    }

    /// Whether it has a feature.
    #[must_use]
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|known| known == feature)
    }

    /// Whether it runs on a machine; `arch` is libvirt's name.
    #[must_use]
    pub fn runs_on(&self, arch: &str, machine: &str) -> bool {
        let arch = if arch == "i686" { "i386" } else { arch };
        self.targets.iter().any(|target| {
            target.arch == arch && target.machines.iter().any(|pattern| matches(pattern, machine))
        })
    }

    /// The file that holds the code.
    #[must_use]
    pub fn code(&self) -> &str {
        match &self.mapping {
            Mapping::Flash { code, .. } => &code.path,
            Mapping::Memory(path) | Mapping::Kernel(path) => path,
        }
    }
}

/// Whether a name fits a pattern with `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stood, and up to where it reaches.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((at, reach)) => {
                    *reach += 1;
                    (p, n) = (*at + 1, *reach);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_matched_by_patterns() {
        assert!(matches("pc-q35-*", "pc-q35-10.0"));
        assert!(matches("*", ""));
        assert!(matches("virt-?.*", "virt-8.2"));
        assert!(!matches("pc-q35-*", "pc-i440fx-10.0"));
        assert!(!matches("q35", "pc-q35"));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! CPU models: what their names mean, and what can be computed with them. Pure but for `host`, which reads what
//! is known on this host: libvirt's descriptions of models are given as text, the registers of a CPU as data.
//!
//! Only x86 has models that are sets of features. POWER and Arm know their models by a register; s390x leaves
//! models to QEMU; of others nothing is known, and nothing is compared.

mod arm;
mod compare;
mod host;
mod map;
mod ppc64;
mod profile;
mod update;
pub mod x86;

pub use compare::{Baseline, Comparison};
pub use host::Cpus;
pub use map::CpuMap;
pub use profile::Profile;

use virtus_api::{Error, ErrorCode, ErrorDomain};

/// A model that a hypervisor knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsableModel {
    /// The model's name.
    pub name: String,
    /// Features of the hypervisor's model that this host lacks.
    pub blockers: Vec<String>,
}

/// Architectures that are computed alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    X86,
    Ppc64,
    Arm,
    S390,
    /// Architectures whose guests take their CPU as it is named.
    Plain,
}

impl Family {
    /// The family of an architecture, by libvirt's name.
    #[must_use]
    pub fn of(arch: &str) -> Option<Self> {
        match arch {
            "x86_64" | "i686" => Some(Self::X86),
            "ppc64" | "ppc64le" => Some(Self::Ppc64),
            "aarch64" | "armv6l" | "armv7l" | "armv7b" => Some(Self::Arm),
            "s390" | "s390x" => Some(Self::S390),
            "riscv32" | "riscv64" | "loongarch64" => Some(Self::Plain),
            _ => None,
        }
    }
}

fn error(code: ErrorCode, text: impl Into<String>) -> Error {
    Error::new(code, text.into()).in_domain(ErrorDomain::Cpu)
}

fn unknown_model(name: &str) -> Error {
    error(ErrorCode::ConfigUnsupported, format!("Unknown CPU model {name}"))
        .hint("'virsh cpu-models ARCH' lists the models")
}

fn unknown_feature(name: &str) -> Error {
    error(ErrorCode::ConfigUnsupported, format!("Unknown CPU feature {name}"))
}

fn failed(text: impl Into<String>) -> Error {
    error(ErrorCode::OperationFailed, text)
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The shape of what is known about one QEMU binary.

use std::path::PathBuf;

use super::{Flag, FlagSet};

/// What runs the guest's instructions. The order is that of the cache file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Accel {
    /// The kernel's virtual machine monitor; `<domain type='kvm'>`.
    Kvm,
    /// macOS' hypervisor framework; `<domain type='hvf'>`.
    Hvf,
    /// Translation in user space; `<domain type='qemu'>`.
    Tcg,
}

impl Accel {
    /// The word in cache files and after `-accel`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Hvf => "hvf",
            Self::Tcg => "tcg",
        }
    }

    /// The accelerator with this word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Kvm, Self::Hvf, Self::Tcg].into_iter().find(|accel| accel.name() == name)
    }

    /// The accelerator of a `<domain type='…'>`.
    #[must_use]
    pub fn of_domain_type(kind: &str) -> Option<Self> {
        match kind {
            "kvm" => Some(Self::Kvm),
            "hvf" => Some(Self::Hvf),
            "qemu" => Some(Self::Tcg),
            _ => None,
        }
    }
}

/// Everything that is known about one QEMU binary.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Capabilities {
    /// The binary that was asked.
    pub binary: PathBuf,
    /// When the binary's inode changed last, in seconds; a cache is stale when this differs.
    pub binary_ctime: i64,
    /// When the folder of QEMU's modules changed last; `None` where there is none.
    pub modules_mtime: Option<i64>,
    /// When the daemon that wrote the cache was installed.
    pub daemon_ctime: i64,
    /// The version of that daemon.
    pub daemon_version: u32,
    /// What it can do.
    pub flags: FlagSet,
    /// `major * 1_000_000 + minor * 1_000 + micro`.
    pub version: u32,
    /// The processor's microcode when the binary was asked: usable CPU features depend on it.
    pub microcode: u32,
    /// What the distribution calls its build.
    pub package: String,
    /// The kernel that ran when the binary was asked, if KVM was in use.
    pub kernel_version: Option<String>,
    /// The guest's architecture, by libvirt's name.
    pub arch: String,
    /// What it can do under each accelerator that works here, in the order of [`Accel`].
    pub accelerators: Vec<Accelerator>,
    /// Interrupt controllers (Arm only).
    pub gic: Vec<GicVersion>,
    /// AMD memory encryption, if the host has it.
    pub sev: Option<SevInfo>,
    /// Intel enclaves, if the host has them.
    pub sgx: Option<SgxInfo>,
    /// Hyper-V enlightenments, if the host was asked.
    pub hyperv: Option<Hyperv>,
    /// Why KVM is not offered although the host or the binary could have it, found out by trying.
    pub kvm_trouble: Option<String>,
    /// Everything that the answers depended on; a cache is stale when this differs.
    pub stamp: Option<String>,
}

/// What a binary can do under one accelerator.
#[derive(Debug, Clone, PartialEq)]
pub struct Accelerator {
    /// Which one.
    pub accel: Accel,
    /// The best CPU that it offers here.
    pub host_cpu: Option<HostCpu>,
    /// The CPU models that the binary knows.
    pub cpus: Vec<CpuModel>,
    /// The machine types; libvirt's preferred default comes first.
    pub machines: Vec<Machine>,
}

/// One machine type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// The versioned name, such as `pc-q35-10.0`.
    pub name: String,
    /// The name that stands for the newest version, such as `q35`.
    pub alias: Option<String>,
    /// Whether CPUs can be added while it runs.
    pub hotplug_cpus: bool,
    /// 0 when unknown.
    pub max_cpus: u32,
    /// Whether QEMU takes it when none is named.
    pub default: bool,
    /// The QOM type of the CPU when none is named.
    pub default_cpu: Option<String>,
    /// Whether `-numa node,mem=` is understood.
    pub numa_mem: bool,
    /// The id of the memory backend that QEMU makes by itself.
    pub default_ram_id: Option<String>,
    /// Whether QEMU advises against it.
    pub deprecated: bool,
    /// Whether it has ACPI; `None` where QEMU does not tell.
    pub acpi: Option<bool>,
}

/// One CPU model that a binary knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuModel {
    /// The name after `-cpu`.
    pub name: String,
    /// The QOM type.
    pub typename: Option<String>,
    /// Whether this host can run it; `None` where QEMU does not tell.
    pub usable: Option<bool>,
    /// The features that this host lacks for it.
    pub blockers: Vec<String>,
    /// Whether QEMU advises against it.
    pub deprecated: bool,
    /// The maker of the CPU, where QEMU tells.
    pub vendor: Option<String>,
}

/// The best CPU that an accelerator offers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostCpu {
    /// The model that the properties are relative to.
    pub model: String,
    /// Whether the properties say if they survive a migration.
    pub migratability: bool,
    /// Properties in QEMU's order.
    pub properties: Vec<CpuProperty>,
    /// Features that QEMU advises to leave out (s390x).
    pub deprecated_features: Vec<String>,
}

/// One property of the best CPU.
#[derive(Debug, Clone, PartialEq)]
pub struct CpuProperty {
    /// QEMU's name.
    pub name: String,
    /// QEMU's value.
    pub value: CpuValue,
    /// Whether a guest that uses it can be migrated; `None` where it does not matter.
    pub migratable: Option<bool>,
}

/// The value of a CPU property.
#[derive(Debug, Clone, PartialEq)]
pub enum CpuValue {
    /// A feature that is there or not.
    Boolean(bool),
    /// A number, such as `family`.
    Number(i64),
    /// A text, such as `vendor`.
    Text(String),
}

/// One version of Arm's interrupt controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GicVersion {
    /// 2 or 3.
    pub version: u32,
    /// Whether the kernel offers it.
    pub kernel: bool,
    /// Whether QEMU can emulate it.
    pub emulated: bool,
}

/// AMD memory encryption.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SevInfo {
    /// The bit of a page table entry that says "encrypted".
    pub cbitpos: u32,
    /// How many physical address bits the guest loses.
    pub reduced_phys_bits: u32,
    /// The platform's Diffie-Hellman key, base64.
    pub pdh: String,
    /// The platform's certificates, base64.
    pub cert_chain: String,
    /// The first socket's identifier, base64.
    pub cpu0_id: Option<String>,
}

/// Intel enclaves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SgxInfo {
    /// Flexible launch control.
    pub flc: bool,
    /// SGX1 instructions.
    pub sgx1: bool,
    /// SGX2 instructions.
    pub sgx2: bool,
    /// All sections together, in KiB.
    pub section_size: u64,
    /// The sections by NUMA node.
    pub sections: Vec<SgxSection>,
}

/// Enclave memory of one NUMA node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SgxSection {
    /// The node.
    pub node: u32,
    /// In KiB.
    pub size: u64,
}

/// Hyper-V enlightenments that the host offers, by the names of domain XML.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hyperv {
    /// Whether any is offered.
    pub supported: bool,
    /// Which.
    pub features: Vec<String>,
}

impl Capabilities {
    /// Whether the binary can do this.
    #[must_use]
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.has(flag)
    }

    /// What the binary can do under `accel`; `None` where that accelerator does not work here.
    #[must_use]
    pub fn accelerator(&self, accel: Accel) -> Option<&Accelerator> {
        self.accelerators.iter().find(|known| known.accel == accel)
    }

    /// The machine type that `name` stands for (itself, or as an alias) under `accel`.
    #[must_use]
    pub fn machine(&self, accel: Accel, name: &str) -> Option<&Machine> {
        self.accelerator(accel)?.machine(name)
    }

    /// `name`, or what it is an alias of. An unknown name is returned as it is.
    #[must_use]
    pub fn canonical_machine<'a>(&'a self, accel: Accel, name: &'a str) -> &'a str {
        self.machine(accel, name).map_or(name, |machine| &machine.name)
    }

    /// `10.0.2`, for people.
    #[must_use]
    pub fn version_text(&self) -> String {
        let (major, rest) = (self.version / 1_000_000, self.version % 1_000_000);
        format!("{major}.{}.{}", rest / 1000, rest % 1000)
    }
}

impl Accelerator {
    /// An accelerator of which nothing is known yet.
    #[must_use]
    pub fn new(accel: Accel) -> Self {
        Self { accel, host_cpu: None, cpus: Vec::new(), machines: Vec::new() }
    }

    /// The machine type with this name; if there is none, the one with this alias.
    #[must_use]
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines
            .iter()
            .find(|machine| machine.name == name)
            .or_else(|| self.machines.iter().find(|m| m.alias.as_deref() == Some(name)))
    }

    /// The machine type when none is named: libvirt's preferred one, which comes first.
    #[must_use]
    pub fn default_machine(&self) -> Option<&Machine> {
        self.machines.first()
    }

    /// The CPU model with this name.
    #[must_use]
    pub fn cpu(&self, name: &str) -> Option<&CpuModel> {
        self.cpus.iter().find(|cpu| cpu.name == name)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is known of CPUs on this host.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use virtus_api::{Error, Result};
use virtus_host::node::{Node, arch, cpuid};

use super::x86::{Decode, Kind, Register, Registers};
use super::{CpuMap, Family, Profile};

/// Where libvirt describes CPU models.
const FOLDER: &str = "/usr/share/libvirt/cpu_map";
/// The register in which CPUs say which of their own flaws are mended.
const ARCH_CAPABILITIES: u32 = 0x10a;

/// What is known of CPUs on a host.
#[derive(Debug, Clone, Default)]
pub struct Cpus {
    /// The descriptions of models.
    pub map: Arc<CpuMap>,
    /// The host's architecture.
    pub arch: String,
    /// The host's own CPU, if its model is known.
    pub host: Option<Profile>,
    /// The width of the host's physical addresses in bits; 0 if it is not known.
    pub address_bits: u32,
}

impl CpuMap {
    /// The descriptions that this host has; none where they cannot be read. Reads files.
    #[must_use]
    pub fn of_this_host() -> Self {
        load(Path::new(FOLDER)).unwrap_or_else(|error| {
            tracing::warn!("{error}; CPU models cannot be compared, and there is no 'host-model'");
            Self::default()
        })
    }
}

impl Cpus {
    /// What is known here. Reads files and registers.
    #[must_use]
    pub fn of_this_host(node: &Node) -> Self {
        let map = CpuMap::of_this_host();
        let arch = arch();
        let host = describe(&map, &arch, node).unwrap_or_else(|error| {
            tracing::warn!("the host's CPU has no model: {error}");
            None
        });
        let address_bits = node.address_bits().unwrap_or_default();
        Self { map: Arc::new(map), arch, host, address_bits }
    }
}

fn load(folder: &Path) -> Result<CpuMap> {
    CpuMap::load(|name| {
        let path = folder.join(name);
        fs::read_to_string(&path).map_err(|cause| {
            Error::system(format!("cannot read '{}'", path.display()), &cause)
                .hint("the package libvirt-common has these files")
        })
    })
}

fn describe(map: &CpuMap, arch: &str, node: &Node) -> Result<Option<Profile>> {
    let found = match Family::of(arch) {
        Some(Family::X86) => {
            let how = Decode { kind: Kind::Host, ..Decode::default() };
            Some(map.x86.decode(&registers(map, node), &how)?)
        }
        Some(Family::Ppc64) => node.pvr().map(|pvr| map.of_pvr(pvr)).transpose()?,
        Some(Family::Arm) => node.arm_part().map(|(maker, part)| map.of_arm_part(maker, part)),
        _ => None,
    };
    Ok(found.map(|found| Profile { arch: Some(arch.to_owned()), ..found }))
}

fn registers(map: &CpuMap, node: &Node) -> Registers {
    let mut bits = Registers::default();
    for leaf in cpuid() {
        bits.insert(Register::Leaf { eax: leaf.asked.0, ecx: leaf.asked.1 }, leaf.value);
    }
    let has = |name: &str| map.x86.feature(name).is_ok_and(|known| bits.contains(&known.bits));
    if has("arch-capabilities")
        && let Some(value) = node.msr(ARCH_CAPABILITIES)
    {
        let half = |value: u64| u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default();
        bits.insert(Register::Msr(ARCH_CAPABILITIES), [half(value), 0, 0, half(value >> 32)]);
    }
    bits
}

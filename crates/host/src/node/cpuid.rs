// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the processor says of itself in its registers.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::Node;

/// One answer of the x86 instruction CPUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuidLeaf {
    /// `eax` and `ecx` as they were asked.
    pub asked: (u32, u32),
    /// `eax`, `ebx`, `ecx`, `edx` as they were answered.
    pub value: [u32; 4],
}

/// All answers of CPUID on the processor that runs this; empty where there is no such instruction.
#[must_use]
pub fn cpuid() -> Vec<CpuidLeaf> {
    let mut all = Vec::new();
    for first in [0, 0x8000_0000] {
        let Some([last, ..]) = ask(first, 0) else { return all };
        // No processor has more; an emulated one may say anything.
        for leaf in first..=last.min(first + 0xff) {
            answers(leaf, &mut all);
        }
    }
    all
}

/// The answers for all subleaves of a leaf.
fn answers(leaf: u32, all: &mut Vec<CpuidLeaf>) {
    const MOST: u32 = 64;
    let Some(value) = ask(leaf, 0) else { return };
    let mut keep = |sub: u32, value| all.push(CpuidLeaf { asked: (leaf, sub), value });
    let [eax, ebx, _, edx] = value;
    let bit = |mask: u32, sub: u32| sub < 32 && mask >> sub & 1 == 1;
    keep(0, value);
    let subs: Box<dyn Fn(u32) -> bool> = match leaf {
        // The last subleaf is named in the first.
        0x7 | 0x14 | 0x17 => Box::new(move |sub| sub <= eax),
        0xd => Box::new(|_| true),
        0xf => Box::new(move |sub| bit(edx, sub)),
        0x10 => Box::new(move |sub| bit(ebx, sub)),
        // Each says whether there is one behind it.
        0x4 | 0xb | 0x12 => Box::new(|_| true),
        _ => return,
    };
    let mut before = value;
    for sub in (1..MOST).filter(|sub| subs(*sub)) {
        let ends = match leaf {
            0x4 => before[0] & 0x1f == 0,
            0xb => before[2] & 0xff00 == 0,
            0x12 => sub > 2 && before[0] & 0xf == 0,
            _ => false,
        };
        let Some(value) = ask(leaf, sub).filter(|_| !ends) else { return };
        if value != [0; 4] {
            keep(sub, value);
        }
        before = value;
    }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn ask(leaf: u32, sub: u32) -> Option<[u32; 4]> {
    #[cfg(target_arch = "x86")]
    use std::arch::x86::__cpuid_count;
    #[cfg(target_arch = "x86_64")]
    use std::arch::x86_64::__cpuid_count;
    let answer = __cpuid_count(leaf, sub);
    Some([answer.eax, answer.ebx, answer.ecx, answer.edx])
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
fn ask(_: u32, _: u32) -> Option<[u32; 4]> {
    None
}

impl Node {
    /// A model-specific register of the first processor; `None` where the kernel does not let one read it.
    #[must_use]
    pub fn msr(&self, index: u32) -> Option<u64> {
        let mut value = [0; 8];
        let file = File::open("/dev/cpu/0/msr").ok()?;
        file.read_exact_at(&mut value, index.into()).ok()?;
        Some(u64::from_ne_bytes(value))
    }

    /// What the kernel says that tells one kind of CPU from another; `None` where it says nothing of use.
    #[must_use]
    pub fn cpu_signature(&self, arch: &str) -> Option<String> {
        let known = |key: &str| self.cpuinfo(&[key]);
        match arch {
            "x86_64" | "i686" => Some(format!(
                "{}, {}, family: {}, model: {}, stepping: {}",
                known("vendor_id")?,
                known("model name")?,
                known("cpu family")?,
                known("model")?,
                known("stepping")?
            )),
            "ppc64" | "ppc64le" => Some(format!("{}, rev {}", known("cpu")?, known("revision")?)),
            _ => None,
        }
    }

    /// POWER's processor version register.
    #[must_use]
    pub fn pvr(&self) -> Option<u32> {
        let text = self.cpuinfo(&["revision"])?;
        let (_, inside) = text.split_once("(pvr ")?;
        let digits: String = inside.chars().filter(char::is_ascii_hexdigit).collect();
        u32::from_str_radix(&digits, 16).ok()
    }

    /// Arm's implementer and part number.
    #[must_use]
    pub fn arm_part(&self) -> Option<(u32, u32)> {
        let number = |key: &str| {
            let text = self.cpuinfo(&[key])?;
            u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
        };
        Some((number("CPU implementer")?, number("CPU part")?))
    }

    /// The width of physical addresses in bits; `None` where the kernel does not tell.
    #[must_use]
    pub fn address_bits(&self) -> Option<u32> {
        self.cpuinfo(&["address sizes"])?.split_ascii_whitespace().next()?.parse().ok()
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Facts about this host: its CPUs, memory, name, and what it counts.
//!
//! Everything is read from `/proc` and `/sys` when asked. Invariant: nothing here waits for anything
//! but the kernel.

mod counters;
mod cpuid;
mod identity;
mod memory;
mod merging;
mod subcore;
mod topology;

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use counters::CpuTimes;
pub use cpuid::{CpuidLeaf, cpuid};
pub use identity::{arch, choose_uuid, hostname, kvm_opens, looks_real, machine_id, uuid};
pub use memory::{FreePages, Memory, NumaMemory};
pub use merging::Merging;
pub use topology::{Cpu, Topology};

/// Where the facts are read from; tests give a folder of their own.
#[derive(Debug, Clone)]
pub struct Node {
    proc: PathBuf,
    devices: PathBuf,
    /// `/sys/kernel/mm`
    kernel_memory: PathBuf,
    resctrl: PathBuf,
    threads_per_subcore: u32,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            devices: "/sys/devices/system".into(),
            kernel_memory: "/sys/kernel/mm".into(),
            resctrl: "/sys/fs/resctrl".into(),
            threads_per_subcore: subcore::threads(),
        }
    }
}

impl Node {
    /// This host.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A host whose `/proc` and `/sys` lie below `root`.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self {
            proc: root.join("proc"),
            devices: root.join("sys/devices/system"),
            kernel_memory: root.join("sys/kernel/mm"),
            resctrl: root.join("sys/fs/resctrl"),
            threads_per_subcore: 0,
        }
    }

    /// The folder of the kernel's devices.
    pub(crate) fn devices(&self) -> &Path {
        &self.devices
    }

    /// A file that tells how caches and memory can be divided.
    pub(crate) fn resctrl_path(&self, name: &str) -> PathBuf {
        self.resctrl.join("info").join(name)
    }

    /// The same host with so many threads in each subcore of POWER; 0 where there are none.
    #[must_use]
    pub fn with_subcores(self, threads: u32) -> Self {
        Self { threads_per_subcore: threads, ..self }
    }

    /// The value of `key` in the first processor's part of `/proc/cpuinfo`.
    fn cpuinfo(&self, keys: &[&str]) -> Option<String> {
        let text = fs::read_to_string(self.proc.join("cpuinfo")).ok()?;
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| keys.contains(&key.trim()))
            .map(|(_, value)| value.trim().to_owned())
    }

    /// The CPU's name for people.
    #[must_use]
    pub fn cpu_model(&self) -> Option<String> {
        self.cpuinfo(&["model name", "cpu", "Processor", "uarch"])
    }

    /// The maker of the CPU, such as `AuthenticAMD`.
    #[must_use]
    pub fn cpu_vendor(&self) -> Option<String> {
        self.cpuinfo(&["vendor_id"])
    }

    /// The CPU's features as the kernel names them.
    #[must_use]
    pub fn cpu_flags(&self) -> Vec<String> {
        let flags = self.cpuinfo(&["flags", "Features", "features"]).unwrap_or_default();
        flags.split_ascii_whitespace().map(str::to_owned).collect()
    }

    /// The version of the CPU's microcode; 0 where the kernel does not tell.
    #[must_use]
    pub fn microcode(&self) -> u32 {
        let text = self.cpuinfo(&["microcode"]).unwrap_or_default();
        u32::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_default()
    }

    /// The first CPU's clock in MHz; 0 where the kernel does not tell.
    #[must_use]
    pub fn mhz(&self) -> u32 {
        let text = self.cpuinfo(&["cpu MHz", "clock", "CPU MHz", "cpu MHz static"]);
        let whole = text.unwrap_or_default();
        let whole = whole.split(['.', 'M']).next().unwrap_or_default();
        whole.trim().parse().unwrap_or_default()
    }
}

/// A small file's content, parsed.
pub(crate) fn read<T: FromStr>(path: &Path) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A list such as `0-3,8`.
pub(crate) fn parse_list(text: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
            // What the kernel says is short; what a broken file says is cut off.
            numbers.extend((first..=last).take(1 << 16));
        }
    }
    numbers
}

/// The numbers of entries called `PREFIXnumber`, in order.
pub(crate) fn numbered(folder: &Path, prefix: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut numbers: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a container's `/proc/meminfo` says.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use virtus_host::cgroup::{Group, UNLIMITED};

/// The host's text, in which the lines that would tell of the host's memory tell of the group's.
pub(super) fn meminfo(group: &Group) -> String {
    let host = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let bounded = |value: virtus_api::Result<u64>| value.ok().filter(|value| *value != UNLIMITED);
    let memory = Memory {
        limit: bounded(group.memory_limit()),
        with_swap: bounded(group.memory_and_swap_limit()),
        used: group.memory_usage().unwrap_or_default(),
        counts: group.memory_counts().unwrap_or_default(),
    };
    of_group(&host, &memory)
}

/// The memory of a group, in bytes.
struct Memory {
    limit: Option<u64>,
    with_swap: Option<u64>,
    used: u64,
    counts: BTreeMap<String, u64>,
}

impl Memory {
    /// What the kernel calls so, in either version.
    fn count(&self, first: &str, second: &str) -> u64 {
        self.counts.get(first).or_else(|| self.counts.get(second)).copied().unwrap_or_default()
    }

    /// What a line is to say instead, in bytes.
    fn value(&self, name: &str, host: u64) -> Option<u64> {
        let total = self.limit.unwrap_or(u64::MAX);
        let cached = self.count("total_cache", "file");
        let list = |kind: &str| self.count(&format!("total_{kind}"), kind);
        let swap_total = self.with_swap.map(|both| both.saturating_sub(total));
        let swap_used = self.count("total_swap", "swap");
        Some(match name {
            "MemTotal" => total.min(host),
            "MemFree" => self.limit?.saturating_sub(self.used),
            "MemAvailable" => self.limit?.saturating_sub(self.used).saturating_add(cached),
            "Buffers" => 0,
            "Cached" => cached,
            "Active" => list("active_anon") + list("active_file"),
            "Inactive" => list("inactive_anon") + list("inactive_file"),
            "Active(anon)" => list("active_anon"),
            "Inactive(anon)" => list("inactive_anon"),
            "Active(file)" => list("active_file"),
            "Inactive(file)" => list("inactive_file"),
            "Unevictable" => list("unevictable"),
            "SwapTotal" => swap_total?.min(host),
            "SwapFree" => swap_total?.min(host).saturating_sub(swap_used),
            _ => return None,
        })
    }
}

fn of_group(host: &str, memory: &Memory) -> String {
    let mut text = String::new();
    let total = |name: &str| {
        host.lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(kib)
            .unwrap_or(u64::MAX / 1024)
    };
    let swap = total("SwapTotal:");
    for line in host.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let ceiling = if name.starts_with("Swap") { Some(swap) } else { kib(value) };
        let changed = ceiling.and_then(|host| memory.value(name, host * 1024));
        // Writing to a string cannot fail.
        let _ = match changed {
            Some(bytes) => writeln!(text, "{:<16}{:>8} kB", format!("{name}:"), bytes / 1024),
            None => writeln!(text, "{line}"),
        };
    }
    text
}

/// `  123 kB`
fn kib(value: &str) -> Option<u64> {
    value.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_memory_stands_in_the_hosts_lines() {
        let host = "MemTotal:       24682040 kB\nMemFree:        21900000 kB\nSwapTotal:          1024 kB\n\
                    SwapFree:           1000 kB\nKernelStack:        4096 kB\n";
        let mut memory = Memory {
            limit: Some(64 << 20),
            with_swap: Some(80 << 20),
            used: 16 << 20,
            counts: BTreeMap::from([("total_swap".to_owned(), 1 << 19)]),
        };
        let text = of_group(host, &memory);
        assert_eq!(
            text,
            "MemTotal:          65536 kB\nMemFree:           49152 kB\nSwapTotal:          1024 kB\n\
             SwapFree:            512 kB\nKernelStack:        4096 kB\n"
        );
        memory.limit = None;
        let free = "MemTotal:       24682040 kB\nMemFree:        21900000 kB";
        assert!(of_group(host, &memory).starts_with(free));
    }
}

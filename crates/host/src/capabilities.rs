// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host in the capabilities document: its nodes, its caches and how they can be divided.

use std::fs;

use virtus_xml::capabilities::{
    BandwidthNode, CacheBank, CacheControl, Cell, CellPages, Cells, Cpus, HostBandwidth,
    HostCaches, HostFeature, HostThread, HostTopology, Monitor,
};
use virtus_xml::cpuset::CpuSet;
use virtus_xml::units::Kib;

use crate::node::{Node, numbered, parse_list, read};

/// Memory of one node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CellMemory {
    /// In KiB, if it is known.
    pub total: Option<u64>,
    /// Sizes of pages in KiB, and how many there are.
    pub pages: Vec<(u64, u64)>,
}

/// Caches below this level are a core's own: nobody divides them.
const LOWEST: u32 = 2;

impl Node {
    /// The memory of a node, as the kernel counts it.
    #[must_use]
    pub fn cell_memory(&self, id: u32) -> CellMemory {
        let pages = self.page_sizes().into_iter();
        CellMemory {
            total: self.numa_memory(id).map(|memory| memory.total),
            pages: pages
                .filter_map(|size| Some((size, self.pages(Some(id), size)?.total)))
                .collect(),
        }
    }

    /// The nodes with their memory and CPUs.
    #[must_use]
    pub fn host_topology(&self, memory: impl Fn(u32) -> CellMemory) -> HostTopology {
        let threads = self.topology().cpus;
        let cells = self.numa_nodes().into_keys().map(|id| {
            let CellMemory { total, pages } = memory(id);
            let pages = pages.into_iter().map(|(size, count)| CellPages {
                unit: Some("KiB".to_owned()),
                size,
                count,
            });
            let own = threads.iter().filter(|cpu| cpu.node == id && cpu.online);
            let cpus = own.map(|cpu| HostThread {
                id: cpu.id,
                socket_id: Some(cpu.socket),
                die_id: Some(cpu.die),
                cluster_id: Some(cpu.cluster),
                core_id: Some(cpu.core),
                siblings: Some(CpuSet::of(cpu.siblings.iter().copied())),
            });
            Cell {
                id,
                memory: total.map(Kib),
                pages: pages.collect(),
                cpus: Some(Cpus { cpus: cpus.collect() }),
                ..Cell::default()
            }
        });
        HostTopology { cells: Cells { cells: cells.collect() }, ..HostTopology::default() }
    }

    /// The caches that CPUs share, by level and number; `None` where the kernel names none.
    #[must_use]
    pub fn host_caches(&self) -> Option<HostCaches> {
        let mut banks = self.banks();
        for bank in &mut banks {
            bank.controls = self.cache_controls(bank);
            (bank.size, bank.unit) = short(bank.size);
        }
        let monitor = self.monitor("llc_").map(|monitor| Monitor {
            level: Some(3),
            reuse_threshold: self.resctrl("L3_MON/max_threshold_occupancy"),
            ..monitor
        });
        (!banks.is_empty()).then_some(HostCaches { banks, monitor })
    }

    /// How the way to memory can be divided; `None` where it cannot.
    #[must_use]
    pub fn host_bandwidth(&self) -> Option<HostBandwidth> {
        let control = || {
            Some(CacheControl {
                granularity: self.resctrl("MB/bandwidth_gran")?,
                min: self.resctrl("MB/min_bandwidth"),
                max_allocs: self.resctrl("MB/num_closids")?,
                ..CacheControl::default()
            })
        };
        let last = self.banks().into_iter().filter(|bank| bank.level == 3);
        let node = |bank: CacheBank| {
            let controls = vec![control()?];
            Some(BandwidthNode { id: bank.id, cpus: bank.cpus, controls })
        };
        let nodes: Vec<_> = last.filter_map(node).collect();
        let monitor = self.monitor("mbm_");
        (!nodes.is_empty() || monitor.is_some()).then_some(HostBandwidth { nodes, monitor })
    }

    /// The caches with their sizes in bytes.
    fn banks(&self) -> Vec<CacheBank> {
        let mut banks: Vec<CacheBank> = Vec::new();
        for cpu in self.topology().cpus.iter().filter(|cpu| cpu.online) {
            let folder = self.devices().join(format!("cpu/cpu{}/cache", cpu.id));
            for index in numbered(&folder, "index") {
                let Some(bank) = bank(&folder.join(format!("index{index}"))) else { continue };
                let known =
                    |b: &CacheBank| (b.level, b.id, &b.kind) == (bank.level, bank.id, &bank.kind);
                if bank.level >= LOWEST && !banks.iter().any(known) {
                    banks.push(bank);
                }
            }
        }
        banks.sort_by(|a, b| (a.level, a.id, &a.kind).cmp(&(b.level, b.id, &b.kind)));
        banks
    }

    /// How the kernel divides a cache: for code and data together, or for each.
    fn cache_controls(&self, bank: &CacheBank) -> Vec<CacheControl> {
        let kinds = [("", "both"), ("CODE", "code"), ("DATA", "data")];
        let control = |(suffix, kind): (&str, &str)| {
            let key = |name: &str| format!("L{}{suffix}/{name}", bank.level);
            let mask: String = self.resctrl(&key("cbm_mask"))?;
            let ways = u64::from(u64::from_str_radix(&mask, 16).ok()?.count_ones());
            let granularity = bank.size.checked_div(ways)?;
            let least: u64 = self.resctrl(&key("min_cbm_bits")).unwrap_or_default();
            let (granularity, unit) = short(granularity);
            let min = (least > 1).then_some(least * granularity);
            Some(CacheControl {
                granularity,
                min,
                unit,
                kind: Some(kind.to_owned()),
                max_allocs: self.resctrl(&key("num_closids"))?,
            })
        };
        kinds.into_iter().filter_map(control).collect()
    }

    /// What the kernel watches, by the beginning of the names.
    fn monitor(&self, prefix: &str) -> Option<Monitor> {
        let path = self.resctrl_path("L3_MON/mon_features");
        let known = fs::read_to_string(path).ok()?;
        let names = known.lines().filter(|name| name.starts_with(prefix));
        let features: Vec<_> = names.map(|name| HostFeature { name: name.to_owned() }).collect();
        let max_monitors = self.resctrl("L3_MON/num_rmids")?;
        (!features.is_empty()).then(|| Monitor { max_monitors, features, ..Monitor::default() })
    }

    fn resctrl<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        read(&self.resctrl_path(name))
    }
}

fn bank(folder: &std::path::Path) -> Option<CacheBank> {
    let text = |name: &str| read::<String>(&folder.join(name));
    let kind = match text("type")?.as_str() {
        "Instruction" => "code",
        "Data" => "data",
        _ => "both",
    };
    Some(CacheBank {
        id: read(&folder.join("id"))?,
        level: read(&folder.join("level"))?,
        kind: kind.to_owned(),
        size: bytes(&text("size")?)?,
        unit: None,
        cpus: CpuSet::of(parse_list(&text("shared_cpu_list")?)),
        controls: Vec::new(),
    })
}

/// A size as the kernel writes it, such as `33M`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let scale = match &text[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(scale)
}

/// A number of bytes in the largest unit that leaves it whole.
fn short(bytes: u64) -> (u64, Option<String>) {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut number = bytes;
    let mut unit = 0;
    while number > 0 && number.is_multiple_of(1024) && unit + 1 < units.len() {
        (number, unit) = (number / 1024, unit + 1);
    }
    (number, Some(units[unit].to_owned()))
}

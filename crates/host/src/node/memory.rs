// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host's memory.

use std::fs;
use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorCode, Result};

use super::{Node, numbered, read};
use crate::kernel_file;

/// Memory of the whole host, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What nobody uses.
    pub free: u64,
    /// Buffers of block devices.
    pub buffers: u64,
    /// Cached files.
    pub cached: u64,
    /// What could be had without swapping.
    pub available: u64,
}

/// Memory of one NUMA node, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NumaMemory {
    /// All of it.
    pub total: u64,
    /// What nobody uses.
    pub free: u64,
}

/// Pages of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreePages {
    /// In KiB.
    pub size: u64,
    /// How many there are.
    pub total: u64,
    /// How many are free.
    pub free: u64,
}

impl Node {
    /// The host's memory.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let text = fs::read_to_string(self.proc.join("meminfo")).unwrap_or_default();
        let value = |key: &str| field(&text, key);
        Memory {
            total: value("MemTotal"),
            free: value("MemFree"),
            buffers: value("Buffers"),
            cached: value("Cached"),
            available: value("MemAvailable"),
        }
    }

    /// The memory of one NUMA node; `None` if there is no such node.
    #[must_use]
    pub fn numa_memory(&self, node: u32) -> Option<NumaMemory> {
        let path = self.devices.join(format!("node/node{node}/meminfo"));
        let Ok(text) = fs::read_to_string(path) else {
            let all = self.memory();
            let only = NumaMemory { total: all.total, free: all.free };
            return (node == 0 && !self.devices.join("node/node0").exists()).then_some(only);
        };
        Some(NumaMemory { total: field(&text, "MemTotal"), free: field(&text, "MemFree") })
    }

    /// The sizes of pages that the host has, in KiB, the smallest first.
    #[must_use]
    pub fn page_sizes(&self) -> Vec<u64> {
        let mut sizes = vec![rustix::param::page_size() as u64 / 1024];
        sizes.extend(huge_page_sizes(&self.huge_pages()));
        sizes
    }

    /// Pages of `size` KiB on one NUMA node, or on the whole host. `None` if there is no such size.
    #[must_use]
    pub fn pages(&self, node: Option<u32>, size: u64) -> Option<FreePages> {
        let small = rustix::param::page_size() as u64 / 1024;
        if size == small {
            let (total, free) = match node {
                Some(node) => {
                    let memory = self.numa_memory(node)?;
                    (memory.total, memory.free)
                }
                None => {
                    let memory = self.memory();
                    (memory.total, memory.free)
                }
            };
            let huge: u64 = huge_page_sizes(&self.huge_pages())
                .into_iter()
                .filter_map(|size| self.pages(node, size))
                .map(|pages| pages.size.saturating_mul(pages.total))
                .sum();
            // Memory set apart for huge pages is no memory in small ones.
            return Some(FreePages {
                size,
                total: total.saturating_sub(huge) / small,
                free: free / small,
            });
        }
        let folder = self.pool(node, size);
        Some(FreePages {
            size,
            total: read(&folder.join("nr_hugepages"))?,
            free: read(&folder.join("free_hugepages"))?,
        })
    }

    /// Has the kernel keep `count` huge pages of `size` KiB on one NUMA node, or on the whole host; so many more than
    /// now with `adds`.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_FAILED` where there are no such pages, or fewer could be had: those are kept.
    pub fn keep_pages(&self, node: Option<u32>, size: u64, count: u64, adds: bool) -> Result<()> {
        let file = self.pool(node, size).join("nr_hugepages");
        let failed = |text: String| Error::new(ErrorCode::OperationFailed, text);
        let now: u64 = read(&file).ok_or_else(|| {
            let place = node.map(|node| format!(" on NUMA node {node}")).unwrap_or_default();
            failed(format!("there is no pool of pages of {size} KiB{place}"))
        })?;
        let wanted = if adds { now.saturating_add(count) } else { count };
        if wanted == now {
            return Ok(());
        }
        kernel_file::write(&file, &wanted.to_string()).map_err(|cause| {
            Error::system(format!("cannot change the pool of pages of {size} KiB"), &cause)
        })?;
        let kept: u64 = read(&file).unwrap_or_default();
        if kept < wanted {
            let got = kept.saturating_sub(now);
            let text = format!("unable to allocate {} pages, only {got}", wanted - now);
            return Err(failed(text).hint("the host's memory is in use or in pieces"));
        }
        Ok(())
    }

    /// The folder of the pool of pages of one size.
    fn pool(&self, node: Option<u32>, size: u64) -> PathBuf {
        let pools = match node {
            Some(node) => self.devices.join(format!("node/node{node}/hugepages")),
            None => self.huge_pages(),
        };
        pools.join(format!("hugepages-{size}kB"))
    }

    fn huge_pages(&self) -> PathBuf {
        self.kernel_memory.join("hugepages")
    }
}

fn huge_page_sizes(folder: &Path) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut sizes: Vec<u64> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            name.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()
        })
        .collect();
    sizes.sort_unstable();
    sizes
}

/// The number after `key:`, on a line that may start with `Node N`.
fn field(text: &str, key: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.split_ascii_whitespace().last() == Some(key))
        .and_then(|(_, value)| value.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

impl Node {
    /// The numbers of the NUMA nodes; 0 alone where the kernel knows none.
    #[must_use]
    pub fn numa_node_ids(&self) -> Vec<u32> {
        let nodes = numbered(&self.devices.join("node"), "node");
        if nodes.is_empty() { vec![0] } else { nodes }
    }
}

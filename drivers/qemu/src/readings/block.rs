// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What QEMU counts of disks, and how large their images are.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde_json::Value;

/// What one disk did since the guest was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) reads: u64,
    pub(crate) read_bytes: u64,
    pub(crate) read_ns: u64,
    pub(crate) writes: u64,
    pub(crate) written_bytes: u64,
    pub(crate) write_ns: u64,
    pub(crate) flushes: u64,
    pub(crate) flush_ns: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        for (mine, theirs) in [
            (&mut self.reads, other.reads),
            (&mut self.read_bytes, other.read_bytes),
            (&mut self.read_ns, other.read_ns),
            (&mut self.writes, other.writes),
            (&mut self.written_bytes, other.written_bytes),
            (&mut self.write_ns, other.write_ns),
            (&mut self.flushes, other.flushes),
            (&mut self.flush_ns, other.flush_ns),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }
}

/// One node of QEMU's block layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Node {
    /// Bytes that the guest sees.
    pub(crate) capacity: Option<u64>,
    /// Bytes that the image takes on its storage.
    pub(crate) physical: Option<u64>,
    /// How far it has been written.
    pub(crate) highest: Option<u64>,
    /// Where a write raises an event; zero is nowhere.
    pub(crate) threshold: u64,
}

/// What is known of all disks of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Readings {
    /// By the alias of the guest's device.
    pub(crate) devices: BTreeMap<String, Counts>,
    /// By the name of the node.
    pub(crate) nodes: BTreeMap<String, Node>,
}

impl Readings {
    /// Reads the reply to `query-blockstats`.
    pub(crate) fn read_stats(&mut self, reply: &Value) {
        for entry in reply.as_array().into_iter().flatten() {
            if let Some(alias) = entry["qdev"].as_str().map(alias_of) {
                self.devices.insert(alias.to_owned(), counts(&entry["stats"]));
            }
            self.read_highest(entry, 0);
        }
    }

    /// An entry stands for a node; what it lies on is nested in it.
    fn read_highest(&mut self, entry: &Value, depth: u8) {
        if let Some(name) = entry["node-name"].as_str() {
            let node = self.nodes.entry(name.to_owned()).or_default();
            node.highest = entry["stats"]["wr_highest_offset"].as_u64();
        }
        for below in ["parent", "backing"] {
            if entry[below].is_object() && depth < 200 {
                self.read_highest(&entry[below], depth + 1);
            }
        }
    }

    /// Reads the reply to `query-named-block-nodes`.
    pub(crate) fn read_nodes(&mut self, reply: &Value) {
        for entry in reply.as_array().into_iter().flatten() {
            let Some(name) = entry["node-name"].as_str() else { continue };
            let node = self.nodes.entry(name.to_owned()).or_default();
            node.capacity = entry["image"]["virtual-size"].as_u64();
            node.physical = entry["image"]["actual-size"].as_u64();
            node.threshold = entry["write_threshold"].as_u64().unwrap_or_default();
        }
    }

    /// What all disks did together.
    pub(crate) fn sum(&self) -> Counts {
        let mut sum = Counts::default();
        self.devices.values().for_each(|counts| sum += *counts);
        sum
    }
}

/// Which disks had errors: aliases and whether the storage was full, from the reply to `query-block`.
pub(crate) fn failures(reply: &Value) -> BTreeMap<String, bool> {
    let entries = reply.as_array().into_iter().flatten();
    let failed = entries.filter_map(|entry| {
        let full = match entry["io-status"].as_str()? {
            "nospace" => true,
            "failed" => false,
            _ => return None,
        };
        Some((alias_of(entry["qdev"].as_str()?).to_owned(), full))
    });
    failed.collect()
}

/// The alias of a device by QEMU's path of it: some devices stand for themselves, some for their inner half.
pub(crate) fn alias_of(qdev: &str) -> &str {
    let name = qdev.strip_prefix("/machine/peripheral/").unwrap_or(qdev);
    name.split('/').next().unwrap_or(name)
}

fn counts(stats: &Value) -> Counts {
    let number = |name: &str| stats[name].as_u64().unwrap_or_default();
    Counts {
        reads: number("rd_operations"),
        read_bytes: number("rd_bytes"),
        read_ns: number("rd_total_time_ns"),
        writes: number("wr_operations"),
        written_bytes: number("wr_bytes"),
        write_ns: number("wr_total_time_ns"),
        flushes: number("flush_operations"),
        flush_ns: number("flush_total_time_ns"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::readings::recorded::reply;

    #[test]
    fn disks_are_counted_and_measured() {
        let mut readings = Readings::default();
        readings.read_stats(&reply("blockstats"));
        readings.read_nodes(&reply("named-block-nodes"));
        let disk = readings.devices["virtio-disk0"];
        assert_eq!((disk.reads, disk.read_bytes, disk.read_ns), (2, 4608, 78_367));
        assert_eq!(readings.devices.len(), 3);
        assert_eq!(
            readings.sum().read_bytes,
            4608 + readings.devices["ide0-0-1"].read_bytes
                + readings.devices["sata0-0-2"].read_bytes
        );
        let format = readings.nodes["libvirt-2-format"];
        assert_eq!((format.capacity, format.physical), (Some(16_777_216), Some(200_704)));
        let storage = readings.nodes["libvirt-2-storage"];
        assert_eq!((storage.capacity, storage.highest), (Some(197_120), Some(0)));
        assert_eq!(readings.nodes["libvirt-3-storage"].highest, Some(0));
        assert_eq!(readings.nodes["libvirt-1-storage"].capacity, Some(8_388_608));
    }

    #[test]
    fn devices_go_by_their_alias() {
        assert_eq!(alias_of("/machine/peripheral/virtio-disk0/virtio-backend"), "virtio-disk0");
        assert_eq!(alias_of("ide0-0-1"), "ide0-0-1");
    }

    #[test]
    fn failures_are_told_from_full_storage() {
        assert!(failures(&reply("block")).is_empty());
        let reply = json!([
            { "io-status": "nospace", "qdev": "a" }, { "io-status": "failed", "qdev": "b" },
        ]);
        let failed = failures(&reply);
        assert_eq!((failed["a"], failed["b"]), (true, false));
    }
}

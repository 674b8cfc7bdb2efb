// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a group has read from disks and written to them.

use virtus_api::Result;

use super::{Controller, Group};

/// Requests and bytes so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiskTraffic {
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Requests to read.
    pub reads: u64,
    /// Requests to write.
    pub writes: u64,
}

impl Group {
    /// What the group did with one disk, by its numbers, or with all.
    ///
    /// # Errors
    /// Where nothing counts it.
    pub fn disk_traffic(&self, device: Option<(u32, u32)>) -> Result<DiskTraffic> {
        let part = self.part(Controller::Blkio)?;
        let device = device.map(|(major, minor)| format!("{major}:{minor}"));
        if part.unified {
            return Ok(second(&part.read("io.stat")?, device.as_deref()));
        }
        // Old kernels count only what the group's own processes do.
        let read = |name: &str| {
            let name = format!("blkio.throttle.{name}");
            part.read(&format!("{name}_recursive")).or_else(|_| part.read(&name))
        };
        let bytes = first(&read("io_service_bytes")?, device.as_deref());
        let requests = first(&read("io_serviced")?, device.as_deref());
        Ok(DiskTraffic {
            read_bytes: bytes.0,
            written_bytes: bytes.1,
            reads: requests.0,
            writes: requests.1,
        })
    }
}

/// Version 2: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`, a line for each disk.
fn second(text: &str, device: Option<&str>) -> DiskTraffic {
    let mut sum = DiskTraffic::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let name = words.next().unwrap_or_default();
        if device.is_some_and(|wanted| wanted != name) {
            continue;
        }
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let value = value.parse().unwrap_or(0);
            match key {
                "rbytes" => sum.read_bytes += value,
                "wbytes" => sum.written_bytes += value,
                "rios" => sum.reads += value,
                "wios" => sum.writes += value,
                _ => {}
            }
        }
    }
    sum
}

/// Version 1: `8:0 Read 1`, `8:0 Write 2` and others, a line for each kind; what was read and what was written.
fn first(text: &str, device: Option<&str>) -> (u64, u64) {
    let (mut read, mut written) = (0, 0);
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(kind), Some(value)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let value: u64 = value.parse().unwrap_or(0);
        match kind {
            _ if device.is_some_and(|wanted| wanted != name) => {}
            "Read" => read += value,
            "Write" => written += value,
            _ => {}
        }
    }
    (read, written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_count_one_disk_or_all() {
        let text = "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=5\n8:16 rbytes=1 wbytes=2 rios=3 wios=4\n";
        let one = second(text, Some("8:0"));
        assert_eq!(one, DiskTraffic { read_bytes: 10, written_bytes: 20, reads: 1, writes: 2 });
        assert_eq!(second(text, None).read_bytes, 11);
        let text = "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\n8:16 Read 1\nTotal 31\n";
        assert_eq!(first(text, Some("8:0")), (10, 20));
        assert_eq!(first(text, None), (11, 20));
    }
}

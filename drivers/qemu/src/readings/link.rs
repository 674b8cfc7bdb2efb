// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the kernel counts of network devices.

use std::collections::HashMap;

/// What went through a device, in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Way {
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
    pub(crate) errors: u64,
    pub(crate) dropped: u64,
}

/// What went through a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Traffic {
    pub(crate) received: Way,
    pub(crate) sent: Way,
}

impl Traffic {
    /// The same from the other end of the wire: what a tap sends, the guest receives.
    #[must_use]
    pub(crate) fn seen_from_the_other_end(self) -> Self {
        Self { received: self.sent, sent: self.received }
    }
}

/// Reads `/proc/net/dev`.
pub(crate) fn read(text: &str) -> HashMap<String, Traffic> {
    let rows = text.lines().filter_map(|line| {
        let (name, rest) = line.split_once(':')?;
        let numbers: Vec<u64> =
            rest.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
        let way = |from: usize| {
            Some(Way {
                bytes: *numbers.get(from)?,
                packets: *numbers.get(from + 1)?,
                errors: *numbers.get(from + 2)?,
                dropped: *numbers.get(from + 3)?,
            })
        };
        Some((name.trim().to_owned(), Traffic { received: way(0)?, sent: way(8)? }))
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let table = "Inter-|   Receive  |  Transmit\n face |bytes    packets\n\
                     \x20   lo: 100 2 0 0 0 0 0 0 100 2 0 0 0 0 0 0\n\
                     vtest0:586 7 1 2 0 0 0 0 608 4 3 5 0 0 0 0\n";
        let all = read(table);
        assert_eq!(all.len(), 2);
        let guest = all["vtest0"].seen_from_the_other_end();
        let way = |bytes, packets, errors, dropped| Way { bytes, packets, errors, dropped };
        assert_eq!(guest.sent, way(586, 7, 1, 2));
        assert_eq!(guest.received, way(608, 4, 3, 5));
    }
}

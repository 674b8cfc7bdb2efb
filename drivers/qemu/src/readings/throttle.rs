// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Limits of a disk's traffic, as QEMU tells and takes them.

use serde_json::{Map, Value};
use virtus_domain::iotune::LIMITS;
use virtus_xml::domain::disk::Iotune;

/// QEMU's names of the limits, in their order.
const NAMES: [&str; 19] = [
    "bps",
    "bps_rd",
    "bps_wr",
    "iops",
    "iops_rd",
    "iops_wr",
    "bps_max",
    "bps_rd_max",
    "bps_wr_max",
    "iops_max",
    "iops_rd_max",
    "iops_wr_max",
    "iops_size",
    "bps_max_length",
    "bps_rd_max_length",
    "bps_wr_max_length",
    "iops_max_length",
    "iops_rd_max_length",
    "iops_wr_max_length",
];

/// The limits of one disk, from `inserted` in the reply to `query-block`.
pub(crate) fn read(inserted: &Value) -> Iotune {
    let mut tune = Iotune::default();
    for (limit, name) in LIMITS.iter().zip(NAMES) {
        limit.set(&mut tune, inserted[name].as_u64().unwrap_or_default());
    }
    tune.group_name = inserted["group"].as_str().map(str::to_owned);
    tune
}

/// The arguments of `block_set_io_throttle` for the device that QEMU calls `qdev`.
pub(crate) fn arguments(qdev: &str, tune: &Iotune) -> Value {
    let mut map = Map::new();
    map.insert("id".into(), qdev.into());
    for (at, (limit, name)) in LIMITS.iter().zip(NAMES).enumerate() {
        let value = limit.value(tune);
        // The first six are required, the others mean something only if they are there.
        if at < 6 || value > 0 {
            map.insert(name.into(), value.into());
        }
    }
    if let Some(group) = &tune.group_name {
        map.insert("group".into(), group.as_str().into());
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::recorded::reply;

    #[test]
    fn limits_come_back_as_they_were_set() {
        let tune = Iotune {
            read_bytes_sec: Some(1_000_000),
            total_iops_sec: Some(100),
            read_bytes_sec_max: Some(2_000_000),
            read_bytes_sec_max_length: Some(3),
            group_name: Some("g1".into()),
            ..Iotune::default()
        };
        let block = reply("throttled-block");
        assert_eq!(read(&block[0]["inserted"]), tune);
        let sent = arguments("ide0-0-1", &tune);
        assert_eq!((&sent["bps_rd"], &sent["bps"]), (&1_000_000.into(), &0.into()));
        assert_eq!((&sent["bps_max"], &sent["group"]), (&Value::Null, &"g1".into()));
        assert_eq!(LIMITS.len(), NAMES.len());
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Limits of a disk's traffic: as QEMU tells them, as QEMU takes them, as clients name them, as the
//! definition keeps them.

use serde_json::{Map, Value};
use virtus_api::params::domain_block_iotune as name;
use virtus_xml::domain::disk::Iotune;

/// The largest value that QEMU takes.
pub(crate) const MOST: u64 = 1_000_000_000_000_000;

/// One limit.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    /// Clients' name.
    pub(crate) name: &'static str,
    /// QEMU's name.
    qemu: &'static str,
    get: fn(&Iotune) -> Option<u64>,
    place: fn(&mut Iotune) -> &mut Option<u64>,
}

macro_rules! limits {
    ($($name:ident $qemu:literal $field:ident;)+) => {
        /// Every limit that is a number, in the order in which clients print them.
        pub(crate) const LIMITS: &[Limit] = &[$(Limit {
            name: name::$name,
            qemu: $qemu,
            get: |tune| tune.$field,
            place: |tune| &mut tune.$field,
        }),+];
    };
}

limits! {
    TOTAL_BYTES_SEC "bps" total_bytes_sec;
    READ_BYTES_SEC "bps_rd" read_bytes_sec;
    WRITE_BYTES_SEC "bps_wr" write_bytes_sec;
    TOTAL_IOPS_SEC "iops" total_iops_sec;
    READ_IOPS_SEC "iops_rd" read_iops_sec;
    WRITE_IOPS_SEC "iops_wr" write_iops_sec;
    TOTAL_BYTES_SEC_MAX "bps_max" total_bytes_sec_max;
    READ_BYTES_SEC_MAX "bps_rd_max" read_bytes_sec_max;
    WRITE_BYTES_SEC_MAX "bps_wr_max" write_bytes_sec_max;
    TOTAL_IOPS_SEC_MAX "iops_max" total_iops_sec_max;
    READ_IOPS_SEC_MAX "iops_rd_max" read_iops_sec_max;
    WRITE_IOPS_SEC_MAX "iops_wr_max" write_iops_sec_max;
    SIZE_IOPS_SEC "iops_size" size_iops_sec;
    TOTAL_BYTES_SEC_MAX_LENGTH "bps_max_length" total_bytes_sec_max_length;
    READ_BYTES_SEC_MAX_LENGTH "bps_rd_max_length" read_bytes_sec_max_length;
    WRITE_BYTES_SEC_MAX_LENGTH "bps_wr_max_length" write_bytes_sec_max_length;
    TOTAL_IOPS_SEC_MAX_LENGTH "iops_max_length" total_iops_sec_max_length;
    READ_IOPS_SEC_MAX_LENGTH "iops_rd_max_length" read_iops_sec_max_length;
    WRITE_IOPS_SEC_MAX_LENGTH "iops_wr_max_length" write_iops_sec_max_length;
}

impl Limit {
    pub(crate) fn of(name: &str) -> Option<&'static Self> {
        LIMITS.iter().find(|limit| limit.name == name)
    }

    pub(crate) fn value(&self, tune: &Iotune) -> u64 {
        (self.get)(tune).unwrap_or_default()
    }

    /// Zero is no limit and is not kept.
    pub(crate) fn set(&self, tune: &mut Iotune, value: u64) {
        *(self.place)(tune) = (value > 0).then_some(value);
    }
}

/// The limits of one disk, from `inserted` in the reply to `query-block`.
pub(crate) fn read(inserted: &Value) -> Iotune {
    let mut tune = Iotune::default();
    for limit in LIMITS {
        limit.set(&mut tune, inserted[limit.qemu].as_u64().unwrap_or_default());
    }
    tune.group_name = inserted["group"].as_str().map(str::to_owned);
    tune
}

/// The arguments of `block_set_io_throttle` for the device that QEMU calls `qdev`.
pub(crate) fn arguments(qdev: &str, tune: &Iotune) -> Value {
    let mut map = Map::new();
    map.insert("id".into(), qdev.into());
    for (at, limit) in LIMITS.iter().enumerate() {
        let value = limit.value(tune);
        // The first six are required, the others mean something only if they are there.
        if at < 6 || value > 0 {
            map.insert(limit.qemu.into(), value.into());
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
        let mut tune = Iotune {
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
        let limit = Limit::of("total_iops_sec").unwrap();
        limit.set(&mut tune, 0);
        assert_eq!((limit.value(&tune), tune.total_iops_sec), (0, None));
        assert_eq!(LIMITS.len(), 19);
    }
}

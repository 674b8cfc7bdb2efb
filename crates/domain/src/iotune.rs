// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Limits of a disk's traffic: as clients name them, as the definition keeps them.

use virtus_api::params::domain_block_iotune as name;
use virtus_xml::domain::disk::Iotune;

/// The largest value that is taken.
pub const MOST: u64 = 1_000_000_000_000_000;

/// One limit.
#[derive(Clone, Copy)]
pub struct Limit {
    /// Clients' name.
    pub name: &'static str,
    get: fn(&Iotune) -> Option<u64>,
    place: fn(&mut Iotune) -> &mut Option<u64>,
}

macro_rules! limits {
    ($($name:ident $field:ident;)+) => {
        /// Every limit that is a number, in the order in which clients print them.
        pub const LIMITS: &[Limit] = &[$(Limit {
            name: name::$name,
            get: |tune| tune.$field,
            place: |tune| &mut tune.$field,
        }),+];
    };
}

limits! {
    TOTAL_BYTES_SEC total_bytes_sec;
    READ_BYTES_SEC read_bytes_sec;
    WRITE_BYTES_SEC write_bytes_sec;
    TOTAL_IOPS_SEC total_iops_sec;
    READ_IOPS_SEC read_iops_sec;
    WRITE_IOPS_SEC write_iops_sec;
    TOTAL_BYTES_SEC_MAX total_bytes_sec_max;
    READ_BYTES_SEC_MAX read_bytes_sec_max;
    WRITE_BYTES_SEC_MAX write_bytes_sec_max;
    TOTAL_IOPS_SEC_MAX total_iops_sec_max;
    READ_IOPS_SEC_MAX read_iops_sec_max;
    WRITE_IOPS_SEC_MAX write_iops_sec_max;
    SIZE_IOPS_SEC size_iops_sec;
    TOTAL_BYTES_SEC_MAX_LENGTH total_bytes_sec_max_length;
    READ_BYTES_SEC_MAX_LENGTH read_bytes_sec_max_length;
    WRITE_BYTES_SEC_MAX_LENGTH write_bytes_sec_max_length;
    TOTAL_IOPS_SEC_MAX_LENGTH total_iops_sec_max_length;
    READ_IOPS_SEC_MAX_LENGTH read_iops_sec_max_length;
    WRITE_IOPS_SEC_MAX_LENGTH write_iops_sec_max_length;
}

impl Limit {
    /// The limit of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<&'static Self> {
        LIMITS.iter().find(|limit| limit.name == name)
    }

    /// Zero where there is none.
    #[must_use]
    pub fn value(&self, tune: &Iotune) -> u64 {
        (self.get)(tune).unwrap_or_default()
    }

    /// Zero is no limit and is not kept.
    pub fn set(&self, tune: &mut Iotune, value: u64) {
        *(self.place)(tune) = (value > 0).then_some(value);
    }
}

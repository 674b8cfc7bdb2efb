// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the balloon says of the guest's memory. Sizes are in KiB, as clients take them.

use serde_json::Value;
use virtus_api::DomainMemoryStatTags as Tag;
use virtus_api::params::domain_bulk_stats as field;

/// The guest's own words about its memory, in the order in which clients print them.
pub(crate) type Words = Vec<(Tag, u64)>;

/// One statistic: its tag, its field in bulk statistics, QEMU's name and how many of its units are one of
/// ours.
const ROWS: &[(Tag, &str, &str, u64)] = &[
    (Tag::SwapIn, field::BALLOON_SWAP_IN, "stat-swap-in", 1024),
    (Tag::SwapOut, field::BALLOON_SWAP_OUT, "stat-swap-out", 1024),
    (Tag::MajorFault, field::BALLOON_MAJOR_FAULT, "stat-major-faults", 1),
    (Tag::MinorFault, field::BALLOON_MINOR_FAULT, "stat-minor-faults", 1),
    (Tag::Unused, field::BALLOON_UNUSED, "stat-free-memory", 1024),
    (Tag::Available, field::BALLOON_AVAILABLE, "stat-total-memory", 1024),
    (Tag::Usable, field::BALLOON_USABLE, "stat-available-memory", 1024),
    (Tag::LastUpdate, field::BALLOON_LAST_UPDATE, "", 1),
    (Tag::DiskCaches, field::BALLOON_DISK_CACHES, "stat-disk-caches", 1024),
    (Tag::HugetlbPgalloc, field::BALLOON_HUGETLB_PGALLOC, "stat-htlb-pgalloc", 1),
    (Tag::HugetlbPgfail, field::BALLOON_HUGETLB_PGFAIL, "stat-htlb-pgfail", 1),
];

/// How much memory the guest has, from the reply to `query-balloon`.
pub(crate) fn actual(reply: &Value) -> Option<u64> {
    reply["actual"].as_u64().map(|bytes| bytes / 1024)
}

/// What the guest reported, from the reply to `qom-get` of `guest-stats`. Empty before its first report.
pub(crate) fn words(reply: &Value) -> Words {
    let updated = reply["last-update"].as_u64().filter(|time| *time > 0);
    let number = |(tag, _, name, unit): &(Tag, &str, &str, u64)| {
        let value = match tag {
            Tag::LastUpdate => updated,
            // A guest that does not tell it leaves all bits set.
            _ => reply["stats"][*name].as_u64().filter(|value| *value != u64::MAX),
        };
        value.map(|value| (*tag, value / unit))
    };
    if updated.is_none() { Words::new() } else { ROWS.iter().filter_map(number).collect() }
}

/// The name of a statistic in bulk statistics.
pub(crate) fn bulk_name(tag: Tag) -> Option<&'static str> {
    ROWS.iter().find(|row| row.0 == tag).map(|row| row.1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::readings::recorded::reply;

    #[test]
    fn a_guest_tells_of_its_memory() {
        let words = words(&reply("guest-stats"));
        let value = |tag| words.iter().find(|word| word.0 == tag).map(|word| word.1);
        assert_eq!(value(Tag::Available), Some(94_504));
        assert_eq!(value(Tag::Unused), Some(57_272));
        assert_eq!(value(Tag::MinorFault), Some(2189));
        assert_eq!(value(Tag::LastUpdate), Some(1_795_231_290));
        assert_eq!(words.len(), 11);
        assert_eq!(actual(&reply("balloon")), Some(131_072));
    }

    #[test]
    fn what_a_guest_does_not_tell_is_left_out() {
        let stats = json!({ "stats": { "stat-free-memory": u64::MAX }, "last-update": 7 });
        assert_eq!(words(&stats), [(Tag::LastUpdate, 7)]);
        assert_eq!(words(&json!({ "stats": {}, "last-update": 0 })), []);
        assert_eq!(words(&Value::Null), []);
    }
}

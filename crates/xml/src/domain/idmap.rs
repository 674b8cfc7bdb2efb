// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<idmap>`: which users and groups of the host stand for those inside.

element! {
    /// `<idmap>`.
    pub struct IdMap {
        child uids: Vec<IdRange> = "uid",
        child gids: Vec<IdRange> = "gid"
    }
}

element! {
    /// One range.
    pub struct IdRange {
        required start: u32 = "start",
        required target: u32 = "target",
        required count: u32 = "count"
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What QEMU says of its I/O threads.

use serde_json::Value;

/// One I/O thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Iothread {
    /// Its number in the definition.
    pub(crate) id: u32,
    /// The host's thread.
    pub(crate) tid: u32,
    pub(crate) poll_max_ns: u64,
    pub(crate) poll_grow: u64,
    pub(crate) poll_shrink: u64,
}

/// Reads the reply to `query-iothreads`. Threads that are not of the definition are left out.
pub(crate) fn read(reply: &Value) -> Vec<Iothread> {
    let mut threads: Vec<Iothread> = reply
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let number = |name: &str| entry[name].as_u64().unwrap_or_default();
            Some(Iothread {
                id: entry["id"].as_str()?.strip_prefix("iothread")?.parse().ok()?,
                tid: u32::try_from(entry["thread-id"].as_u64()?).ok()?,
                poll_max_ns: number("poll-max-ns"),
                poll_grow: number("poll-grow"),
                poll_shrink: number("poll-shrink"),
            })
        })
        .collect();
    threads.sort_by_key(|thread| thread.id);
    threads
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::recorded::reply;

    #[test]
    fn threads_go_by_their_number() {
        let threads = read(&reply("iothreads"));
        assert_eq!(threads.len(), 1);
        assert_eq!((threads[0].id, threads[0].poll_max_ns), (1, 32_768));
    }
}

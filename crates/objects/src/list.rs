// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How lists are answered: by names, by number, or whole.

use std::sync::Arc;

use crate::kind::Kind;
use crate::object::Snapshot;

/// How many there are.
pub(crate) fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The first `max` names.
pub(crate) fn names<K: Kind>(list: &[Arc<Snapshot<K>>], max: i32) -> Vec<String> {
    let max = usize::try_from(max).unwrap_or_default();
    list.iter().map(|snapshot| snapshot.name.to_string()).take(max).collect()
}

/// The list, if the client wants it and not only the number of its elements, and that number.
pub(crate) fn whole<T>(need_results: i32, list: Vec<T>) -> (Vec<T>, u32) {
    let number = u32::try_from(list.len()).unwrap_or(u32::MAX);
    (if need_results == 0 { Vec::new() } else { list }, number)
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What methods are called.

use std::collections::{BTreeMap, BTreeSet};

use super::Kinship;
use crate::codegen::table::Call;

/// A name for each call: without what the object says already, and short where that is clear.
pub(super) fn method_names(
    kinship: &Kinship,
    calls: &[&Call],
    taken: &BTreeSet<String>,
) -> Vec<String> {
    let long: Vec<String> = calls
        .iter()
        .map(|call| {
            let rest = kinship.prefixes.iter().find_map(|prefix| {
                call.name
                    .strip_prefix(prefix)
                    .filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
            });
            snake(rest.unwrap_or(&call.name))
        })
        .collect();
    let short: Vec<String> = long.iter().map(|name| shortened(name)).collect();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for (long, short) in long.iter().zip(&short) {
        *count.entry(long).or_default() += 1;
        if short != long {
            *count.entry(short).or_default() += 1;
        }
    }
    let clear = |name: &str| count.get(name) == Some(&1) && !taken.contains(name);
    calls
        .iter()
        .zip(long.iter().zip(&short))
        .map(|(call, (long, short))| match () {
            () if clear(short) => short.clone(),
            () if clear(long) => long.clone(),
            () => snake(&call.name),
        })
        .collect()
}

/// Without the words that C needs and Rust does not.
fn shortened(name: &str) -> String {
    let name = name.strip_prefix("get_").or_else(|| name.strip_prefix("list_all_")).unwrap_or(name);
    let name = name.replace("node_get_", "node_").replace("_lookup_by_", "_by_");
    let name = name.replace("_get_xml_desc", "_xml");
    let name = if name == "xml_desc" { "xml".to_owned() } else { name };
    match name.strip_prefix("vol_") {
        Some(rest) => format!("volume_{rest}"),
        None => name,
    }
}

/// `StorageVolume` -> `storage_volume`, `NwFilter` -> `nw_filter`
pub(super) fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::{shortened, snake};

    #[test]
    fn methods_are_spelt_as_rust_spells_them() {
        assert_eq!(snake("GetXmlDesc"), "get_xml_desc");
        assert_eq!(snake("NwFilterBinding"), "nw_filter_binding");
        assert_eq!(shortened("list_all_domains"), "domains");
        assert_eq!(shortened("domain_lookup_by_name"), "domain_by_name");
    }
}

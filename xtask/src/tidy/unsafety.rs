// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where `unsafe` may stand: in the crates that touch the kernel or C, and nowhere else.

use super::{Finding, Source};

const ALLOWED: &[&str] = &["crates/host", "drivers/lxc", "drivers/xen", "programs/capi"];

/// Finds the keyword in code, not in comments or texts.
pub(crate) fn only_where_allowed(source: &Source) -> Vec<Finding> {
    if !source.is_rust() || ALLOWED.iter().any(|allowed| source.path.starts_with(allowed)) {
        return Vec::new();
    }
    source
        .lines()
        .filter(|(_, line)| uses_unsafe(line))
        .map(|(number, _)| {
            source.finding(number, format!("`unsafe` stands only in {}", ALLOWED.join(", ")))
        })
        .collect()
}

fn uses_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"]
        .iter()
        .any(|form| code.match_indices(form).any(|(at, _)| !code[..at].ends_with(['"', '`'])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source;

    #[test]
    fn the_keyword_is_found_in_code_only() {
        let block = concat!("let x = uns", "afe { y() };");
        assert_eq!(only_where_allowed(&source("crates/rpc/src/a.rs", block)).len(), 1);
        assert_eq!(only_where_allowed(&source("crates/host/src/a.rs", block)), []);
        assert_eq!(
            only_where_allowed(&source("crates/rpc/src/a.rs", "// unsafe { } is not here")),
            []
        );
        assert_eq!(
            only_where_allowed(&source("crates/rpc/src/a.rs", "#![forbid(unsafe_code)]")),
            []
        );
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How files are named: a module `foo` is `foo.rs`, its parts are in `foo/`.

use super::{Finding, Source};

/// A tab titled `mod.rs` says nothing; the file carries the module's name.
pub(crate) fn no_mod_rs(source: &Source) -> Vec<Finding> {
    if source.path.file_name().is_some_and(|name| name == "mod.rs") {
        return vec![
            source.finding(1, "`mod.rs`: name the file after the module, `foo.rs` beside `foo/`"),
        ];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source;

    #[test]
    fn only_mod_rs_is_refused() {
        assert_eq!(no_mod_rs(&source("crates/x/src/disk.rs", "")), []);
        assert_eq!(no_mod_rs(&source("crates/x/src/disk/mod.rs", "")).len(), 1);
    }
}

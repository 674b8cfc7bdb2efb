// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a file begins: the licence line everywhere, and in Rust a head that says what the file is for.

use super::{Finding, Source};

const LICENCE: &str = "SPDX-License-Identifier: Apache-2.0 OR MIT";

/// Sources, scripts and manifests carry the licence in their first line, or after the interpreter's.
pub(crate) fn licence_line(source: &Source) -> Vec<Finding> {
    let kind = source.path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let script = source.text.starts_with("#!/");
    let name = source.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !(script || matches!(kind, "rs" | "sh" | "py" | "toml") || name == "Makefile") {
        return Vec::new();
    }
    let line = source.text.lines().nth(usize::from(script)).unwrap_or_default();
    if line.ends_with(LICENCE) {
        return Vec::new();
    }
    vec![source.finding(1, format!("the first line is not `{LICENCE}`"))]
}

/// A Rust file says at its head what it is for.
pub(crate) fn module_head(source: &Source) -> Vec<Finding> {
    if !source.is_rust() || source.is_generated() {
        return Vec::new();
    }
    if source.text.lines().nth(1).is_some_and(|line| line.starts_with("//! ")) {
        return Vec::new();
    }
    vec![source.finding(2, "no `//!` head that says what the file is for")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source;

    #[test]
    fn the_licence_is_wanted_where_it_can_stand() {
        let line = format!("// {LICENCE}\n//! Head.\n");
        assert_eq!(licence_line(&source("a/b.rs", &line)), []);
        assert_eq!(licence_line(&source("a/b.rs", "//! Head.\n")).len(), 1);
        assert_eq!(licence_line(&source("a/run", &format!("#!/bin/sh\n# {LICENCE}\n"))), []);
        assert_eq!(licence_line(&source("a/run", "#!/bin/sh\necho\n")).len(), 1);
        assert_eq!(licence_line(&source("a/data.json", "{}")), []);
    }

    #[test]
    fn a_rust_file_without_a_head_is_found() {
        assert_eq!(module_head(&source("a.rs", "// licence\n//! What it is.\n")), []);
        assert_eq!(module_head(&source("a.rs", "// licence\n\nuse std::fs;\n")).len(), 1);
        assert_eq!(module_head(&source("generated/a.rs", "// licence\n")), []);
    }
}

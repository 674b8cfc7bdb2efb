// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which words have no place in the repository: leftovers, silenced lints, paths of one machine, trailing space.

use std::path::Path;

use super::{Finding, Source};

/// The rules' own words are put together here, so that this file does not find itself.
const LEFTOVERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("todo", "!("),
    concat!("unimpl", "emented!("),
];
const SILENCERS: &[&str] = &[concat!("#[al", "low("), concat!("#![al", "low(")];
const MACHINE_PATHS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/."), concat!("/ho", "me/")];

/// What is not finished is an issue, not a comment.
pub(crate) fn no_leftovers(source: &Source) -> Vec<Finding> {
    if !source.is_rust() {
        return Vec::new();
    }
    find(source, LEFTOVERS, |word| format!("`{word}`: finish it or open an issue"))
}

/// A lint is expected with its reason, so that the exception goes when its cause goes.
pub(crate) fn no_silenced_lints(source: &Source) -> Vec<Finding> {
    if !source.is_rust() {
        return Vec::new();
    }
    find(source, SILENCERS, |_| "use `#[expect(lint, reason = \"…\")]`".to_owned())
}

/// Paths of the machine where somebody worked mean nothing elsewhere.
pub(crate) fn no_machine_paths(source: &Source) -> Vec<Finding> {
    // Test data may hold any path a user may have.
    let data = source.path.components().any(|part| {
        matches!(part.as_os_str().to_str(), Some("golden" | "testdata" | "data" | "generated"))
    });
    if data
        || source
            .path
            .extension()
            .is_some_and(|kind| matches!(kind.to_str(), Some("xml" | "json" | "lock")))
    {
        return Vec::new();
    }
    find(source, MACHINE_PATHS, |word| format!("`{word}` is a path of one machine"))
        .into_iter()
        .filter(|_| !source.path.ends_with(Path::new("words.rs")))
        .collect()
}

/// Editors fight over it.
pub(crate) fn no_trailing_space(source: &Source) -> Vec<Finding> {
    let kind = source.path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if !matches!(kind, "rs" | "sh" | "py" | "toml" | "md") {
        return Vec::new();
    }
    source
        .lines()
        .filter(|(_, line)| line.ends_with([' ', '\t']))
        .map(|(number, _)| source.finding(number, "trailing space"))
        .collect()
}

fn find(source: &Source, words: &[&str], text: impl Fn(&str) -> String) -> Vec<Finding> {
    let found = |line: &str| words.iter().find(|word| line.contains(**word)).copied();
    source
        .lines()
        .filter_map(|(number, line)| found(line).map(|word| source.finding(number, text(word))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source;

    #[test]
    fn leftovers_and_silenced_lints_are_found() {
        let text =
            format!("fn a() {{\n    // {} later\n}}\n{}dead_code)]\n", LEFTOVERS[0], SILENCERS[0]);
        let source = source("crates/x/src/a.rs", &text);
        assert_eq!(no_leftovers(&source).len(), 1);
        assert_eq!(no_leftovers(&source)[0].line, 2);
        assert_eq!(no_silenced_lints(&source)[0].line, 4);
    }

    #[test]
    fn machine_paths_are_found_outside_data() {
        let text = format!("cp x {}y\n", MACHINE_PATHS[0]);
        assert_eq!(no_machine_paths(&source("tests/run.sh", &text)).len(), 1);
        assert_eq!(no_machine_paths(&source("drivers/x/golden/a.args", &text)), []);
    }

    #[test]
    fn trailing_space_is_found() {
        assert_eq!(no_trailing_space(&source("a.rs", "a \nb\n"))[0].line, 1);
        assert_eq!(no_trailing_space(&source("a.xml", "a \n")), []);
    }
}

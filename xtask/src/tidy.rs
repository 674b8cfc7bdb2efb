// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `cargo xtask tidy`: the rules of the house that a program can check.
//!
//! Each rule is one function in a file of its own, from what it looks at to its findings; this file only walks the
//! repository and prints. A rule never writes.

mod heads;
mod layers;
mod names;
mod size;
mod unsafety;
mod words;

use std::fmt;
use std::path::PathBuf;

use crate::{Result, workspace};

/// One file of the repository, as the rules see it.
pub(crate) struct Source {
    /// Relative to the repository's root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "rs")
    }

    /// Written by `cargo xtask codegen`: true to its table by `codegen --check`, free of the rules on form.
    fn is_generated(&self) -> bool {
        self.path.components().any(|part| part.as_os_str() == "generated")
    }

    /// The lines with their numbers from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    fn finding(&self, line: usize, text: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, text: text.into() }
    }
}

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: PathBuf,
    line: usize,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.text)
    }
}

/// A rule that looks at one file at a time.
type Rule = fn(&Source) -> Vec<Finding>;

const RULES: &[Rule] = &[
    heads::licence_line,
    heads::module_head,
    names::no_mod_rs,
    size::one_idea,
    unsafety::only_where_allowed,
    words::no_leftovers,
    words::no_silenced_lints,
    words::no_trailing_space,
    words::no_machine_paths,
];

/// Checks the whole repository.
pub(crate) fn run() -> Result {
    let mut findings = Vec::new();
    for path in workspace::files()? {
        let bytes = std::fs::read(workspace::root().join(&path))?;
        // Pictures and the like have no rules.
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let source = Source { path, text };
        findings.extend(RULES.iter().flat_map(|rule| rule(&source)));
    }
    findings.extend(layers::check(&layers::packages()?));
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => Err(format!("tidy: {count} to mend").into()),
    }
}

#[cfg(test)]
fn source(path: &str, text: &str) -> Source {
    Source { path: path.into(), text: text.to_owned() }
}

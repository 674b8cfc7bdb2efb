// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many passed, failed and were skipped, read from the lines that Rust's test programs print.

use std::fmt;

/// The sum over all steps.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
    reasons: Vec<String>,
    failures: Vec<String>,
    unsteady: Vec<String>,
}

impl Tally {
    pub(crate) fn pass(&mut self) {
        self.passed += 1;
    }

    pub(crate) fn fail(&mut self, name: String) {
        self.failed += 1;
        self.failures.push(name);
    }

    pub(crate) fn skip(&mut self, reason: String) {
        self.skipped += 1;
        self.reasons.push(reason);
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    pub(crate) fn all_well(&self) -> bool {
        self.failed == 0
    }

    /// What was skipped, each with its reason.
    pub(crate) fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// What failed, by name.
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Which tests failed at first, each with its reason.
    pub(crate) fn unsteady(&self) -> &[String] {
        &self.unsteady
    }

    /// Counts a summary line, remembers names from the line of a failed or ignored test; any other line is nothing.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(summary) = line.strip_prefix("test result: ") {
            self.passed += number_before(summary, "passed");
            self.failed += number_before(summary, "failed");
            self.skipped += number_before(summary, "ignored");
        } else if let Some(test) = line.strip_prefix("unsteady: ") {
            self.unsteady.push(test.to_owned());
        } else if let Some((name, outcome)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "))
        {
            match outcome.split_once(", ") {
                _ if outcome.starts_with("FAILED") => self.failures.push(name.trim().to_owned()),
                Some(("ignored", reason)) => {
                    self.reasons.push(format!("{} ({reason})", name.trim()))
                }
                _ if outcome == "ignored" => {
                    self.reasons.push(format!("{} (no reason given)", name.trim()))
                }
                _ => {}
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

fn number_before(summary: &str, word: &str) -> usize {
    let words: Vec<&str> = summary.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
    let at = words.iter().position(|&found| found == word).unwrap_or(0);
    at.checked_sub(1).and_then(|at| words[at].parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_summed_and_names_kept() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test a::b ... ok",
            "test a::c ... FAILED",
            "unsteady: a::b: waited 60s for nothing",
            "test a::d ... ignored, needs KVM",
            "test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            tally.read(line);
        }
        tally.pass();
        tally.skip("deny (not installed)".to_owned());
        assert_eq!(tally.to_string(), "42 passed, 1 failed, 2 skipped");
        assert_eq!(tally.failures(), ["a::c"]);
        assert_eq!(tally.reasons(), ["a::d (needs KVM)", "deny (not installed)"]);
        assert_eq!(tally.unsteady(), ["a::b: waited 60s for nothing"]);
        assert!(!tally.all_well());
    }
}

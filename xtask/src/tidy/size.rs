// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How long a file may be: so long that one can read it in one sitting.

use super::{Finding, Source};

const LIMIT: usize = 500;

/// A hand-written Rust file above the limit holds more than one idea.
pub(crate) fn one_idea(source: &Source) -> Vec<Finding> {
    let count = source.text.lines().count();
    if !source.is_rust() || source.is_generated() || count <= LIMIT {
        return Vec::new();
    }
    vec![source.finding(count, format!("{count} lines, at most {LIMIT}: split it by topic"))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source;

    #[test]
    fn the_limit_is_for_hand_written_rust() {
        let long = "//\n".repeat(LIMIT + 1);
        assert_eq!(one_idea(&source("a.rs", &long)).len(), 1);
        assert_eq!(one_idea(&source("a.rs", &long[3..])), []);
        assert_eq!(one_idea(&source("generated/a.rs", &long)), []);
        assert_eq!(one_idea(&source("a.json", &long)), []);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What counts as the same answer, and how often it was given.

use std::fmt;
use std::ops::AddAssign;

use crate::session::Command;

/// What two answers to one command are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    /// Stock does not support the call or its flags, ours answers it as its command's file says.
    More,
    /// Ours answers as its command's file says, and differs on purpose.
    Explained,
    Different,
}

/// What virsh says where stock does not support a call or its flags. Of a port that cannot be looked up it keeps to itself why.
const UNSUPPORTED: [&str; 3] = [
    "this function is not supported by the connection driver",
    "unsupported flags (",
    "failed to get network port",
];

impl Verdict {
    pub(crate) fn of(stock: &str, ours: &str, command: &Command) -> Self {
        if stock == ours {
            return Self::Same;
        }
        let stated = &command.stated;
        if stated.is_empty() || !stated.iter().all(|line| ours.contains(line.as_str())) {
            Self::Different
        } else if command.explained.is_some() {
            Self::Explained
        } else if UNSUPPORTED.iter().any(|text| stock.contains(text)) {
            Self::More
        } else {
            Self::Different
        }
    }
}

/// How many commands were answered alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Score {
    same: u32,
    more: u32,
    explained: u32,
    all: u32,
}

impl Score {
    pub(crate) fn add(&mut self, verdict: Verdict) {
        self.same += u32::from(verdict == Verdict::Same);
        self.more += u32::from(verdict == Verdict::More);
        self.explained += u32::from(verdict == Verdict::Explained);
        self.all += 1;
    }

    pub(crate) fn is_perfect(self) -> bool {
        self.same == self.all
    }

    /// Whether every difference is explained, and nothing that was well once is worse; `floor` has lines such as
    /// `life same: 130` and `life more: 2`.
    pub(crate) fn reaches(self, floor: &str, group: &str) -> bool {
        let least = |kind: &str| {
            let line =
                floor.lines().find_map(|line| line.strip_prefix(&format!("{group} {kind}: ")));
            line.map_or(Some(0), |number| number.parse::<u32>().ok())
        };
        self.same + self.more + self.explained == self.all
            && least("same").is_some_and(|least| self.same >= least)
            && least("more").is_some_and(|least| self.more >= least)
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.same += other.same;
        self.more += other.more;
        self.explained += other.explained;
        self.all += other.all;
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comparable = self.all - self.more;
        let percent = f64::from(self.same) * 100.0 / f64::from(comparable.max(1));
        write!(f, "{}/{comparable} ({percent:.1} %)", self.same)?;
        if self.more > 0 {
            write!(f, ", and {} that only ours answers", self.more)?;
        }
        let different = comparable - self.same;
        if different > 0 {
            write!(f, "; of {different} that differ {} are explained", self.explained)?;
        }
        Ok(())
    }
}

/// Commands whose answers are counters that the test drivers make of the time of day.
const COUNTERS: &[&str] = &["domblkstat", "domifstat", "domstats"];

/// The answer to a command without what no two runs have alike, and without the lines that only ours has: hints.
pub(crate) fn normalised(command: &str, answer: &str, place: &str) -> String {
    let counters = COUNTERS.iter().any(|counter| command.starts_with(counter));
    let kept: Vec<&str> = answer.lines().filter(|line| !line.starts_with("hint: ")).collect();
    let mut text = String::new();
    for word in kept.join("\n").replace(place, "{tmp}").split_inclusive(|c: char| !is_word(c)) {
        let (body, end) = match word.char_indices().last() {
            Some((at, last)) if !is_word(last) => word.split_at(at),
            _ => (word, ""),
        };
        let made_up = is_random_uuid(body)
            || is_recent_time(body)
            || (counters && body.len() > 8 && body.parse::<u64>().is_ok());
        text.push_str(if made_up { "*" } else { body });
        text.push_str(end);
    }
    // How C prints a text that there is not.
    without_functions(&text).replace(" name='(null)'", "")
}

/// Some errors name the C function that found them; ours name the API.
fn without_functions(text: &str) -> String {
    const NAMED: &str = " in function ";
    let mut parts = text.split(NAMED);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept.push_str(NAMED);
        kept.push('*');
        kept.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric()));
    }
    kept
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.')
}

/// A UUID of version 4; those in our files have `0000-4000-8000` in their middle.
fn is_random_uuid(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && parts.concat().chars().all(|c| c.is_ascii_hexdigit())
        && parts[2].starts_with('4')
        && parts[1] != "0000"
}

/// Seconds since the epoch (`1795000000`, `1795000000.1s`), a day (`2026-11-21`), an hour (`14:04:02`).
fn is_recent_time(word: &str) -> bool {
    let is_number = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
    let seconds = word.split('.').next().unwrap_or_default();
    (seconds.len() == 10 && is_number(seconds) && seconds.starts_with(['1', '2']))
        || (word.len() == 10 && word.starts_with("20") && word.split('-').all(is_number))
        || (word.len() == 8 && word.contains(':') && word.split(':').all(is_number))
}

/// Both answers, line by line where they are not the same.
pub(crate) fn difference(stock: &str, ours: &str) -> String {
    let (stock, ours): (Vec<_>, Vec<_>) = (stock.lines().collect(), ours.lines().collect());
    let only = |lines: &[&str], others: &[&str], mark: char| -> String {
        lines
            .iter()
            .filter(|line| !others.contains(line))
            .map(|line| format!("{mark} {line}\n"))
            .collect()
    };
    let text = only(&stock, &ours, '-') + &only(&ours, &stock, '+');
    if text.is_empty() { "  the same lines in another order\n".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_stock_has_not_is_no_difference() {
        let none = "error: this function is not supported by the connection driver: virX";
        let command = |stated: &[&str], explained: Option<&str>| Command {
            line: "x".to_owned(),
            stated: stated.iter().map(|&text| text.to_owned()).collect(),
            explained: explained.map(str::to_owned),
        };
        let named = command(&["Name"], None);
        assert_eq!(Verdict::of(none, " Name\n------", &named), Verdict::More);
        assert_eq!(Verdict::of(none, " Name\n------", &command(&[], None)), Verdict::Different);
        assert_eq!(Verdict::of(none, "error: no", &named), Verdict::Different);
        assert_eq!(Verdict::of("a", "Name", &named), Verdict::Different);
        let explained = command(&["Name"], Some("a row"));
        assert_eq!(Verdict::of("a", "Name", &explained), Verdict::Explained);
        assert_eq!(Verdict::of("a", "b", &explained), Verdict::Different);
        assert_eq!(Verdict::of("a", "b", &command(&[], Some("a row"))), Verdict::Different);
    }

    #[test]
    fn floors_only_rise() {
        let score = Score { same: 7, more: 1, explained: 1, all: 9 };
        assert!(score.reaches("a same: 7\na more: 1\n", "a"));
        assert!(!score.reaches("a same: 8\n", "a"));
        assert!(!score.reaches("a more: 2\n", "a"));
        assert!(score.reaches("aa same: 8\n", "a"));
        assert!(!score.reaches("a same: seven\n", "a"));
        assert!(!Score { all: 10, ..score }.reaches("", "a"));
    }

    #[test]
    fn only_what_was_made_up_is_normalised() {
        let text = "id 0e1c9fb6-7d3a-4c25-9a65-3c2ba2d0a111 in /x/y\nhint: try\nat 1795000000 2026-11-21 14:04:02";
        assert_eq!(normalised("x", text, "/x"), "id * in {tmp}/y\nat * * *");
        let text = "unsupported flags (0x2) in function testDomainReset\nmore";
        assert_eq!(normalised("x", text, "/x"), "unsupported flags (0x2) in function *\nmore");
        let kept = "4c1f2a33-0000-4000-8000-00000000000a 2097152";
        assert_eq!(normalised("x", kept, "/x"), kept);
    }
}

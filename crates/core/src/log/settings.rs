// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The texts that set the log: `3:rpc 1:qemu` and `1:file:/var/log/x.log 3:syslog:virtqemud`.

use std::fmt;
use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorCode, Result};

use super::Level;

/// Everything that can be set about the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The lowest level that is logged where no filter says otherwise.
    pub level: Level,
    /// Exceptions from `level`; the first that matches holds.
    pub filters: Vec<Filter>,
    /// Where lines go.
    pub outputs: Vec<Output>,
    /// The default name for syslog and the journal.
    pub ident: String,
}

/// `LEVEL:PATTERN`: what is logged of the categories that have such a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The lowest level that is logged.
    pub level: Level,
    /// A part of the category, in which `*` stands for any text and `?` for any character.
    pub part: String,
}

/// `LEVEL:TARGET`: an output and the lowest level it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The lowest level that goes there.
    pub level: Level,
    /// Where it goes.
    pub target: Target,
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard error.
    Stderr,
    /// Appended to a file.
    File(PathBuf),
    /// The local syslog, under this name.
    Syslog(String),
    /// systemd's journal.
    Journald,
}

impl Settings {
    /// Warnings and errors to standard error.
    #[must_use]
    pub fn new(ident: &str) -> Self {
        Self {
            level: Level::Warning,
            filters: Vec::new(),
            outputs: vec![Output { level: Level::Debug, target: Target::Stderr }],
            ident: ident.to_owned(),
        }
    }

    /// The lowest level logged of `category`.
    #[must_use]
    pub fn threshold(&self, category: &str) -> Level {
        self.filters
            .iter()
            .find(|filter| has_part(category, &filter.part))
            .map_or(self.level, |filter| filter.level)
    }
}

impl Filter {
    /// Reads filters separated by blanks.
    ///
    /// # Errors
    /// `VIR_ERR_INVALID_ARG` for one that is malformed.
    pub fn parse_all(text: &str) -> Result<Vec<Self>> {
        text.split_whitespace().map(Self::parse).collect()
    }

    fn parse(text: &str) -> Result<Self> {
        let wrong = |why| wrong(why, "a filter looks like '1:qemu' or '3:rpc'");
        let (level, rest) = text
            .split_once(':')
            .ok_or_else(|| wrong(format!("Malformed format for filter '{text}'")))?;
        let level = number(level)
            .ok_or_else(|| wrong(format!("Invalid priority '{level}' for filter '{text}'")))?;
        // What stands after a further ':' has no meaning; '+' once asked for stack traces.
        let part = rest.split(':').next().unwrap_or_default();
        let part = part.strip_prefix('+').unwrap_or(part);
        if part.is_empty() {
            return Err(wrong(format!("Invalid match string '{part}'")));
        }
        // Any part will do, so stars around it change nothing; they are there when it is shown.
        Ok(Self { level, part: part.trim_matches('*').to_owned() })
    }
}

impl Output {
    /// Reads outputs separated by blanks. Of those with one target the last holds.
    ///
    /// # Errors
    /// `VIR_ERR_INVALID_ARG` for one that is malformed.
    pub fn parse_all(text: &str) -> Result<Vec<Self>> {
        let mut outputs = Vec::<Self>::new();
        for word in text.split_whitespace() {
            let output = Self::parse(word)?;
            outputs.retain(|other| other.target != output.target);
            outputs.push(output);
        }
        Ok(outputs)
    }

    fn parse(text: &str) -> Result<Self> {
        let hint = "an output looks like '1:stderr', '1:file:/var/log/x.log', '3:syslog:name' \
                    or '2:journald'";
        let wrong = |why| wrong(why, hint);
        let malformed = || wrong(format!("Malformed format for log output '{text}'"));
        let (level, target) = text.split_once(':').ok_or_else(malformed)?;
        let level = number(level).ok_or_else(|| {
            wrong(format!("Invalid log priority '{level}' for log output '{text}'"))
        })?;
        let (kind, rest) = match target.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest).filter(|rest| !rest.is_empty())),
            None => (target, None),
        };
        let target = match (kind, rest) {
            ("stderr", None) => Target::Stderr,
            ("journald", None) => Target::Journald,
            ("syslog", Some(name)) => Target::Syslog(name.to_owned()),
            ("file", Some(path)) if Path::new(path).is_absolute() => Target::File(path.into()),
            ("file", Some(_)) => {
                let text = format!("Log output '{text}' needs the absolute path of a file");
                return Err(wrong(text));
            }
            ("stderr" | "journald" | "syslog" | "file", _) => {
                return Err(wrong(format!(
                    "Log output '{text}' does not meet the format requirements for destination \
                     type '{kind}'"
                )));
            }
            _ => {
                let text = format!("Invalid log destination '{kind}' for log output '{text}'");
                return Err(wrong(text));
            }
        };
        Ok(Self { level, target })
    }
}

fn number(text: &str) -> Option<Level> {
    text.starts_with(|c: char| c.is_ascii_digit()).then(|| Level::parse(text)).flatten()
}

fn wrong(why: String, hint: &'static str) -> Error {
    Error::new(ErrorCode::InvalidArg, why).hint(hint)
}

/// Whether some part of `text` matches `pattern`, in which `*` stands for any text, `?` for any
/// character. Takes no longer than the product of both lengths.
fn has_part(text: &str, pattern: &str) -> bool {
    let text = text.as_bytes();
    // The places in `text` at which what was looked at of the pattern may end.
    let mut ends = vec![true; text.len() + 1];
    for wanted in pattern.bytes() {
        let mut next = vec![false; text.len() + 1];
        if wanted == b'*' {
            let first = ends.iter().position(|end| *end).unwrap_or(ends.len());
            next[first..].fill(true);
        } else {
            for (at, found) in text.iter().enumerate() {
                next[at + 1] = ends[at] && (wanted == b'?' || wanted == *found);
            }
        }
        ends = next;
    }
    ends.contains(&true)
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:*{}*", self.level as u8, self.part)
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.level as u8)?;
        match &self.target {
            Target::Stderr => f.write_str("stderr"),
            Target::File(path) => write!(f, "file:{}", path.display()),
            Target::Syslog(name) => write!(f, "syslog:{name}"),
            Target::Journald => f.write_str("journald"),
        }
    }
}

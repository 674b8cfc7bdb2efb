// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The texts that set the log: `3:rpc 1:qemu` and `1:file:/var/log/x.log 3:syslog:virtqemud`.

use std::fmt;
use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

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

/// `LEVEL:TEXT`: what is logged of the categories that contain the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The lowest level that is logged.
    pub level: Level,
    /// A part of the category.
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
            .find(|filter| category.contains(&filter.part))
            .map_or(self.level, |filter| filter.level)
    }
}

impl Filter {
    /// Reads filters separated by blanks.
    pub fn parse_all(text: &str) -> Result<Vec<Self>> {
        text.split_whitespace().map(Self::parse).collect()
    }

    fn parse(text: &str) -> Result<Self> {
        let wrong = |why| wrong("filter", text, why, "a filter looks like '1:qemu' or '3:rpc'");
        let (level, part) = text.split_once(':').ok_or_else(|| wrong("the ':' is missing"))?;
        let level = number(level).ok_or_else(|| wrong(BAD_LEVEL))?;
        // '+' once asked for stack traces; it is still accepted in front of the category.
        let part = part.strip_prefix('+').unwrap_or(part);
        if part.is_empty() {
            return Err(wrong("the category is missing"));
        }
        Ok(Self { level, part: part.to_owned() })
    }
}

impl Output {
    /// Reads outputs separated by blanks.
    pub fn parse_all(text: &str) -> Result<Vec<Self>> {
        text.split_whitespace().map(Self::parse).collect()
    }

    fn parse(text: &str) -> Result<Self> {
        let hint = "an output looks like '1:stderr', '1:file:/var/log/x.log', '3:syslog:name' \
                    or '2:journald'";
        let wrong = |why| wrong("output", text, why, hint);
        let (level, target) = text.split_once(':').ok_or_else(|| wrong("the ':' is missing"))?;
        let level = number(level).ok_or_else(|| wrong(BAD_LEVEL))?;
        let target = match target.split_once(':') {
            None if target == "stderr" => Target::Stderr,
            None if target == "journald" => Target::Journald,
            Some(("syslog", name)) if !name.is_empty() => Target::Syslog(name.to_owned()),
            Some(("file", path)) if Path::new(path).is_absolute() => Target::File(path.into()),
            Some(("file", _)) => return Err(wrong("the file must be given as an absolute path")),
            None if matches!(target, "file" | "syslog") => {
                return Err(wrong("the file or name after the second ':' is missing"));
            }
            _ => return Err(wrong("there is no such destination")),
        };
        Ok(Self { level, target })
    }
}

const BAD_LEVEL: &str = "the level must be 1 (debug), 2 (info), 3 (warning) or 4 (error)";

fn number(text: &str) -> Option<Level> {
    text.starts_with(|c: char| c.is_ascii_digit()).then(|| Level::parse(text)).flatten()
}

fn wrong(kind: &str, text: &str, why: &str, hint: &'static str) -> Error {
    Error::new(ErrorCode::InvalidArg, format!("log {kind} '{text}': {why}"))
        .in_domain(ErrorDomain::Conf)
        .hint(hint)
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.level as u8, self.part)
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

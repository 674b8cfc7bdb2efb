// SPDX-License-Identifier: Apache-2.0 OR MIT
//! libvirt's `.conf` files: `name = value`, comments, strings, integers, nested lists.
//!
//! Every error names file and line; a value of the wrong kind says what was expected. The order of
//! the settings and the comments before them survive a parse and a format.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

mod format;
pub mod manual;
mod parse;

/// A larger file is certainly not configuration (libvirt's own limit).
const MAX_SIZE: u64 = 10 * 1024 * 1024;

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A decimal number.
    Number(i64),
    /// Text in any of the three kinds of quotes.
    Text(String),
    /// `[ … ]`.
    List(Vec<Value>),
}

/// One `name = value` of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The name; it may occur again, then the first one holds.
    pub name: String,
    /// The value.
    pub value: Value,
    /// The line it starts on, from 1.
    pub line: usize,
    /// What follows `#` on the same line.
    pub comment: Option<String>,
}

/// What a file consists of, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A line that is only a comment, without its `#`.
    Comment(String),
    /// A setting.
    Setting(Setting),
}

/// A parsed configuration file.
#[derive(Debug, Clone, Default)]
pub struct Conf {
    file: PathBuf,
    entries: Vec<Entry>,
}

impl Conf {
    /// Reads `file`; `None` if there is none. Blocks.
    pub fn load(file: &Path) -> Result<Option<Self>> {
        let explain = |cause| {
            Error::system(format!("cannot read configuration '{}'", file.display()), &cause)
        };
        let size = match fs::metadata(file) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(explain(error)),
        };
        if size > MAX_SIZE {
            let text = format!("{}: larger than {MAX_SIZE} bytes", file.display());
            return Err(Error::new(ErrorCode::ConfSyntax, text).in_domain(ErrorDomain::Conf));
        }
        let bytes = fs::read(file).map_err(explain)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count();
            wrong(file, line, "not UTF-8 text")
        })?;
        Self::parse(file, &text).map(Some)
    }

    /// Parses `text`; `file` is the name that errors show.
    pub fn parse(file: &Path, text: &str) -> Result<Self> {
        let entries =
            parse::entries(text).map_err(|error| wrong(file, error.line, error.expected))?;
        Ok(Self { file: file.to_owned(), entries })
    }

    /// The file's name as it was given.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Comments and settings in their order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The settings in their order.
    pub fn settings(&self) -> impl Iterator<Item = &Setting> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Setting(setting) => Some(setting),
            Entry::Comment(_) => None,
        })
    }

    /// The setting that holds for `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.settings().find(|setting| setting.name == name)
    }

    /// A text, if set.
    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        self.typed(name, "a string", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A list of texts, if set; a single text counts as a list of one.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<&str>>> {
        self.typed(name, "a list of strings", |value| match value {
            Value::Text(text) => Some(vec![text.as_str()]),
            Value::List(values) => values
                .iter()
                .map(|value| match value {
                    Value::Text(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect(),
            Value::Number(_) => None,
        })
    }

    /// A number that fits `T`, if set.
    pub fn number<T: TryFrom<i64>>(&self, name: &str) -> Result<Option<T>> {
        self.typed(name, "a number in its range", |value| match value {
            Value::Number(number) => T::try_from(*number).ok(),
            _ => None,
        })
    }

    /// 0 or 1, if set.
    pub fn switch(&self, name: &str) -> Result<Option<bool>> {
        self.typed(name, "0 or 1", |value| match value {
            Value::Number(0) => Some(false),
            Value::Number(1) => Some(true),
            _ => None,
        })
    }

    /// The setting `name` as `read` understands it; otherwise says that `expected` was meant.
    pub fn typed<'a, T>(
        &'a self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.get(name) {
            None => Ok(None),
            Some(setting) => read(&setting.value).map(Some).ok_or_else(|| {
                self.refuse(setting, format!("expected {expected}, found {}", setting.value))
            }),
        }
    }

    /// An error about `setting`: `file:line: 'name': why`.
    #[must_use]
    pub fn refuse(&self, setting: &Setting, why: impl fmt::Display) -> Error {
        wrong(&self.file, setting.line, format_args!("'{}': {why}", setting.name))
    }

    /// The settings whose names are not in `known`: misspelt, or of another program.
    pub fn unknown<'a>(&'a self, known: &'a [&str]) -> impl Iterator<Item = &'a Setting> {
        self.settings().filter(move |setting| !known.contains(&setting.name.as_str()))
    }
}

fn wrong(file: &Path, line: usize, why: impl fmt::Display) -> Error {
    Error::new(ErrorCode::ConfSyntax, format!("{}:{line}: {why}", file.display()))
        .in_domain(ErrorDomain::Conf)
}

#[cfg(test)]
mod tests;

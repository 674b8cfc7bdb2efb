// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The table's text, cut into entries and words.
//!
//! An entry starts in the first column and goes on over the indented lines below it; `#` starts a
//! comment. A word is a name, a number, a version (`0.8.2`), a quoted text or one sign.

use std::fmt;

/// Where a word stands, for messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The words of one entry, read from the front.
pub(super) struct Entry {
    words: Vec<(usize, String)>,
    next: usize,
    file: String,
}

/// Cuts a file into its entries.
pub(super) fn entries(file: &str, text: &str) -> Result<Vec<Entry>, String> {
    let mut entries: Vec<Entry> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let words = words(line).map_err(|what| format!("{file}:{line_number}: {what}"))?;
        if words.is_empty() {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            entries.push(Entry { words: Vec::new(), next: 0, file: file.to_owned() });
        }
        let Some(entry) = entries.last_mut() else {
            return Err(format!("{file}:{line_number}: an entry starts in the first column"));
        };
        entry.words.extend(words.into_iter().map(|word| (line_number, word)));
    }
    Ok(entries)
}

fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first == '#' {
            break;
        } else if first == '"' {
            let end = rest[1..].find('"').ok_or("a quoted text does not end on its line")?;
            end + 2
        } else if rest.starts_with("->") {
            2
        } else if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if "(),:=<>[]?|".contains(first) {
            1
        } else {
            return Err(format!("unexpected '{first}'"));
        };
        words.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

impl Entry {
    pub(super) fn place(&self) -> Place {
        let at = self.words.get(self.next).or(self.words.last());
        Place { file: self.file.clone(), line: at.map_or(0, |word| word.0) }
    }

    pub(super) fn peek(&self) -> Option<&str> {
        self.words.get(self.next).map(|word| word.1.as_str())
    }

    pub(super) fn error<T>(&self, what: impl fmt::Display) -> Result<T, String> {
        Err(format!("{}: {what}", self.place()))
    }

    /// The next word, whatever it is.
    pub(super) fn word(&mut self, wanted: &str) -> Result<String, String> {
        match self.words.get(self.next) {
            Some((_, word)) => {
                self.next += 1;
                Ok(word.clone())
            }
            None => self.error(format!("{wanted} is missing")),
        }
    }

    /// Steps over `sign` if it is next.
    pub(super) fn skip(&mut self, sign: &str) -> bool {
        let found = self.peek() == Some(sign);
        if found {
            self.next += 1;
        }
        found
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.skip(sign) {
            return Ok(());
        }
        let found = self.peek().unwrap_or("the end of the entry").to_owned();
        self.error(format!("expected '{sign}', not '{found}'"))
    }

    pub(super) fn name(&mut self, wanted: &str) -> Result<String, String> {
        let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
        match self.peek() {
            Some(word) if word.starts_with(starts) => self.word(wanted),
            Some(word) => {
                let word = word.to_owned();
                self.error(format!("expected {wanted}, not '{word}'"))
            }
            None => self.error(format!("{wanted} is missing")),
        }
    }

    pub(super) fn number(&mut self, wanted: &str) -> Result<i64, String> {
        let Some(word) = self.peek().map(str::to_owned) else {
            return self.error(format!("{wanted} is missing"));
        };
        let number = match word.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16),
            None => word.parse(),
        };
        match number {
            Ok(number) => {
                self.next += 1;
                Ok(number)
            }
            Err(_) => self.error(format!("expected {wanted} (a number), not '{word}'")),
        }
    }

    pub(super) fn text(&mut self, wanted: &str) -> Result<String, String> {
        let word = self.word(wanted)?;
        match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
            Some(text) => Ok(text.to_owned()),
            None => self.error(format!("expected {wanted} in double quotes, not '{word}'")),
        }
    }
}

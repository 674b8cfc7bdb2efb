// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Text to entries. Bounded: lists nest at most [`DEPTH`] deep; everything else is one pass.

use super::{Entry, Setting, Value};

/// How deep lists may nest.
const DEPTH: usize = 16;

/// Where the text stopped to make sense, and what should have stood there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wrong {
    pub(super) line: usize,
    pub(super) expected: &'static str,
}

type Parsed<T> = Result<T, Wrong>;

pub(super) fn entries(text: &str) -> Parsed<Vec<Entry>> {
    let mut cursor = Cursor { rest: text, line: 1 };
    let mut entries = Vec::new();
    loop {
        cursor.skip_blank_lines();
        match cursor.peek() {
            None => return Ok(entries),
            Some('#') => entries.push(Entry::Comment(cursor.comment())),
            Some(_) => entries.push(Entry::Setting(cursor.setting()?)),
        }
    }
}

struct Cursor<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn wrong(&self, expected: &'static str) -> Wrong {
        Wrong { line: self.line, expected }
    }

    /// Takes the next `length` bytes, counting lines.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        self.take(self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len()))
    }

    fn take_if(&mut self, wanted: &str) -> bool {
        let there = self.rest.starts_with(wanted);
        if there {
            self.take(wanted.len());
        }
        there
    }

    fn skip_blank_lines(&mut self) {
        self.take_while(|c| c.is_ascii_whitespace());
    }

    fn skip_blanks(&mut self) {
        self.take_while(|c| matches!(c, ' ' | '\t'));
    }

    /// Between the members of a list, line ends and comments are as good as blanks.
    fn skip_between_members(&mut self) {
        self.skip_blank_lines();
        while self.peek() == Some('#') {
            self.comment();
            self.skip_blank_lines();
        }
    }

    fn comment(&mut self) -> String {
        self.take(1);
        self.take_while(|c| c != '\n').trim_end_matches('\r').to_owned()
    }

    fn setting(&mut self) -> Parsed<Setting> {
        let line = self.line;
        if !self.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
            return Err(self.wrong("expecting a name"));
        }
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned();
        self.skip_blanks();
        if !self.take_if("=") {
            return Err(self.wrong("expecting an assignment"));
        }
        self.skip_blanks();
        let value = self.value(DEPTH)?;
        self.skip_blanks();
        let comment = match self.peek() {
            Some('#') => Some(self.comment()),
            None | Some('\n' | '\r') => None,
            Some(_) => return Err(self.wrong("expecting a separator")),
        };
        Ok(Setting { name, value, line, comment })
    }

    fn value(&mut self, depth: usize) -> Parsed<Value> {
        match self.peek() {
            Some('"' | '\'') => self.text().map(Value::Text),
            Some('[') => self.list(depth).map(Value::List),
            Some(c) if c.is_ascii_digit() || c == '-' => self.number().map(Value::Number),
            _ => Err(self.wrong("expecting a value")),
        }
    }

    fn text(&mut self) -> Parsed<String> {
        let unended = self.wrong("unterminated string");
        let end = if self.take_if(r#"""""#) {
            r#"""""#
        } else if self.take_if("\"") {
            "\""
        } else {
            self.take(1);
            "'"
        };
        let length = self.rest.find(end).ok_or(unended)?;
        if end.len() == 1 && self.rest[..length].contains('\n') {
            return Err(unended);
        }
        let text = self.take(length).to_owned();
        self.take(end.len());
        Ok(text)
    }

    fn list(&mut self, depth: usize) -> Parsed<Vec<Value>> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.wrong("lists are nested too deeply"));
        };
        self.take(1);
        let mut values = Vec::new();
        loop {
            self.skip_between_members();
            if self.take_if("]") {
                return Ok(values);
            }
            let open = self.peek().is_some();
            if open && !values.is_empty() {
                if !self.take_if(",") {
                    return Err(self.wrong("expecting a separator in list"));
                }
                self.skip_between_members();
                if self.take_if("]") {
                    return Ok(values);
                }
            }
            if self.peek().is_none() {
                return Err(self.wrong("list is not closed with ]"));
            }
            values.push(self.value(depth)?);
        }
    }

    fn number(&mut self) -> Parsed<i64> {
        let sign = if self.take_if("-") { "-" } else { "" };
        let digits = self.take_while(|c| c.is_ascii_digit());
        format!("{sign}{digits}").parse().map_err(|_| self.wrong("unterminated number"))
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Writes XML as libvirt writes it: single quotes, two blanks per level, `<a/>` when empty.
//!
//! Invariant: every value passes [`Escaped`]; tags and attribute names come from our own declarations.

use std::fmt::{self, Write as _};

use bitflags::bitflags;

use crate::value::Value;

bitflags! {
    /// What of an object is to be written.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct FormatFlags: u32 {
        /// With passwords (`VIR_DOMAIN_XML_SECURE`).
        const SECURE = 1;
        /// As a definition: without what only a running guest has.
        const INACTIVE = 2;
        /// As the running guest's status file, with what libvirt keeps for itself.
        const STATUS = 16;
    }
}

/// The text so far.
#[derive(Debug)]
pub struct Writer {
    text: String,
    depth: usize,
    state: State,
    flags: FormatFlags,
    /// Whether the next element is never written `<tag/>`.
    block: bool,
}

/// What was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// `<tag a='b'` without its `>`.
    Tag,
    /// The same, of an element that is never written `<tag/>`.
    BlockTag,
    /// `<tag>text`.
    Text,
    /// A whole line.
    Line,
}

impl Writer {
    #[must_use]
    pub fn new(flags: FormatFlags) -> Self {
        Self {
            text: String::with_capacity(4096),
            depth: 0,
            state: State::Line,
            flags,
            block: false,
        }
    }

    #[must_use]
    pub fn flags(&self) -> FormatFlags {
        self.flags
    }

    /// Whether a definition is written.
    #[must_use]
    pub fn inactive(&self) -> bool {
        self.flags.contains(FormatFlags::INACTIVE)
    }

    /// Whether a status file is written.
    #[must_use]
    pub fn in_status(&self) -> bool {
        self.flags.contains(FormatFlags::STATUS)
    }

    #[must_use]
    pub fn secure(&self) -> bool {
        self.flags.contains(FormatFlags::SECURE)
    }

    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    /// Opens an element.
    pub fn start(&mut self, tag: &str) {
        self.close_tag();
        self.indent();
        self.text.push('<');
        self.text.push_str(tag);
        self.depth += 1;
        self.state = if std::mem::take(&mut self.block) { State::BlockTag } else { State::Tag };
    }

    /// The element that is opened next gets an end tag even if it is empty.
    pub fn as_block(&mut self) {
        self.block = true;
    }

    /// Closes the element that is open.
    pub fn end(&mut self, tag: &str) {
        self.depth -= 1;
        match self.state {
            State::Tag => self.text.push_str("/>\n"),
            State::Text => self.closing(tag),
            State::BlockTag => {
                self.text.push_str(">\n");
                self.indent();
                self.closing(tag);
            }
            State::Line => {
                self.indent();
                self.closing(tag);
            }
        }
        self.state = State::Line;
    }

    fn closing(&mut self, tag: &str) {
        self.text.push_str("</");
        self.text.push_str(tag);
        self.text.push_str(">\n");
    }

    /// Ends the start tag if it is still open: the element has content, be it empty.
    pub fn content(&mut self) {
        self.close_tag();
    }

    fn close_tag(&mut self) {
        if matches!(self.state, State::Tag | State::BlockTag) {
            self.text.push_str(">\n");
            self.state = State::Line;
        }
    }

    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
    }

    /// An attribute of the element whose tag is open.
    pub fn attr<T: Value>(&mut self, name: &str, value: &T) {
        debug_assert!(
            matches!(self.state, State::Tag | State::BlockTag),
            "attribute {name} after content"
        );
        self.text.push(' ');
        self.text.push_str(name);
        self.text.push_str("='");
        value.write(&mut Escaped(&mut self.text));
        self.text.push('\'');
    }

    /// An attribute with a fixed or formatted text.
    pub fn attr_text(&mut self, name: &str, value: impl fmt::Display) {
        self.text.push(' ');
        self.text.push_str(name);
        self.text.push_str("='");
        Escaped(&mut self.text).put(value);
        self.text.push('\'');
    }

    /// An attribute, if there is a value.
    pub fn opt<T: Value>(&mut self, name: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.attr(name, value);
        }
    }

    /// The text of the element whose tag is open; nothing for an empty text.
    pub fn text<T: Value>(&mut self, value: &T) {
        let before = self.text.len();
        self.text.push('>');
        value.write(&mut Escaped(&mut self.text));
        if self.text.len() == before + 1 {
            self.text.truncate(before);
        } else {
            self.state = State::Text;
        }
    }

    /// The text of the element whose tag is open, which gets an end tag on the same line even if it is empty.
    pub fn whole_text<T: Value>(&mut self, value: &T) {
        self.text.push('>');
        value.write(&mut Escaped(&mut self.text));
        self.state = State::Text;
    }

    /// `<tag>value</tag>`.
    pub fn leaf<T: Value>(&mut self, tag: &str, value: &T) {
        self.start(tag);
        self.text(value);
        self.end(tag);
    }

    /// `<tag/>`.
    pub fn empty(&mut self, tag: &str) {
        self.start(tag);
        self.end(tag);
    }

    /// An empty line.
    pub fn blank_line(&mut self) {
        self.close_tag();
        self.text.push('\n');
    }

    /// How many elements are open.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Lines that are XML already; all but the first keep their own indentation.
    pub fn raw(&mut self, lines: &str) {
        self.close_tag();
        self.indent();
        self.text.push_str(lines);
        self.text.push('\n');
    }
}

/// Text on its way into the document.
pub struct Escaped<'a>(&'a mut String);

impl Escaped<'_> {
    /// Writes anything that can be shown.
    pub fn put(&mut self, value: impl fmt::Display) {
        // Writing to a String does not fail.
        let _ = write!(self, "{value}");
    }
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(special) {
            self.0.push_str(&rest[..at]);
            self.0.push_str(match rest.as_bytes()[at] {
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'&' => "&amp;",
                b'"' => "&quot;",
                b'\'' => "&apos;",
                _ => "",
            });
            rest = &rest[at + 1..];
        }
        self.0.push_str(rest);
        Ok(())
    }
}

/// What cannot stand as it is: markup, and control characters that XML forbids.
fn special(c: char) -> bool {
    matches!(c, '<' | '>' | '&' | '"' | '\'')
        || (c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r' | '\x7f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_as_libvirt_does() {
        let mut out = Writer::new(FormatFlags::empty());
        out.start("a");
        out.attr_text("x", "it's <&>");
        out.leaf("b", &"te\u{1}xt".to_owned());
        out.leaf("c", &String::new());
        out.empty("d");
        out.end("a");
        assert_eq!(
            out.finish(),
            "<a x='it&apos;s &lt;&amp;&gt;'>\n  <b>text</b>\n  <c/>\n  <d/>\n</a>\n"
        );
    }
}

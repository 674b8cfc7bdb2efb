// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is said of a text that is no XML, in libvirt's form, and of the commonest mistakes in libxml2's words:
//! ```text
//! at line 4: Opening and ending tag mismatch: target line 3 and pool
//! </pool>
//! -------^
//! ```

use virtus_api::{Error, ErrorCode, ErrorDomain};

use crate::limits::Refused;

/// The longest piece of a line that is shown.
const WIDTH: usize = 80;

/// The error for a text that is refused before it is parsed.
pub(crate) fn refused(domain: ErrorDomain, what: &str, text: &str, why: Refused) -> Error {
    at(domain, what, text, why.offset, why.why)
}

/// The error for a text that the parser does not understand.
pub(crate) fn error(
    domain: ErrorDomain,
    what: &str,
    text: &str,
    cause: &roxmltree::Error,
) -> Error {
    use roxmltree::Error as Cause;
    let place = cause.pos();
    let offset = offset(text, place.row, place.col);
    // Where the parser stood when it knew.
    let past = |end: &str| offset + text[offset..].find(end).map_or(0, |at| at + end.len());
    let (offset, why) = match cause {
        Cause::NoRootNode if text.is_empty() => (0, "Document is empty".to_owned()),
        Cause::NoRootNode | Cause::UnclosedRootNode | Cause::UnexpectedEndOfStream => {
            (text.len(), unfinished(text))
        }
        Cause::InvalidString(..) if offset == text.len() => (offset, unfinished(text)),
        Cause::UnknownToken(_) if !Outline::of(&text[..offset]).open.is_empty() => {
            (past("<"), "StartTag: invalid element name".to_owned())
        }
        Cause::UnknownToken(_) if Outline::of(&text[..offset]).has_root => {
            (offset, "Extra content at the end of the document".to_owned())
        }
        Cause::UnknownToken(_) => (offset, START.to_owned()),
        Cause::UnexpectedCloseTag(_, actual, _) => {
            let outline = Outline::of(&text[..offset]);
            let (open, line) = outline.open.last().copied().unwrap_or_default();
            let why = format!("Opening and ending tag mismatch: {open} line {line} and {actual}");
            (past(">"), why)
        }
        Cause::UnknownEntityReference(name, _) => {
            (past(";"), format!("Entity '{name}' not defined"))
        }
        Cause::DuplicatedAttribute(name, _) => (offset, format!("Attribute {name} redefined")),
        other => {
            // Without " at LINE:COLUMN", which is said already.
            let words = other.to_string();
            let end = words.rfind(" at ").unwrap_or(words.len());
            (offset, words[..end].to_owned())
        }
    };
    at(domain, what, text, offset, &why)
}

const START: &str = "Start tag expected, '<' not found";

fn at(domain: ErrorDomain, what: &str, text: &str, offset: usize, why: &str) -> Error {
    let line = line_of(text, offset);
    let (shown, column) = window(text, offset);
    let place =
        if what.starts_with('(') { format!("at line {line}") } else { format!("{what}:{line}") };
    let text = format!("{place}: {why}\n{shown}\n{}^", "-".repeat(column));
    Error::new(ErrorCode::XmlDetail, text)
        .in_domain(domain)
        .hint(format!("{what} is not well-formed XML"))
}

/// The line of a byte, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset].iter().filter(|&&byte| byte == b'\n').count()
}

/// The byte at a row and a column of characters, both from 1.
fn offset(text: &str, row: u32, column: u32) -> usize {
    let start: usize = text.split_inclusive('\n').take(row as usize - 1).map(str::len).sum();
    let line = &text[start..];
    start + line.char_indices().nth(column as usize - 1).map_or(line.len(), |(at, _)| at)
}

/// The line that ends at, or goes on after, a byte, and the byte's column in what is shown of it.
fn window(text: &str, offset: usize) -> (&str, usize) {
    let before = match text[offset..].chars().next() {
        None | Some('\n') => text[..offset].trim_end_matches('\n'),
        Some(_) => &text[..offset],
    };
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let back = before[start..].char_indices().rev().nth(WIDTH - 1).map_or(0, |(at, _)| at);
    let start = start + back;
    let rest = text[start..].lines().next().unwrap_or_default();
    let end = rest.char_indices().nth(WIDTH).map_or(rest.len(), |(at, _)| at);
    (&rest[..end], before[start..].chars().count())
}

/// What is missing at the end of a text.
fn unfinished(text: &str) -> String {
    let outline = Outline::of(text);
    match (outline.end, outline.open.last()) {
        (End::Opening, Some((name, line))) => {
            format!("Couldn't find end of Start Tag {name} line {line}")
        }
        (End::Closing, _) => "expected '>'".to_owned(),
        (End::Comment, _) => "Comment not terminated".to_owned(),
        (_, Some((name, line))) => format!("Premature end of data in tag {name} line {line}"),
        (_, None) => START.to_owned(),
    }
}

/// In what a text ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Content,
    Opening,
    Closing,
    Comment,
}

/// The elements that are open at the end of a text, each with its line.
struct Outline<'a> {
    open: Vec<(&'a str, usize)>,
    has_root: bool,
    end: End,
}

impl<'a> Outline<'a> {
    fn of(text: &'a str) -> Self {
        let mut outline = Self { open: Vec::new(), has_root: false, end: End::Content };
        let mut at = 0;
        while let Some(step) = text[at..].find('<') {
            let start = at + step;
            let tag = &text[start + 1..];
            let (end, mark) = match tag {
                _ if tag.starts_with("!--") => (End::Comment, "-->"),
                _ if tag.starts_with('?') => (End::Content, "?>"),
                _ if tag.starts_with("![CDATA[") => (End::Content, "]]>"),
                _ if tag.starts_with('/') => (End::Closing, ">"),
                _ => (End::Opening, ">"),
            };
            let length = tag.find(mark);
            if end == End::Closing && length.is_some() {
                outline.open.pop();
            }
            let body = &tag[..length.unwrap_or(tag.len())];
            if end == End::Opening && !(length.is_some() && body.ends_with('/')) {
                let name = body.split([' ', '\t', '\n', '\r', '/']).next().unwrap_or_default();
                outline.open.push((name, line_of(text, start)));
            }
            outline.has_root |= end == End::Opening;
            let Some(length) = length else {
                outline.end = end;
                return outline;
            };
            at = start + 1 + length + mark.len();
        }
        outline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As libvirt says it.
    #[test]
    fn mistakes_are_told_in_familiar_words() {
        for (text, said) in [
            ("", "at line 1: Document is empty\n\n^"),
            ("x", "at line 1: Start tag expected, '<' not found\nx\n^"),
            ("<pool", "at line 1: Couldn't find end of Start Tag pool line 1\n<pool\n-----^"),
            (
                "<pool>\n<name>x",
                "at line 2: Premature end of data in tag name line 2\n<name>x\n-------^",
            ),
            ("<a><b>x</b\n", "at line 2: expected '>'\n<a><b>x</b\n----------^"),
            ("<pool><!-- x", "at line 1: Comment not terminated\n<pool><!-- x\n------------^"),
            (
                "<pool>\n  <name>x</name>\n  <target>\n</pool>\n",
                "at line 4: Opening and ending tag mismatch: target line 3 and pool\n</pool>\n-------^",
            ),
            (
                "<pool/><b/>",
                "at line 1: Extra content at the end of the document\n<pool/><b/>\n-------^",
            ),
            ("<pool><", "at line 1: StartTag: invalid element name\n<pool><\n-------^"),
            ("<pool>&x;</pool>", "at line 1: Entity 'x' not defined\n<pool>&x;</pool>\n---------^"),
        ] {
            let cause = roxmltree::Document::parse(text).unwrap_err();
            let error = error(ErrorDomain::Storage, "(x)", text, &cause);
            assert_eq!(error.text(), said, "{text:?} {cause:?}");
        }
    }

    #[test]
    fn of_a_long_line_a_piece_is_shown() {
        let text = format!("<a>{}&x;</a>", "é".repeat(500));
        let cause = roxmltree::Document::parse(&text).unwrap_err();
        let error = error(ErrorDomain::None, "(x)", &text, &cause);
        assert!(error.text().lines().all(|line| line.chars().count() <= WIDTH + 1), "{error}");
    }
}

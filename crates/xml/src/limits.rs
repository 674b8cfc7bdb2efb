// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a document may cost before a tree of it is built: its size, its depth, no DTD.
//!
//! Invariant: one pass over the bytes, no allocation; nothing deeper than [`MAX_DEPTH`] reaches code that recurses.

/// The largest document that is read. A domain with thousands of devices stays below 2 MiB.
pub const MAX_BYTES: usize = 10 << 20;
/// The deepest nesting of elements that is read (libxml2's own limit).
pub const MAX_DEPTH: usize = 256;
/// The most attributes of one element. The tree's builder compares them in pairs.
pub const MAX_ATTRIBUTES: usize = 256;
/// The most namespaces that a document declares. The tree's builder copies those in scope for each declaration.
pub const MAX_NAMESPACES: usize = 1024;
/// The largest number of nodes and attributes.
pub const MAX_NODES: u32 = 1_000_000;

/// Why a text is refused before it is parsed, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    pub offset: usize,
    pub why: &'static str,
}

/// Checks size, depth and the absence of a DTD.
pub fn check(text: &str) -> Result<(), Refused> {
    if text.len() > MAX_BYTES {
        return Err(Refused { offset: 0, why: "the document is larger than 10 MiB" });
    }
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut namespaces) = (0, 0_usize, 0_usize);
    while let Some(step) = text.get(at..).and_then(|rest| rest.find('<')) {
        let start = at + step;
        let rest = &bytes[start..];
        if rest.starts_with(b"<!--") {
            at = skip_past(text, start + 4, "-->");
        } else if rest.starts_with(b"<![CDATA[") {
            at = skip_past(text, start + 9, "]]>");
        } else if rest.starts_with(b"<?") {
            at = skip_past(text, start + 2, "?>");
        } else if rest.starts_with(b"<!") {
            return Err(Refused { offset: start, why: "a DTD is not allowed" });
        } else if rest.starts_with(b"</") {
            depth = depth.saturating_sub(1);
            at = skip_past(text, start + 2, ">");
        } else {
            let (end, attributes) = end_of_tag(bytes, start + 1);
            if attributes > MAX_ATTRIBUTES {
                return Err(Refused {
                    offset: start,
                    why: "an element has more than 256 attributes",
                });
            }
            namespaces += text.get(start..end).map_or(0, |tag| tag.matches("xmlns").count());
            if namespaces > MAX_NAMESPACES {
                return Err(Refused {
                    offset: start,
                    why: "more than 1024 namespaces are declared",
                });
            }
            if bytes.get(end.wrapping_sub(2)) != Some(&b'/') {
                depth += 1;
            }
            if depth > MAX_DEPTH {
                return Err(Refused {
                    offset: start,
                    why: "elements are nested more than 256 deep",
                });
            }
            at = end;
        }
    }
    Ok(())
}

fn skip_past(text: &str, from: usize, end: &str) -> usize {
    text.get(from..).and_then(|rest| rest.find(end)).map_or(text.len(), |at| from + at + end.len())
}

/// The byte after the `>` of a start tag, and how many values it has; `>` inside quotes does not count.
fn end_of_tag(bytes: &[u8], from: usize) -> (usize, usize) {
    let (mut quote, mut values) = (None, 0);
    for (at, &byte) in bytes.iter().enumerate().skip(from) {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => {
                quote = Some(byte);
                values += 1;
            }
            (None, b'>') => return (at + 1, values),
            (None, _) => {}
        }
    }
    (bytes.len(), values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_open_elements_only() {
        assert_eq!(check(&"<a/>".repeat(1000)), Ok(()));
        assert_eq!(check(&"<a></a>".repeat(1000)), Ok(()));
        assert_eq!(check(&"<a b='>'/>".repeat(1000)), Ok(()));
        assert!(check(&"<a>".repeat(257)).is_err());
        assert_eq!(check(&format!("<!--{}-->", "<a>".repeat(500))), Ok(()));
        assert!(check("<!DOCTYPE a><a/>").is_err());
        assert!(check(&format!("<a {}/>", "b='' ".repeat(257))).is_err());
        assert!(check(&"<a xmlns:b='c'/>".repeat(1025)).is_err());
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One application's element in `<metadata>`, found by its namespace: read, put, taken out.
//!
//! Invariant: the elements of other applications keep their text; of one namespace there is one element.

use std::fmt::Write as _;
use std::ops::Range;

use virtus_api::{ErrorDomain, Result};

use super::{LEVEL, Metadata, attribute, escape, laid_out};
use crate::limits::{self, MAX_NODES};
use crate::malformed;

impl Metadata {
    /// The element of the namespace `uri`, without that namespace: as it was put in.
    #[must_use]
    pub fn get(&self, uri: &str) -> Option<String> {
        let tree = parse(&self.xml).ok()?;
        let node = children(&tree).find(|child| child.tag_name().namespace() == Some(uri))?;
        let mut text = String::new();
        dump_plain(node, uri, &mut text);
        let alone = parse(&text).ok()?;
        Some(laid_out(alone.root_element(), 0))
    }

    /// Puts `xml` in as the element of the namespace `uri`, written with the prefix `key`; what stood there goes.
    pub fn put(&mut self, uri: &str, key: &str, xml: &str) -> Result<()> {
        let tree = parse(xml)?;
        let mut element = String::new();
        dump_prefixed(tree.root_element(), Some(uri), key, &mut element);
        self.take_out(uri)?;
        let old = parse(&self.xml)?;
        let inner = inner(old.root_element(), &self.xml);
        let start = &self.xml[..inner.start];
        let open =
            start.strip_suffix("/>").map_or(start, |tag| tag).trim_end().trim_end_matches('>');
        let kept = self.xml[inner].trim_end();
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = write!(text, "{open}>{kept}{element}</metadata>");
        self.xml = laid_out(parse(&text)?.root_element(), LEVEL);
        Ok(())
    }

    /// Takes the element of the namespace `uri` out.
    pub fn take_out(&mut self, uri: &str) -> Result<()> {
        let tree = parse(&self.xml)?;
        let mut ranges: Vec<Range<usize>> = children(&tree)
            .filter(|child| child.tag_name().namespace() == Some(uri))
            .map(|child| child.range())
            .collect();
        let rest = children(&tree).count() - ranges.len();
        if rest == 0 {
            *self = Self::default();
            return Ok(());
        }
        let mut xml = self.xml.clone();
        while let Some(range) = ranges.pop() {
            let before = xml[..range.start]
                .trim_end_matches([' ', '\t'])
                .trim_end_matches(['\n', '\r'])
                .len();
            xml.replace_range(before..range.end, "");
        }
        self.xml = xml;
        Ok(())
    }
}

pub(super) fn parse(xml: &str) -> Result<roxmltree::Document<'_>> {
    const WHAT: &str = "(metadata_xml)";
    const SPEAKER: ErrorDomain = ErrorDomain::Xml;
    limits::check(xml).map_err(|why| malformed::refused(SPEAKER, WHAT, xml, why))?;
    let options = roxmltree::ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_NODES,
        ..Default::default()
    };
    roxmltree::Document::parse_with_options(xml, options)
        .map_err(|cause| malformed::error(SPEAKER, WHAT, xml, &cause))
}

fn children<'a>(
    tree: &'a roxmltree::Document<'a>,
) -> impl Iterator<Item = roxmltree::Node<'a, 'a>> {
    tree.root_element().children().filter(roxmltree::Node::is_element)
}

/// What stands between the tags of `node`; an empty range after `<metadata/>`.
fn inner(node: roxmltree::Node<'_, '_>, text: &str) -> Range<usize> {
    let range = node.range();
    match (node.first_child(), node.last_child()) {
        (Some(first), Some(last)) => first.range().start..last.range().end,
        _ => {
            let end = text[range.clone()].find('>').map_or(range.end, |at| range.start + at + 1);
            end..end
        }
    }
}

/// Without the namespace `uri`: its prefix and its declaration.
fn dump_plain(node: roxmltree::Node<'_, '_>, uri: &str, out: &mut String) {
    let own = |namespace: Option<&str>| namespace.is_none() || namespace == Some(uri);
    dump(
        node,
        out,
        &|name, out| {
            if !own(name.namespace())
                && let Some(prefix) = name.namespace().and_then(|ns| node.lookup_prefix(ns))
            {
                out.push_str(prefix);
                out.push(':');
            }
            out.push_str(name.name());
        },
        &|namespace| namespace.uri() != uri,
    );
}

/// With the prefix `key` before every element that has no namespace, declared at the first.
fn dump_prefixed(node: roxmltree::Node<'_, '_>, uri: Option<&str>, key: &str, out: &mut String) {
    let mut text = String::new();
    dump(
        node,
        &mut text,
        &|name, out| {
            match name.namespace() {
                None => {
                    out.push_str(key);
                    out.push(':');
                }
                Some(ns) => {
                    if let Some(prefix) = node.lookup_prefix(ns) {
                        out.push_str(prefix);
                        out.push(':');
                    }
                }
            }
            out.push_str(name.name());
        },
        &|_| true,
    );
    let name_end =
        text.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>')).unwrap_or(text.len());
    out.push_str(&text[..name_end]);
    if let Some(uri) = uri {
        out.push_str(" xmlns:");
        out.push_str(key);
        attribute(uri, out);
    }
    out.push_str(&text[name_end..]);
}

type Name<'a> = roxmltree::ExpandedName<'a, 'a>;

/// Writes `node`; `name` writes an element's name, `declare` says which declarations stay. The depth was bounded.
fn dump(
    node: roxmltree::Node<'_, '_>,
    out: &mut String,
    name: &dyn Fn(Name<'_>, &mut String),
    declare: &dyn Fn(&roxmltree::Namespace<'_>) -> bool,
) {
    if node.is_text() {
        escape(node.text().unwrap_or_default(), false, out);
        return;
    }
    if !node.is_element() {
        return;
    }
    out.push('<');
    name(node.tag_name(), out);
    let parent = node.parent_element();
    for namespace in node.namespaces() {
        let known = parent.is_some_and(|p| p.namespaces().any(|n| n == namespace));
        if !known && declare(namespace) && namespace.name() != Some("xml") {
            out.push_str(" xmlns");
            if let Some(prefix) = namespace.name() {
                out.push(':');
                out.push_str(prefix);
            }
            attribute(namespace.uri(), out);
        }
    }
    for attr in node.attributes() {
        out.push(' ');
        out.push_str(node.document().input_text().get(attr.range_qname()).unwrap_or(attr.name()));
        attribute(attr.value(), out);
    }
    if !node.has_children() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for child in node.children() {
        dump(child, out, name, declare);
    }
    out.push_str("</");
    name(node.tag_name(), out);
    out.push('>');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_put_read_replaced_and_taken_out() {
        let mut metadata = Metadata::default();
        metadata.put("http://a", "app", "<foo x='1'>t<bar/></foo>").unwrap();
        assert_eq!(
            metadata.xml,
            "<metadata>\n    <app:foo xmlns:app=\"http://a\" x=\"1\">t<app:bar/></app:foo>\n  </metadata>"
        );
        assert_eq!(metadata.get("http://a").unwrap(), "<foo x=\"1\">t<bar/></foo>");
        metadata.put("http://b", "b", "<other/>").unwrap();
        metadata.put("http://a", "app", "<new/>").unwrap();
        assert_eq!(metadata.get("http://a").unwrap(), "<new/>");
        assert_eq!(metadata.get("http://b").unwrap(), "<other/>");
        assert_eq!(metadata.xml.matches("http://a").count(), 1);
        metadata.take_out("http://a").unwrap();
        assert_eq!(metadata.get("http://a"), None);
        metadata.take_out("http://b").unwrap();
        assert_eq!(metadata, Metadata::default());
    }

    #[test]
    fn what_is_not_xml_is_refused() {
        let mut metadata = Metadata::default();
        metadata.put("http://a", "app", "<foo>").unwrap_err();
        assert_eq!(metadata, Metadata::default());
    }

    #[test]
    fn others_keep_their_text() {
        let mut metadata = Metadata {
            xml: "<metadata>\n    <l:x xmlns:l=\"http://l\"><l:os id=\"1\"/></l:x>\n  </metadata>"
                .into(),
        };
        metadata.put("http://a", "a", "<y/>").unwrap();
        let laid_out = "\n    <l:x xmlns:l=\"http://l\">\n      <l:os id=\"1\"/>\n    </l:x>\n";
        assert!(metadata.xml.contains(laid_out), "{metadata:?}");
        metadata.take_out("http://a").unwrap();
        assert_eq!(metadata.get("http://l").unwrap(), "<x>\n  <os id=\"1\"/>\n</x>");
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<metadata>`: what applications keep with a guest. Not ours to understand, only to return.
//!
//! Invariant: the subtree is returned as libxml2 would dump it: double quotes; elements that hold only elements have
//! each of them on a line of its own, and blanks between them are layout, not content.

mod parts;

use virtus_api::Result;

use crate::reader::{Element, Node};
use crate::schema::Shape;
use crate::writer::Writer;

/// The element with its tags, without indentation before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    pub xml: String,
}

impl Default for Metadata {
    fn default() -> Self {
        Self { xml: "<metadata/>".to_owned() }
    }
}

impl Element for Metadata {
    const SHAPE: &'static Shape = Shape::ANY;
    fn read(node: Node<'_>) -> Result<Self> {
        Ok(Self { xml: laid_out(node.raw(), LEVEL) })
    }
    fn write(&self, _: &str, out: &mut Writer) {
        match parts::parse(&self.xml) {
            Ok(tree) if out.depth() != LEVEL => {
                out.raw(&laid_out(tree.root_element(), out.depth()));
            }
            _ => out.raw(&self.xml),
        }
    }
}

/// The level at which the element stands in a domain's own document.
const LEVEL: usize = 1;

/// Writes `node` as libxml2 does when it stands `level` elements deep.
fn laid_out<'a>(node: roxmltree::Node<'a, 'a>, level: usize) -> String {
    let mut out = String::new();
    dump(node, Some(level), &mut out);
    out
}

/// Writes `node`, its children on lines of their own as long as there is a level. The depth was bounded before.
fn dump<'a>(node: roxmltree::Node<'a, 'a>, level: Option<usize>, out: &mut String) {
    if node.is_text() {
        escape(node.text().unwrap_or_default(), false, out);
        return;
    }
    if node.is_comment() {
        out.push_str("<!--");
        out.push_str(node.text().unwrap_or_default());
        out.push_str("-->");
        return;
    }
    if !node.is_element() {
        return;
    }
    let name = start(node, out);
    let children = content(node);
    if children.is_empty() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    let level = level.filter(|_| !children.iter().any(roxmltree::Node::is_text));
    let line = |level: usize, out: &mut String| {
        out.push('\n');
        (0..level).for_each(|_| out.push_str("  "));
    };
    for child in children {
        if let Some(level) = level {
            line(level + 1, out);
        }
        dump(child, level.map(|level| level + 1), out);
    }
    if let Some(level) = level {
        line(level, out);
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// The children without blanks that are only layout: those beside elements, in an element that has no text.
fn content<'a>(node: roxmltree::Node<'a, 'a>) -> Vec<roxmltree::Node<'a, 'a>> {
    let mut kept: Vec<roxmltree::Node<'a, 'a>> = Vec::new();
    for child in node.children() {
        let text = child.text().filter(|_| child.is_text());
        let blank = text.is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_whitespace()));
        let alone = child.prev_sibling().is_none() && child.next_sibling().is_none();
        let in_text = [kept.first(), kept.last()].iter().flatten().any(|node| node.is_text());
        if !blank || alone || in_text {
            kept.push(child);
        }
    }
    kept
}

/// Writes a start tag up to its attributes, and answers the name as it is spelled.
fn start<'a>(node: roxmltree::Node<'a, 'a>, out: &mut String) -> &'a str {
    let source = node.document().input_text().get(node.range()).unwrap_or_default();
    let name_end = source[1..].find(|c: char| c.is_whitespace() || matches!(c, '/' | '>'));
    let name = name_end.map_or("", |end| &source[1..=end]);
    out.push('<');
    out.push_str(name);
    let parent = node.parent_element();
    for namespace in node.namespaces() {
        let known = parent.is_some_and(|p| {
            p.namespaces().any(|n| n.name() == namespace.name() && n.uri() == namespace.uri())
        });
        if !known && namespace.name() != Some("xml") {
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
    name
}

fn attribute(value: &str, out: &mut String) {
    out.push_str("=\"");
    escape(value, true, out);
    out.push('"');
}

fn escape(text: &str, attribute: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' if attribute => out.push_str("&quot;"),
            '\n' if attribute => out.push_str("&#10;"),
            '\t' if attribute => out.push_str("&#9;"),
            '\r' => out.push_str("&#13;"),
            _ => out.push(c),
        }
    }
}

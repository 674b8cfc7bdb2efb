// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<metadata>`: what applications keep with a guest. Not ours to understand, only to return.
//!
//! Invariant: the subtree is returned as libxml2 would dump it: source layout, double quotes.

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
        let mut xml = String::new();
        dump(node.raw(), &mut xml);
        Ok(Self { xml })
    }
    fn write(&self, _: &str, out: &mut Writer) {
        out.raw(&self.xml);
    }
}

/// Writes `node` as libxml2 does; the depth of the document was bounded before.
fn dump(node: roxmltree::Node<'_, '_>, out: &mut String) {
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
    if !node.has_children() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for child in node.children() {
        dump(child, out);
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
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

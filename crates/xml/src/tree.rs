// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Elements that are kept but not understood: what a later or another libvirt wrote into a status file.
//!
//! Invariant: what is read is written again in the same order, in libvirt's form.

use virtus_api::Result;

use crate::reader::{Element, Node};
use crate::schema::Shape;
use crate::writer::Writer;

/// An element with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    pub name: String,
    pub attrs: Vec<(String, String)>,
    pub children: Vec<Tree>,
    /// The text of an element without children.
    pub text: String,
}

impl Tree {
    /// An element without content.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The same with one more attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.attrs.push((name.to_owned(), value.to_string()));
        self
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attrs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first child called `name`.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

impl Element for Tree {
    const SHAPE: &'static Shape = Shape::ANY;
    fn read(node: Node<'_>) -> Result<Self> {
        let children: Vec<Self> = node.children().map(Self::read).collect::<Result<_>>()?;
        let text = if children.is_empty() { node.text().into_owned() } else { String::new() };
        Ok(Self {
            name: node.name().to_owned(),
            attrs: node
                .attrs()
                .map(|(name, value)| (name.to_owned(), value.text().to_owned()))
                .collect(),
            children,
            text: if text.trim().is_empty() { String::new() } else { text },
        })
    }

    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        for (name, value) in &self.attrs {
            out.attr(name, value);
        }
        if self.children.is_empty() {
            out.text(&self.text);
        }
        for child in &self.children {
            child.write(&child.name, out);
        }
        out.end(tag);
    }
}

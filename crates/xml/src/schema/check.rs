// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Holds a document against a [`Shape`] and reports the first thing that does not fit.
//!
//! Invariant: time is bounded by the document's length times the length of the longest declaration.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::{Attr, Child, ChildBody, Kind, Often, Piece, Shape};
use crate::nearest::with_nearest;
use crate::reader::{Node, Source};

/// Errs at the first part of `node` that `shape` does not allow.
pub fn check(node: Node<'_>, shape: &'static Shape) -> Result<()> {
    Frame { node, shape }.check()
}

/// Errs at the first part of `root` that `parent` would not allow of such a child.
pub fn check_child(root: Node<'_>, parent: &'static Shape) -> Result<()> {
    let frame = Frame { node: root, shape: parent };
    match frame.child(root) {
        Some(child) => child.body.check(root),
        None => {
            let what = format!("element <{}> is not known", root.name());
            Err(unknown(root, what, root.name(), &frame.child_names()))
        }
    }
}

impl ChildBody {
    fn check(self, node: Node<'_>) -> Result<()> {
        match self {
            Self::Shape(shape) => check(node, shape()),
            Self::Leaf(kind) => leaf(node, &kind),
        }
    }
}

/// One element and what is allowed in it.
#[derive(Clone, Copy)]
struct Frame<'a> {
    node: Node<'a>,
    shape: &'static Shape,
}

impl Frame<'_> {
    fn check(self) -> Result<()> {
        if self.find(&mut |piece| matches!(piece, Piece::Any).then_some(())).is_some() {
            return Ok(());
        }
        self.attributes()?;
        self.children()?;
        self.text()
    }

    /// The first piece for which `wanted` answers, in the order in which they count.
    fn find<T>(self, wanted: &mut dyn FnMut(&'static Piece) -> Option<T>) -> Option<T> {
        self.find_in(self.shape.pieces, wanted)
    }

    fn find_in<T>(
        self,
        pieces: &'static [Piece],
        wanted: &mut dyn FnMut(&'static Piece) -> Option<T>,
    ) -> Option<T> {
        pieces.iter().find_map(|piece| match piece {
            Piece::Part(part) => self.find_in(part, wanted),
            Piece::Case { attr, words, pieces } => {
                let value = self.node.attr(attr).map(|value| value.text());
                let applies = value.map_or(words.is_empty(), |value| words.contains(&value));
                if applies { self.find_in(pieces, wanted) } else { None }
            }
            _ => wanted(piece),
        })
    }

    fn status(self, name: &str) -> bool {
        self.node.in_status()
            && self
                .find(&mut |piece| matches!(piece, Piece::Status(n) if *n == name).then_some(()))
                .is_some()
    }

    fn attr(self, name: &str) -> Option<&'static Attr> {
        self.find(&mut |piece| match piece {
            Piece::Attr(attr) if attr.name == name => Some(attr),
            _ => None,
        })
        .filter(|attr| attr.often != Often::Never)
    }

    fn child(self, node: Node<'_>) -> Option<&'static Child> {
        let foreign = node.namespace().filter(|_| node.namespace() != self.node.namespace());
        self.find(&mut |piece| match piece {
            Piece::Child(child) if child.name == node.name() && child.namespace == foreign => {
                Some(child)
            }
            _ => None,
        })
        .filter(|child| child.often != Often::Never)
    }

    fn attributes(self) -> Result<()> {
        for (name, value) in self.node.attrs() {
            if let Some(attr) = self.attr(name) {
                value_fits(value, &attr.kind)?;
            } else if !self.status(name) {
                let known = self.attr_names();
                let what = format!("attribute '{name}' of <{}> is not known", self.node.name());
                return Err(unknown(self.node, what, name, &known));
            }
        }
        let missing = self.find(&mut |piece| match piece {
            Piece::Attr(attr) if attr.often == Often::Once => {
                let counts = self.attr(attr.name).is_some_and(|first| std::ptr::eq(first, attr));
                (counts && self.node.attr(attr.name).is_none()).then_some(attr.name)
            }
            _ => None,
        });
        match missing {
            None => Ok(()),
            Some(name) => Err(invalid(
                self.node,
                &format!("attribute '{name}' of <{}> is missing", self.node.name()),
            )),
        }
    }

    fn children(self) -> Result<()> {
        let mut seen: Vec<&'static Child> = Vec::new();
        for node in self.node.children() {
            let Some(child) = self.child(node) else {
                if self.status(node.name()) {
                    continue;
                }
                let known = self.child_names();
                let parent = self.node.name();
                let what = format!("element <{}> is not known in <{parent}>", node.name());
                return Err(unknown(node, what, node.name(), &known));
            };
            let again = seen.iter().any(|known| std::ptr::eq(*known, child));
            if !again {
                seen.push(child);
            } else if matches!(child.often, Often::Optional | Often::Once) {
                let parent = self.node.name();
                return Err(invalid(
                    node,
                    &format!("a second <{}> is not allowed in <{parent}>", child.name),
                ));
            }
            child.body.check(node)?;
        }
        let missing = self.find(&mut |piece| match piece {
            Piece::Child(child) if matches!(child.often, Often::Once | Often::Some) => {
                let counts = self.first_child(child.name).is_some_and(|c| std::ptr::eq(c, child));
                let there = seen.iter().any(|known| std::ptr::eq(*known, child));
                (counts && !there).then_some(child.name)
            }
            _ => None,
        });
        match missing {
            None => Ok(()),
            Some(name) => Err(invalid(
                self.node,
                &format!("element <{name}> is missing in <{}>", self.node.name()),
            )),
        }
    }

    fn first_child(self, name: &str) -> Option<&'static Child> {
        self.find(&mut |piece| match piece {
            Piece::Child(child) if child.name == name => Some(child),
            _ => None,
        })
    }

    fn text(self) -> Result<()> {
        let kind = self.find(&mut |piece| match piece {
            Piece::Text(kind) => Some(*kind),
            _ => None,
        });
        let text = self.node.text();
        match kind {
            Some(kind) => self.node.with_text(&text, |source| value_fits(source, &kind)),
            None if text.trim().is_empty() => Ok(()),
            None => {
                Err(invalid(self.node, &format!("text is not allowed in <{}>", self.node.name())))
            }
        }
    }

    fn attr_names(self) -> Vec<&'static str> {
        let mut names = Vec::new();
        self.find::<()>(&mut |piece| {
            if let Piece::Attr(attr) = piece {
                names.push(attr.name);
            }
            None
        });
        names.retain(|name| self.attr(name).is_some());
        names
    }

    fn child_names(self) -> Vec<&'static str> {
        let mut names = Vec::new();
        self.find::<()>(&mut |piece| {
            if let Piece::Child(child) = piece {
                names.push(child.name);
            }
            None
        });
        names.retain(|name| self.first_child(name).is_some_and(|c| c.often != Often::Never));
        names
    }
}

/// An element with only a text.
fn leaf(node: Node<'_>, kind: &Kind) -> Result<()> {
    if let Some((name, _)) = node.attrs().next() {
        let what = format!("attribute '{name}' of <{}> is not known", node.name());
        return Err(unknown(node, what, name, &[]));
    }
    if let Some(child) = node.children().next() {
        let what = format!("element <{}> is not known in <{}>", child.name(), node.name());
        return Err(unknown(child, what, child.name(), &[]));
    }
    let text = node.text();
    node.with_text(&text, |source| value_fits(source, kind))
}

fn value_fits(value: Source<'_>, kind: &Kind) -> Result<()> {
    if (kind.accepts)(value.text()) { Ok(()) } else { Err(refused(value.invalid(&kind.allowed))) }
}

fn unknown(node: Node<'_>, what: String, name: &str, known: &[&str]) -> Error {
    let text = with_nearest(what, name, known);
    // What several cases name is named once.
    let mut once: Vec<&str> = Vec::with_capacity(known.len());
    for word in known {
        if !once.contains(word) {
            once.push(word);
        }
    }
    let allowed = if once.is_empty() { "nothing".to_owned() } else { once.join(", ") };
    invalid(node, &text).hint(format!("allowed: {allowed}"))
}

fn invalid(node: Node<'_>, what: &str) -> Error {
    refused(node.error(what))
}

/// The same error as one of validation.
fn refused(error: Error) -> Error {
    let place = error.hint_text().unwrap_or_default().to_owned();
    Error::new(ErrorCode::XmlInvalidSchema, error.text().to_owned())
        .in_domain(ErrorDomain::Xml)
        .hint(place)
}

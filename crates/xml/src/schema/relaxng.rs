// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A document's schema as a RelaxNG grammar (XML syntax): for people, editors and other tools.
//!
//! The grammar says what [`super::check()`] checks, but for one thing: a grammar cannot describe the text of an
//! element that also has children, so that such a text may be any.

use std::collections::{BTreeMap, BTreeSet};

use super::cases::{Branch, resolve};
use super::{Attr, Child, ChildBody, Data, Document, Kind, Often, Piece, Shape};
use crate::value::Allowed;
use crate::writer::{FormatFlags, Writer};

const NAMESPACE: &str = "http://relaxng.org/ns/structure/1.0";
const DATATYPES: &str = "http://www.w3.org/2001/XMLSchema-datatypes";
/// The definition of what is not ours to understand.
const ANYTHING: &str = "anything";

impl Document {
    /// The grammar of this kind of document.
    #[must_use]
    pub fn grammar(&self) -> String {
        let mut grammar = Grammar::new();
        grammar.out.start("start");
        grammar.element(self.root, None, |grammar| grammar.content(self.shape.pieces));
        grammar.out.end("start");
        grammar.definitions();
        grammar.out.end("grammar");
        grammar.out.finish()
    }
}

/// The grammar so far.
struct Grammar {
    out: Writer,
    /// The names of the definitions, by type and namespace.
    names: BTreeMap<(&'static str, Option<&'static str>), String>,
    taken: BTreeSet<String>,
    /// What is named but not yet defined.
    open: Vec<(String, Option<&'static str>, &'static Shape)>,
    /// The namespace of the elements that are being written.
    namespace: Option<&'static str>,
}

impl Grammar {
    fn new() -> Self {
        let mut out = Writer::new(FormatFlags::empty());
        out.start("grammar");
        out.attr_text("xmlns", NAMESPACE);
        out.attr_text("datatypeLibrary", DATATYPES);
        Self {
            out,
            names: BTreeMap::new(),
            taken: BTreeSet::from([ANYTHING.to_owned()]),
            open: Vec::new(),
            namespace: None,
        }
    }

    fn around(&mut self, tag: &str, inside: impl FnOnce(&mut Self)) {
        self.out.start(tag);
        inside(self);
        self.out.end(tag);
    }

    fn named(&mut self, tag: &str, name: &str) {
        self.out.start(tag);
        self.out.attr_text("name", name);
    }

    fn element(
        &mut self,
        name: &str,
        namespace: Option<&'static str>,
        inside: impl FnOnce(&mut Self),
    ) {
        self.named("element", name);
        if let Some(namespace) = namespace {
            self.out.attr_text("ns", namespace);
        }
        let outside = self.namespace;
        self.namespace = namespace.or(outside);
        inside(self);
        self.namespace = outside;
        self.out.end("element");
    }

    /// The name of a shape's definition, which is written later.
    fn name(&mut self, shape: &'static Shape) -> String {
        let key = (shape.name, self.namespace);
        if let Some(name) = self.names.get(&key) {
            return name.clone();
        }
        let mut parts = shape.name.rsplit("::");
        let mut name = parts.next().unwrap_or_default().to_owned();
        while !self.taken.insert(name.clone()) {
            match parts.next() {
                Some(module) => name = format!("{module}.{name}"),
                None => name.push('_'),
            }
        }
        self.names.insert(key, name.clone());
        self.open.push((name.clone(), self.namespace, shape));
        name
    }

    fn definitions(&mut self) {
        while let Some((name, namespace, shape)) = self.open.pop() {
            self.named("define", &name);
            if let Some(namespace) = namespace {
                self.out.attr_text("ns", namespace);
            }
            self.namespace = namespace;
            self.content(shape.pieces);
            self.out.end("define");
        }
        self.named("define", ANYTHING);
        self.around("zeroOrMore", |all| {
            all.around("choice", |one| {
                one.around("attribute", |attribute| attribute.out.empty("anyName"));
                one.out.empty("text");
                one.around("element", |element| {
                    element.out.empty("anyName");
                    element.reference(ANYTHING);
                });
            });
        });
        self.out.end("define");
    }

    fn reference(&mut self, name: &str) {
        self.named("ref", name);
        self.out.end("ref");
    }

    /// What stands in an element: one branch for each combination of its cases.
    fn content(&mut self, pieces: &'static [Piece]) {
        let branches = resolve(pieces);
        match branches.as_slice() {
            [only] => self.branch(only),
            _ => self.around("choice", |choice| {
                for branch in &branches {
                    choice.around("group", |group| group.branch(branch));
                }
            }),
        }
    }

    /// Pieces without cases, of which the first of each name counts.
    fn branch(&mut self, branch: &Branch) {
        let pieces = branch.pieces.as_slice();
        if pieces.iter().any(|piece| matches!(piece, Piece::Any)) {
            return self.reference(ANYTHING);
        }
        let mut seen = BTreeSet::new();
        for (name, words) in &branch.deciding {
            seen.insert(*name);
            if !words.is_empty() {
                self.named("attribute", name);
                self.words(words);
                self.out.end("attribute");
            }
        }
        let attrs: Vec<&Attr> = pieces.iter().filter_map(Piece::as_attr).collect();
        for attr in attrs.into_iter().filter(|attr| seen.insert(attr.name)) {
            self.often(attr.often, |grammar| {
                grammar.named("attribute", attr.name);
                grammar.kind(&attr.kind);
                grammar.out.end("attribute");
            });
        }
        let mut seen = BTreeSet::new();
        let children: Vec<&Child> = pieces
            .iter()
            .filter_map(Piece::as_child)
            .filter(|child| seen.insert((child.name, child.namespace)))
            .filter(|child| child.often != Often::Never)
            .collect();
        let text = pieces.iter().find_map(|piece| match piece {
            Piece::Text(kind) => Some(kind),
            _ => None,
        });
        match text {
            Some(kind) if children.is_empty() => self.kind(kind),
            _ if children.is_empty() => self.out.empty("empty"),
            _ => self.around("interleave", |all| {
                if text.is_some() {
                    all.out.empty("text");
                }
                for child in children {
                    all.often(child.often, |grammar| grammar.child(child));
                }
            }),
        }
    }

    fn child(&mut self, child: &Child) {
        self.element(child.name, child.namespace, |grammar| match child.body {
            ChildBody::Leaf(kind) => grammar.kind(&kind),
            ChildBody::Shape(shape) => {
                let shape = shape();
                if shape.name.is_empty() {
                    grammar.content(shape.pieces);
                } else {
                    let name = grammar.name(shape);
                    grammar.reference(&name);
                }
            }
        });
    }

    fn often(&mut self, often: Often, inside: impl FnOnce(&mut Self)) {
        match often {
            Often::Never => {}
            Often::Once => inside(self),
            Often::Optional => self.around("optional", inside),
            Often::Any => self.around("zeroOrMore", inside),
            Often::Some => self.around("oneOrMore", inside),
        }
    }

    fn words(&mut self, words: &[&'static str]) {
        self.around("choice", |choice| {
            for word in words {
                choice.out.leaf("value", &(*word).to_owned());
            }
        });
    }

    fn kind(&mut self, kind: &Kind) {
        match (kind.data, kind.allowed) {
            (Data::Plain, Allowed::OneOf(words)) => self.words(words),
            (Data::Plain, _) => self.out.empty("text"),
            (Data::Xsd(name), _) => {
                self.out.start("data");
                self.out.attr_text("type", name);
                self.out.end("data");
            }
            (Data::Pattern(pattern), _) => {
                self.out.start("data");
                self.out.attr_text("type", "string");
                self.named("param", "pattern");
                self.out.text(&pattern.to_owned());
                self.out.end("param");
                self.out.end("data");
            }
        }
    }
}

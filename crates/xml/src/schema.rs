// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the declarations say about a document's shape: the check of the validate flag, and a RelaxNG grammar.
//!
//! `element!` and `part!` describe what they read; an `Element` by hand states its [`Shape`] with `shape!` beside its
//! reader. Where libvirt allows less than the fields can hold, a declaration ends with `schema { … }`: pieces in the
//! same words, which stand before the fields. Of two pieces with one name the first counts.
//!
//! Invariants: what our reader refuses by name or value, the schema refuses; pieces stand in any order (as in nearly
//! all of libvirt's grammar); an element's shape depends on its own attributes only through [`Piece::Case`].

mod cases;
mod check;
mod documents;
pub mod kinds;
mod relaxng;

pub use check::{check, check_child};
pub use documents::{DOCUMENTS, Document};

use crate::reader::Element;
use crate::slot::AttrSlot;
use crate::value::{Allowed, Value};

/// What may stand in an element.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The path of the type that declares it: unique; empty for a shape that stands in another.
    pub name: &'static str,
    pub pieces: &'static [Piece],
}

impl Shape {
    /// Anything at all: what is not ours to understand.
    pub const ANY: &'static Self = &Self { name: "any", pieces: &[Piece::Any] };
    /// Nothing.
    pub const EMPTY: &'static Self = &Self { name: "empty", pieces: &[] };
}

/// How often something stands in its element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Often {
    Never,
    Optional,
    Once,
    Any,
    Some,
}

/// The values of an attribute or text.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// For people.
    pub allowed: Allowed,
    /// For the grammar.
    pub data: Data,
    pub accepts: fn(&str) -> bool,
}

/// How a grammar names values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// Any text, or the words of [`Allowed::OneOf`].
    Plain,
    /// A type of XML Schema.
    Xsd(&'static str),
    /// A string that matches a pattern of XML Schema.
    Pattern(&'static str),
}

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub struct Attr {
    pub name: &'static str,
    pub often: Often,
    pub kind: Kind,
}

/// One kind of child elements.
#[derive(Debug, Clone, Copy)]
pub struct Child {
    pub name: &'static str,
    /// `None`: that of the parent.
    pub namespace: Option<&'static str>,
    pub often: Often,
    pub body: ChildBody,
}

/// What is in a child.
#[derive(Debug, Clone, Copy)]
pub enum ChildBody {
    /// Attributes and children. A function, because elements can contain themselves.
    Shape(fn() -> &'static Shape),
    /// Only a text.
    Leaf(Kind),
}

/// One line of a declaration.
#[derive(Debug, Clone, Copy)]
pub enum Piece {
    Attr(Attr),
    Child(Child),
    Text(Kind),
    /// The pieces of another declaration.
    Part(&'static [Piece]),
    /// These pieces come first if the attribute has one of these values; without words: if it is absent.
    Case {
        attr: &'static str,
        words: &'static [&'static str],
        pieces: &'static [Piece],
    },
    /// An attribute or a child that only status files have; what is in it is not checked.
    Status(&'static str),
    /// Whatever else there is.
    Any,
}

/// What says by itself which values it has: every [`Value`], and the [`kinds`] that no field has.
pub trait Described {
    const KIND: Kind;
}

impl<T: Value> Described for T {
    const KIND: Kind = Kind { allowed: T::ALLOWED, data: T::DATA, accepts: accepts::<T> };
}

/// What has a shape: every [`Element`], and shapes that only a `schema { … }` names.
pub trait Shaped {
    const SHAPE: &'static Shape;
}

impl<T: Element> Shaped for T {
    const SHAPE: &'static Shape = T::SHAPE;
}

fn accepts<T: Value>(text: &str) -> bool {
    T::parse(text).is_some()
}

/// The constructors behind `element!`, `part!` and `pieces!`.
impl Piece {
    #[must_use]
    pub const fn attr<T: Described>(name: &'static str, often: Often) -> Self {
        Self::Attr(Attr { name, often, kind: T::KIND })
    }

    #[must_use]
    pub const fn slot<T: AttrSlot>(name: &'static str, often: Often) -> Self {
        Self::Attr(Attr { name, often, kind: T::KIND })
    }

    #[must_use]
    pub const fn text<T: AttrSlot>() -> Self {
        Self::Text(T::KIND)
    }

    #[must_use]
    pub const fn child(name: &'static str, often: Often, shape: fn() -> &'static Shape) -> Self {
        Self::Child(Child { name, namespace: None, often, body: ChildBody::Shape(shape) })
    }

    #[must_use]
    pub const fn leaf(name: &'static str, often: Often, kind: Kind) -> Self {
        Self::Child(Child { name, namespace: None, often, body: ChildBody::Leaf(kind) })
    }
}

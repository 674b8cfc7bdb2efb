// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a field's Rust type says how often its piece of XML may stand: `T`, `Option<T>`, `Vec<T>`; and that it is only
//! told, never heard: [`Reported`].
//!
//! Invariant: of several elements where one is expected the first counts, as in libvirt; the others are reported.

use virtus_api::Result;

use crate::reader::{Element, Node, Source};
use crate::schema::{Described, Kind, Often, Shape};
use crate::value::Value;
use crate::writer::Writer;

/// What a host reports of an object: written, but nothing that a definition can say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reported<T>(pub T);

impl<T: Element + Default> Element for Reported<T> {
    const SHAPE: &'static Shape = T::SHAPE;
    fn read(_: Node<'_>) -> Result<Self> {
        Ok(Self::default())
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        self.0.write(tag, out);
    }
}

/// A field that is an attribute or the element's text.
pub trait AttrSlot {
    /// What the schema says of the values.
    const KIND: Kind = <String as Described>::KIND;
    fn set(&mut self, source: Source<'_>) -> Result<()>;
    fn write(&self, name: &str, out: &mut Writer);
    fn write_text(&self, out: &mut Writer);
}

/// Always written; the type's default when absent.
impl<T: Value> AttrSlot for T {
    const KIND: Kind = <T as Described>::KIND;
    fn set(&mut self, source: Source<'_>) -> Result<()> {
        *self = source.value()?;
        Ok(())
    }
    fn write(&self, name: &str, out: &mut Writer) {
        out.attr(name, self);
    }
    fn write_text(&self, out: &mut Writer) {
        out.text(self);
    }
}

impl<T: Value> AttrSlot for Option<T> {
    const KIND: Kind = <T as Described>::KIND;
    fn set(&mut self, source: Source<'_>) -> Result<()> {
        *self = Some(source.value()?);
        Ok(())
    }
    fn write(&self, name: &str, out: &mut Writer) {
        out.opt(name, self.as_ref());
    }
    fn write_text(&self, out: &mut Writer) {
        if let Some(value) = self {
            out.text(value);
        }
    }
}

/// A field that is a child element.
pub trait ChildSlot {
    const OFTEN: Often;
    fn shape() -> &'static Shape;
    fn set(&mut self, node: Node<'_>) -> Result<()>;
    fn write(&self, tag: &str, out: &mut Writer);
}

/// Written unless nothing in it is set.
impl<T: Element + Default + PartialEq> ChildSlot for T {
    const OFTEN: Often = Often::Optional;
    fn shape() -> &'static Shape {
        T::SHAPE
    }
    fn set(&mut self, node: Node<'_>) -> Result<()> {
        if *self == T::default() {
            *self = T::read(node)?;
        } else {
            node.duplicate();
        }
        Ok(())
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        if *self != T::default() {
            Element::write(self, tag, out);
        }
    }
}

impl<T: Element> ChildSlot for Option<T> {
    const OFTEN: Often = Often::Optional;
    fn shape() -> &'static Shape {
        T::SHAPE
    }
    fn set(&mut self, node: Node<'_>) -> Result<()> {
        if self.is_none() {
            *self = Some(T::read(node)?);
        } else {
            node.duplicate();
        }
        Ok(())
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        if let Some(value) = self {
            value.write(tag, out);
        }
    }
}

impl<T: Element> ChildSlot for Vec<T> {
    const OFTEN: Often = Often::Any;
    fn shape() -> &'static Shape {
        T::SHAPE
    }
    fn set(&mut self, node: Node<'_>) -> Result<()> {
        self.push(T::read(node)?);
        Ok(())
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        for value in self {
            value.write(tag, out);
        }
    }
}

/// A field that is an element with only a text.
pub trait LeafSlot {
    const OFTEN: Often;
    const KIND: Kind;
    fn set(&mut self, node: Node<'_>) -> Result<()>;
    fn write(&self, tag: &str, out: &mut Writer);
}

/// Always written.
impl<T: Value + Default + PartialEq> LeafSlot for T {
    const OFTEN: Often = Often::Optional;
    const KIND: Kind = <T as Described>::KIND;
    fn set(&mut self, node: Node<'_>) -> Result<()> {
        if *self == T::default() {
            *self = node.text_value()?;
        } else {
            node.duplicate();
        }
        Ok(())
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.leaf(tag, self);
    }
}

impl<T: Value> LeafSlot for Option<T> {
    const OFTEN: Often = Often::Optional;
    const KIND: Kind = <T as Described>::KIND;
    fn set(&mut self, node: Node<'_>) -> Result<()> {
        if self.is_none() {
            *self = Some(node.text_value()?);
        } else {
            node.duplicate();
        }
        Ok(())
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        if let Some(value) = self {
            out.leaf(tag, value);
        }
    }
}

impl<T: Value> LeafSlot for Vec<T> {
    const OFTEN: Often = Often::Any;
    const KIND: Kind = <T as Described>::KIND;
    fn set(&mut self, node: Node<'_>) -> Result<()> {
        self.push(node.text_value()?);
        Ok(())
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        for value in self {
            out.leaf(tag, value);
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How `<capability type='…'>` is told apart by its type, at the top and inside another.

use virtus_api::Result;

use crate::reader::{Node, Part, Source};
use crate::schema::Piece;
use crate::writer::Writer;

/// What a `<capability>` of one type contains.
pub trait Kind: Part {
    /// The attribute `type`.
    const KIND: &'static str;

    /// Settles what was read, refuses what contradicts itself.
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        let _ = node;
        Ok(())
    }
}

/// The schema of a `<capability>` that is of one of these types.
macro_rules! capability_shape {
    ($($ty:ty),*) => {
        const {
            &$crate::schema::Shape {
                name: "",
                pieces: &[
                    $crate::schema::Piece::Attr($crate::schema::Attr {
                        name: "type",
                        often: $crate::schema::Often::Once,
                        kind: $crate::schema::Kind {
                            allowed: $crate::value::Allowed::OneOf(&[$(<$ty>::KIND),*]),
                            data: $crate::schema::Data::Plain,
                            accepts: |text| [$(<$ty>::KIND),*].contains(&text),
                        },
                    }),
                    $($crate::schema::Piece::Case {
                        attr: "type",
                        words: &[<$ty>::KIND],
                        pieces: <$ty as $crate::reader::Part>::PIECES,
                    }),*
                ],
            }
        }
    };
}
pub(super) use capability_shape;

/// What stands in the `schema { pieces (…) }` of a declaration with a [`Sub`] for each of these types.
macro_rules! sub_capabilities {
    ($($ty:ty),*) => {
        &[$crate::schema::Piece::child("capability", $crate::schema::Often::Any, || {
            $crate::node_device::capability::capability_shape!($($ty),*)
        })]
    };
}
pub(super) use sub_capabilities;

/// Reads a capability whose type is known.
pub(super) fn read<K: Kind>(node: Node<'_>) -> Result<K> {
    let mut part = K::default();
    node.fill_typed(&mut part)?;
    part.check(node)?;
    Ok(part)
}

/// A capability inside another: of all that stand there, the one of type `K`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sub<K>(pub Option<K>);

impl<K: Kind> Part for Sub<K> {
    const ATTRS: &'static [&'static str] = &[];
    const CHILDREN: &'static [&'static str] = &[];
    /// All are one piece, which the declaration states with [`sub_capabilities!`].
    const PIECES: &'static [Piece] = &[];

    fn attr(&mut self, _: &str, _: Source<'_>) -> Result<bool> {
        Ok(false)
    }
    fn child(&mut self, name: &str, node: Node<'_>) -> Result<bool> {
        let ours =
            name == "capability" && node.attr("type").is_some_and(|kind| kind.text() == K::KIND);
        if ours && self.0.is_none() {
            self.0 = Some(read(node)?);
        } else if ours {
            node.duplicate();
        }
        Ok(ours)
    }
    fn text(&mut self, _: Source<'_>) -> Result<bool> {
        Ok(false)
    }
    fn finish(&mut self, _: Node<'_>) -> Result<()> {
        Ok(())
    }
    fn write_attrs(&self, _: &mut Writer) {}
    fn write_body(&self, out: &mut Writer) {
        if let Some(part) = &self.0 {
            out.start("capability");
            out.attr_text("type", K::KIND);
            part.write_attrs(out);
            part.write_body(out);
            out.end("capability");
        }
    }
}

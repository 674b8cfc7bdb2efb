// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The words in which the shape of an element is stated: `pieces!` for `schema { … }`, `shape!` for readers by hand.
//!
//! ```text
//! attr Type = "name"          // an attribute that may be there; required: that must
//! child Type = "name"         // an element; one: exactly once, many: any number, some: at least one
//! leaf Type = "name"          // an element with only a text; one_leaf, many_leaf, some_leaf
//! flag "name"                 // <name/>
//! text Type                   // the element's own text
//! part Type                   // the pieces of another declaration
//! without attr "name"         // not this attribute (or child), although there is a field for it
//! case "type" ["a" "b"] { … } // these pieces if the attribute has one of the values; [] if it is absent
//! foreign (NAMESPACE) Type = "name" // an element of another namespace
//! pieces (CONSTANT)           // the pieces of a constant
//! any                         // whatever else there is
//! ```
//! In place of a type, pieces in parentheses state a child that has no type of its own. A type is a [`crate::value::Value`] or one of [`crate::schema::kinds`] for values, an
//! [`crate::reader::Element`] for children.

/// The pieces of a shape, as a constant slice.
macro_rules! pieces {
    ($($words:tt)*) => { pieces_step!([] $($words)*) };
}

/// The shape of the type `$name`.
macro_rules! shape {
    ($name:ident: $($words:tt)*) => {
        &$crate::schema::Shape {
            name: concat!(module_path!(), "::", stringify!($name)),
            pieces: pieces!($($words)*),
        }
    };
}

/// Types without values for shapes that no field has: what a case allows in a child.
macro_rules! shapes {
    ($($(#[$meta:meta])* $name:ident { $($words:tt)* })*) => {$(
        $(#[$meta])*
        pub(super) struct $name;

        impl $crate::schema::Shaped for $name {
            const SHAPE: &'static $crate::schema::Shape = shape!($name: $($words)*);
        }
    )*};
}

macro_rules! pieces_step {
    ([$($done:expr,)*]) => { const { &[$($done),*] as &'static [$crate::schema::Piece] } };
    ([$($done:expr,)*] attr $ty:ty = $tag:literal $(, $($rest:tt)*)?) => {
        pieces_step!([$($done,)* $crate::schema::Piece::attr::<$ty>($tag, $crate::schema::Often::Optional),] $($($rest)*)?)
    };
    ([$($done:expr,)*] required $ty:ty = $tag:literal $(, $($rest:tt)*)?) => {
        pieces_step!([$($done,)* $crate::schema::Piece::attr::<$ty>($tag, $crate::schema::Often::Once),] $($($rest)*)?)
    };
    ([$($done:expr,)*] flag $tag:literal $(, $($rest:tt)*)?) => {
        pieces_step!([$($done,)* $crate::schema::Piece::child($tag, $crate::schema::Often::Optional, || $crate::schema::Shape::EMPTY),] $($($rest)*)?)
    };
    ([$($done:expr,)*] text $ty:ty $(, $($rest:tt)*)?) => {
        pieces_step!([$($done,)* $crate::schema::Piece::Text(<$ty as $crate::schema::Described>::KIND),] $($($rest)*)?)
    };
    ([$($done:expr,)*] part $ty:ty $(, $($rest:tt)*)?) => {
        pieces_step!([$($done,)* $crate::schema::Piece::Part(<$ty as $crate::reader::Part>::PIECES),] $($($rest)*)?)
    };
    ([$($done:expr,)*] without attr $tag:literal $(, $($rest:tt)*)?) => {
        pieces_step!([$($done,)* $crate::schema::Piece::attr::<String>($tag, $crate::schema::Often::Never),] $($($rest)*)?)
    };
    ([$($done:expr,)*] without child $tag:literal $(, $($rest:tt)*)?) => {
        pieces_step!([$($done,)* $crate::schema::Piece::child($tag, $crate::schema::Often::Never, || $crate::schema::Shape::EMPTY),] $($($rest)*)?)
    };
    ([$($done:expr,)*] case $attr:literal [$($word:literal)*] { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        pieces_step!([$($done,)* $crate::schema::Piece::Case { attr: $attr, words: &[$($word),*], pieces: pieces!($($inner)*) },] $($($rest)*)?)
    };
    ([$($done:expr,)*] pieces ($pieces:expr) $(, $($rest:tt)*)?) => {
        pieces_step!([$($done,)* $crate::schema::Piece::Part($pieces),] $($($rest)*)?)
    };
    ([$($done:expr,)*] foreign ($namespace:expr) ($($inner:tt)*) = $tag:literal $(, $($rest:tt)*)?) => {
        pieces_step!([$($done,)* $crate::schema::Piece::Child($crate::schema::Child {
            name: $tag,
            namespace: Some($namespace),
            often: $crate::schema::Often::Optional,
            body: $crate::schema::ChildBody::Shape(|| inline_shape!($($inner)*)),
        }),] $($($rest)*)?)
    };
    ([$($done:expr,)*] foreign ($namespace:expr) $ty:ty = $tag:literal $(, $($rest:tt)*)?) => {
        pieces_step!([$($done,)* $crate::schema::Piece::Child($crate::schema::Child {
            name: $tag,
            namespace: Some($namespace),
            often: $crate::schema::Often::Optional,
            body: $crate::schema::ChildBody::Shape(|| <$ty as $crate::schema::Shaped>::SHAPE),
        }),] $($($rest)*)?)
    };
    ([$($done:expr,)*] $word:ident ($($inner:tt)*) = $tag:literal $(, $($rest:tt)*)?) => {
        pieces_step!([$($done,)* child_piece!($word ($($inner)*), $tag),] $($($rest)*)?)
    };
    ([$($done:expr,)*] any $(, $($rest:tt)*)?) => {
        pieces_step!([$($done,)* $crate::schema::Piece::Any,] $($($rest)*)?)
    };
    ([$($done:expr,)*] $word:ident $ty:ty = $tag:literal $(, $($rest:tt)*)?) => {
        pieces_step!([$($done,)* child_piece!($word $ty, $tag),] $($($rest)*)?)
    };
}

/// A shape that stands only where it is stated.
macro_rules! inline_shape {
    ($($words:tt)*) => { const { &$crate::schema::Shape { name: "", pieces: pieces!($($words)*) } } };
}

macro_rules! child_piece {
    (child ($($inner:tt)*), $tag:literal) => { child_piece!(@inline Optional [$($inner)*] $tag) };
    (one ($($inner:tt)*), $tag:literal) => { child_piece!(@inline Once [$($inner)*] $tag) };
    (many ($($inner:tt)*), $tag:literal) => { child_piece!(@inline Any [$($inner)*] $tag) };
    (some ($($inner:tt)*), $tag:literal) => { child_piece!(@inline Some [$($inner)*] $tag) };
    (@inline $often:ident [$($inner:tt)*] $tag:literal) => {
        $crate::schema::Piece::child($tag, $crate::schema::Often::$often, || inline_shape!($($inner)*))
    };
    (child $ty:ty, $tag:literal) => { child_piece!(@shape Optional $ty, $tag) };
    (one $ty:ty, $tag:literal) => { child_piece!(@shape Once $ty, $tag) };
    (many $ty:ty, $tag:literal) => { child_piece!(@shape Any $ty, $tag) };
    (some $ty:ty, $tag:literal) => { child_piece!(@shape Some $ty, $tag) };
    (leaf $ty:ty, $tag:literal) => { child_piece!(@leaf Optional $ty, $tag) };
    (one_leaf $ty:ty, $tag:literal) => { child_piece!(@leaf Once $ty, $tag) };
    (many_leaf $ty:ty, $tag:literal) => { child_piece!(@leaf Any $ty, $tag) };
    (some_leaf $ty:ty, $tag:literal) => { child_piece!(@leaf Some $ty, $tag) };
    (@shape $often:ident $ty:ty, $tag:literal) => {
        $crate::schema::Piece::child($tag, $crate::schema::Often::$often, || <$ty as $crate::schema::Shaped>::SHAPE)
    };
    (@leaf $often:ident $ty:ty, $tag:literal) => {
        $crate::schema::Piece::leaf($tag, $crate::schema::Often::$often, <$ty as $crate::schema::Described>::KIND)
    };
}

/// The piece that follows from a field of `element!` or `part!`.
macro_rules! field_piece {
    (attr $ty:ty, $tag:literal) => {
        $crate::schema::Piece::slot::<$ty>($tag, $crate::schema::Often::Optional)
    };
    (required $ty:ty, $tag:literal) => {
        $crate::schema::Piece::slot::<$ty>($tag, $crate::schema::Often::Once)
    };
    (leaf $ty:ty, $tag:literal) => {
        $crate::schema::Piece::leaf(
            $tag,
            <$ty as $crate::slot::LeafSlot>::OFTEN,
            <$ty as $crate::slot::LeafSlot>::KIND,
        )
    };
    (needed $ty:ty, $tag:literal) => {
        $crate::schema::Piece::leaf(
            $tag,
            $crate::schema::Often::Once,
            <$ty as $crate::slot::LeafSlot>::KIND,
        )
    };
    (flag $ty:ty, $tag:literal) => {
        $crate::schema::Piece::child($tag, $crate::schema::Often::Optional, || {
            $crate::schema::Shape::EMPTY
        })
    };
    (text $ty:ty) => {
        $crate::schema::Piece::text::<$ty>()
    };
    (part $ty:ty) => {
        $crate::schema::Piece::Part(<$ty as $crate::reader::Part>::PIECES)
    };
    (status $ty:ty, $tag:literal) => {
        $crate::schema::Piece::Status($tag)
    };
    (status_attr $ty:ty, $tag:literal) => {
        $crate::schema::Piece::Status($tag)
    };
    ($kind:ident $ty:ty, $tag:literal) => {
        $crate::schema::Piece::child(
            $tag,
            <$ty as $crate::slot::ChildSlot>::OFTEN,
            <$ty as $crate::slot::ChildSlot>::shape,
        )
    };
}

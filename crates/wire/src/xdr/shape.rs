// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a message is made of, as data. It comes from the same lines as the code that reads and
//! writes, so it cannot differ from it.

/// The shape of a value. Numbers in it are limits, in elements or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Nothing at all (the reply of a call that answers nothing).
    Void,
    Int,
    UInt,
    Hyper,
    UHyper,
    Char,
    UChar,
    Short,
    UShort,
    Double,
    Bool,
    /// An `int` of which only these values are known.
    Enum(&'static [i32]),
    Uuid,
    String(usize),
    Bytes(usize),
    Optional(&'static Shape),
    Array(&'static Shape, usize),
    Fixed(&'static Shape, usize),
    /// The value of a typed parameter: an `int` that says which, then that.
    TypedValue,
    Struct(&'static str, &'static [Field]),
}

impl Shape {
    /// The fewest bytes that a value of this shape takes.
    #[must_use]
    pub const fn min_size(&self) -> usize {
        match *self {
            Self::Void => 0,
            Self::Hyper | Self::UHyper | Self::Double | Self::TypedValue => 8,
            Self::Uuid => 16,
            Self::Fixed(of, length) => of.min_size() * length,
            Self::Struct(_, fields) => {
                let (mut size, mut next) = (0, 0);
                while next < fields.len() {
                    size += fields[next].shape.min_size();
                    next += 1;
                }
                size
            }
            _ => 4,
        }
    }
}

/// A field of a struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
}

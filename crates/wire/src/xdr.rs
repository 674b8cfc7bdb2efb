// SPDX-License-Identifier: Apache-2.0 OR MIT
//! XDR as libvirt speaks it: big endian, in words of four bytes.
//!
//! A type is written and read by its [`Xdr`]; what has a limit (strings, bytes, lists) by its
//! [`Bounded`], because the limit belongs to the field, not to the type. Both also tell their
//! [`Shape`], from which tests and fuzzers make messages.

mod decoder;
mod encoder;
mod shape;
mod types;

pub use decoder::{DecodeError, Decoder, What};
pub use encoder::{EncodeError, Encoder};
pub use shape::{Field, Shape};

/// The limit of a string whose field states none (`STRING_MAX` of the remote program).
pub const STRING_MAX: usize = virtus_api::limits::STRING_MAX;

/// A type that looks the same wherever it stands.
pub trait Xdr: Sized {
    /// What it is made of.
    const SHAPE: Shape;

    fn put(&self, out: &mut Encoder<'_>);

    fn take(input: &mut Decoder<'_>) -> Result<Self, DecodeError>;
}

/// A type that may have at most a given number of elements or bytes.
pub trait Bounded: Sized {
    fn put_max(&self, max: usize, out: &mut Encoder<'_>);

    fn take_max(max: usize, input: &mut Decoder<'_>) -> Result<Self, DecodeError>;
}

/// The shape of a [`Bounded`] type under a limit.
pub trait BoundedShape<const MAX: usize> {
    const SHAPE: Shape;
}

/// What may be an element of a list. Bytes are not: a list of them is opaque data, not one word each.
pub trait Element: Xdr {}

/// Implements [`Xdr`] for structs whose fields are listed in the order of the wire; `[MAX]` after a
/// type is the limit of that field.
macro_rules! xdr {
    ($($name:ident { $($field:ident: $kind:ty $([$max:ident])?),* $(,)? })*) => { $(
        impl $crate::xdr::Xdr for virtus_api::$name {
            const SHAPE: $crate::xdr::Shape = $crate::xdr::Shape::Struct(
                stringify!($name),
                &[$($crate::xdr::Field {
                    name: stringify!($field),
                    shape: $crate::xdr::shape_of!($kind $(, $max)?),
                }),*],
            );

            fn put(&self, out: &mut $crate::xdr::Encoder<'_>) {
                let _ = &out;
                $($crate::xdr::put!(self.$field, out $(, $max)?);)*
            }

            fn take(
                input: &mut $crate::xdr::Decoder<'_>,
            ) -> Result<Self, $crate::xdr::DecodeError> {
                let _ = &input;
                Ok(Self { $($field: $crate::xdr::take!(input $(, $max)?)),* })
            }
        }

        impl $crate::xdr::Element for virtus_api::$name {}
    )* };
}

/// Writes a value, under a limit if there is one.
macro_rules! put {
    ($value:expr, $out:expr) => {
        $crate::xdr::Xdr::put(&$value, $out)
    };
    ($value:expr, $out:expr, $max:ident) => {
        $crate::xdr::Bounded::put_max(&$value, virtus_api::limits::$max, $out)
    };
}

/// Reads a value, under a limit if there is one.
macro_rules! take {
    ($input:expr) => {
        $crate::xdr::Xdr::take($input)?
    };
    ($input:expr, $max:ident) => {
        $crate::xdr::Bounded::take_max(virtus_api::limits::$max, $input)?
    };
}

/// The shape of a type, under a limit if there is one.
macro_rules! shape_of {
    ($kind:ty) => {
        <$kind as $crate::xdr::Xdr>::SHAPE
    };
    ($kind:ty, $max:ident) => {
        <$kind as $crate::xdr::BoundedShape<{ virtus_api::limits::$max }>>::SHAPE
    };
}

pub(crate) use {put, shape_of, take, xdr};

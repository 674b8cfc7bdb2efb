// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The types that messages are made of. `char`, `uchar`, `short` and `ushort` take a whole word each,
//! in lists too; on reading, what does not fit is cut off as C does it.

use std::borrow::Cow;

use uuid::Uuid;
use virtus_api::{AuthType, TypedValue};

use super::{
    Bounded, BoundedShape, DecodeError, Decoder, Element, Encoder, STRING_MAX, Shape, What, Xdr,
    xdr,
};

/// How many times larger than its message a list may be in memory; held at compile time.
const GROWTH: usize = 8;

macro_rules! number {
    ($($kind:ty, $shape:ident, $read:ident as $wide:ty;)*) => { $(
        impl Xdr for $kind {
            const SHAPE: Shape = Shape::$shape;

            fn put(&self, out: &mut Encoder<'_>) {
                out.$read(<$wide>::from(*self).to_be_bytes());
            }

            fn take(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                Ok(<$wide>::from_be_bytes(input.$read()?) as Self)
            }
        }
    )* };
}
number! {
    i32, Int, word as i32;
    u32, UInt, word as u32;
    i64, Hyper, double_word as i64;
    u64, UHyper, double_word as u64;
    i8, Char, word as i32;
    u8, UChar, word as u32;
    i16, Short, word as i32;
    u16, UShort, word as u32;
}

macro_rules! element {
    ($($kind:ty),*) => { $(impl Element for $kind {})* };
}
element!(i8, i16, u16, i32, u32, i64, u64, f64, String, AuthType, Uuid);

impl Xdr for f64 {
    const SHAPE: Shape = Shape::Double;

    fn put(&self, out: &mut Encoder<'_>) {
        out.double_word(self.to_bits().to_be_bytes());
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self::from_bits(u64::from_be_bytes(input.double_word()?)))
    }
}

impl Xdr for bool {
    const SHAPE: Shape = Shape::Bool;

    fn put(&self, out: &mut Encoder<'_>) {
        out.word(u32::from(*self).to_be_bytes());
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.bool()
    }
}

impl Xdr for () {
    const SHAPE: Shape = Shape::Void;

    fn put(&self, _: &mut Encoder<'_>) {}

    fn take(_: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(())
    }
}

impl Xdr for Uuid {
    const SHAPE: Shape = Shape::Uuid;

    fn put(&self, out: &mut Encoder<'_>) {
        out.padded(self.as_bytes());
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.uuid().map(Self::from_bytes)
    }
}

impl Xdr for String {
    const SHAPE: Shape = Shape::String(STRING_MAX);

    fn put(&self, out: &mut Encoder<'_>) {
        out.string(self, STRING_MAX);
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.string(STRING_MAX).map(str::to_owned)
    }
}

impl Xdr for Cow<'static, str> {
    const SHAPE: Shape = Shape::String(STRING_MAX);

    fn put(&self, out: &mut Encoder<'_>) {
        out.string(self, STRING_MAX);
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        String::take(input).map(Self::Owned)
    }
}

impl Bounded for String {
    fn put_max(&self, max: usize, out: &mut Encoder<'_>) {
        out.string(self, max);
    }

    fn take_max(max: usize, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.string(max).map(str::to_owned)
    }
}

impl<const MAX: usize> BoundedShape<MAX> for String {
    const SHAPE: Shape = Shape::String(MAX);
}

impl Bounded for Vec<u8> {
    fn put_max(&self, max: usize, out: &mut Encoder<'_>) {
        if out.count(self.len(), max) {
            out.padded(self);
        }
    }

    fn take_max(max: usize, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.bytes(max).map(<[u8]>::to_vec)
    }
}

impl<const MAX: usize> BoundedShape<MAX> for Vec<u8> {
    const SHAPE: Shape = Shape::Bytes(MAX);
}

impl<T: Element> Bounded for Vec<T> {
    fn put_max(&self, max: usize, out: &mut Encoder<'_>) {
        if out.count(self.len(), max) {
            for element in self {
                element.put(out);
            }
        }
    }

    fn take_max(max: usize, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        // What is reserved is at most `GROWTH` times what is there, for every list of the protocol.
        let size = const {
            assert!(size_of::<T>() <= GROWTH * T::SHAPE.min_size());
            T::SHAPE.min_size()
        };
        let length = input.count(max, size)?;
        let mut list = Self::with_capacity(length);
        for _ in 0..length {
            list.push(T::take(input)?);
        }
        Ok(list)
    }
}

impl<T: Element, const MAX: usize> BoundedShape<MAX> for Vec<T> {
    const SHAPE: Shape = Shape::Array(&T::SHAPE, MAX);
}

impl<T: Xdr + Copy + Default, const N: usize> Xdr for [T; N] {
    const SHAPE: Shape = Shape::Fixed(&T::SHAPE, N);

    fn put(&self, out: &mut Encoder<'_>) {
        for element in self {
            element.put(out);
        }
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut array = [T::default(); N];
        for element in &mut array {
            *element = T::take(input)?;
        }
        Ok(array)
    }
}

impl<T: Xdr> Xdr for Option<T> {
    const SHAPE: Shape = Shape::Optional(&T::SHAPE);

    fn put(&self, out: &mut Encoder<'_>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(if input.bool()? { Some(T::take(input)?) } else { None })
    }
}

impl Xdr for AuthType {
    const SHAPE: Shape = Shape::Enum(&[0, 1, 2]);

    fn put(&self, out: &mut Encoder<'_>) {
        (*self as i32).put(out);
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let at = input.position();
        Self::try_from(i32::take(input)?).map_err(|unknown| DecodeError {
            at,
            what: What::UnknownValue { of: unknown.of, value: unknown.value },
        })
    }
}

impl Xdr for TypedValue {
    const SHAPE: Shape = Shape::TypedValue;

    fn put(&self, out: &mut Encoder<'_>) {
        self.type_number().put(out);
        match self {
            Self::Int(value) => value.put(out),
            Self::UInt(value) => value.put(out),
            Self::LLong(value) => value.put(out),
            Self::ULLong(value) => value.put(out),
            Self::Double(value) => value.put(out),
            Self::Boolean(value) => i32::from(*value).put(out),
            Self::String(value) => value.put(out),
        }
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let at = input.position();
        Ok(match i32::take(input)? {
            1 => Self::Int(Xdr::take(input)?),
            2 => Self::UInt(Xdr::take(input)?),
            3 => Self::LLong(Xdr::take(input)?),
            4 => Self::ULLong(Xdr::take(input)?),
            5 => Self::Double(Xdr::take(input)?),
            // An int on the wire, of which C programs ask only whether it is zero.
            6 => Self::Boolean(i32::take(input)? != 0),
            7 => Self::String(Xdr::take(input)?),
            value => {
                let what = What::UnknownValue { of: "virTypedParameterType", value };
                return Err(DecodeError { at, what });
            }
        })
    }
}

xdr! {
    TypedParam { field: Cow<'static, str>, value: TypedValue }
}

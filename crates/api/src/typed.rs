// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Typed parameters: values that carry their name and type. Names stand in [`crate::params`].

use std::borrow::Cow;

/// A named value.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct TypedParam {
    /// The name; most of those that are sent are constants.
    pub field: Cow<'static, str>,
    pub value: TypedValue,
}

/// The value of a typed parameter; the discriminants are C's `virTypedParameterType`.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum TypedValue {
    Int(i32),
    UInt(u32),
    LLong(i64),
    ULLong(u64),
    Double(f64),
    Boolean(bool),
    String(String),
}

impl TypedParam {
    pub fn new(field: impl Into<Cow<'static, str>>, value: impl Into<TypedValue>) -> Self {
        Self { field: field.into(), value: value.into() }
    }
}

impl TypedValue {
    /// C's number of the type.
    #[must_use]
    pub fn type_number(&self) -> i32 {
        match self {
            Self::Int(_) => 1,
            Self::UInt(_) => 2,
            Self::LLong(_) => 3,
            Self::ULLong(_) => 4,
            Self::Double(_) => 5,
            Self::Boolean(_) => 6,
            Self::String(_) => 7,
        }
    }

    /// What error texts call the type.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Int(_) => "int",
            Self::UInt(_) => "uint",
            Self::LLong(_) => "llong",
            Self::ULLong(_) => "ullong",
            Self::Double(_) => "double",
            Self::Boolean(_) => "boolean",
            Self::String(_) => "string",
        }
    }

    /// The value as an unsigned number, if it is a whole number that is not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Int(value) => u64::try_from(*value).ok(),
            Self::UInt(value) => Some(u64::from(*value)),
            Self::LLong(value) => u64::try_from(*value).ok(),
            Self::ULLong(value) => Some(*value),
            _ => None,
        }
    }

    /// The value as a signed number, if it is a whole number in range.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(i64::from(*value)),
            Self::UInt(value) => Some(i64::from(*value)),
            Self::LLong(value) => Some(*value),
            Self::ULLong(value) => i64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),+) => {
        $(impl From<$from> for TypedValue {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })+
    };
}
from!(i32 => Int, u32 => UInt, i64 => LLong, u64 => ULLong, f64 => Double, bool => Boolean, String => String, &str => String);

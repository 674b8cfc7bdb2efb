// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reading. Every count is compared with its limit and with the bytes that are left before anything
//! is reserved for it.

use std::fmt;

use virtus_api::{Error, ErrorCode, ErrorDomain};

/// Reads XDR from the front of a slice. What is left over at the end is not looked at: stock daemons
/// ignore it too.
pub struct Decoder<'a> {
    input: &'a [u8],
    at: usize,
}

/// What is wrong with the input, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// The offset in the body.
    pub at: usize,
    pub what: What,
}

/// The ways in which input can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It ends before the message does.
    Short,
    /// A list, string or byte array has more elements than the protocol allows.
    TooLong { length: usize, max: usize },
    /// A text is not UTF-8.
    NotUtf8,
    /// A text contains a NUL character.
    Nul,
    /// A number has no meaning in its place.
    UnknownValue { of: &'static str, value: i32 },
}

impl<'a> Decoder<'a> {
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// The bytes that have not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        &self.input[self.at..]
    }

    #[must_use]
    pub fn error(&self, what: What) -> DecodeError {
        DecodeError { at: self.at, what }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, _) =
            self.rest().split_first_chunk::<N>().ok_or_else(|| self.error(What::Short))?;
        self.at += N;
        Ok(*bytes)
    }

    pub fn word(&mut self) -> Result<[u8; 4], DecodeError> {
        self.array()
    }

    pub fn double_word(&mut self) -> Result<[u8; 8], DecodeError> {
        self.array()
    }

    pub fn uuid(&mut self) -> Result<[u8; 16], DecodeError> {
        self.array()
    }

    /// Anything but zero is true, as to stock daemons: there are clients that send more than 1.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.word()? != [0; 4])
    }

    /// A count of elements that take at least `size` bytes each.
    pub fn count(&mut self, max: usize, size: usize) -> Result<usize, DecodeError> {
        let at = self.at;
        let fail = |what| Err(DecodeError { at, what });
        let Ok(length) = usize::try_from(u32::from_be_bytes(self.word()?)) else {
            return fail(What::TooLong { length: usize::MAX, max });
        };
        if length > max {
            return fail(What::TooLong { length, max });
        }
        match length.checked_mul(size) {
            Some(needed) if needed <= self.rest().len() => Ok(length),
            _ => fail(What::Short),
        }
    }

    /// Bytes with a count before them and padding behind.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], DecodeError> {
        let length = self.count(max, 1)?;
        let padded = length.next_multiple_of(4);
        let bytes = self.rest().get(..padded).ok_or_else(|| self.error(What::Short))?;
        self.at += padded;
        Ok(&bytes[..length])
    }

    pub fn string(&mut self, max: usize) -> Result<&'a str, DecodeError> {
        let at = self.at;
        let bytes = self.bytes(max)?;
        let text =
            std::str::from_utf8(bytes).map_err(|_| DecodeError { at, what: What::NotUtf8 })?;
        if bytes.contains(&0) {
            return Err(DecodeError { at, what: What::Nul });
        }
        Ok(text)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Short => f.write_str("it ends too early")?,
            What::TooLong { length, max } => {
                write!(f, "{length} elements stand where the protocol allows {max}")?;
            }
            What::NotUtf8 => f.write_str("a text is not UTF-8")?,
            What::Nul => f.write_str("a text contains a NUL character")?,
            What::UnknownValue { of, value } => write!(f, "{value} is not a value of {of}")?,
        }
        write!(f, " (at byte {})", self.at)
    }
}

impl std::error::Error for DecodeError {}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::new(ErrorCode::Rpc, format!("Unable to decode message payload: {error}"))
            .in_domain(ErrorDomain::Rpc)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Writing. The first thing that cannot be written is remembered and reported at the end, so that
//! the code that writes a message needs no error handling.

use std::fmt;

use virtus_api::{Error, ErrorCode, ErrorDomain};

/// Appends XDR to a buffer.
pub struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    error: Option<EncodeError>,
}

/// Why a value cannot be sent. It is the sender's mistake, never the peer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodeError {
    /// A list, string or byte array has more elements than the protocol allows.
    TooLong { length: usize, max: usize },
    /// A string has a NUL character inside, where C would end it.
    Nul,
    /// The value is not of the type that belongs to the call.
    OtherType { call: &'static str },
    /// The event has no message of the kind asked for.
    NoSuchMessage,
    /// The whole message is longer than a frame may be.
    FrameTooLong { length: usize },
}

impl<'a> Encoder<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, error: None }
    }

    /// Whether everything could be written.
    pub fn finish(self) -> Result<(), EncodeError> {
        self.error.map_or(Ok(()), Err)
    }

    pub fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    pub fn word(&mut self, word: [u8; 4]) {
        self.out.extend_from_slice(&word);
    }

    pub fn double_word(&mut self, word: [u8; 8]) {
        self.out.extend_from_slice(&word);
    }

    /// Bytes, filled up with zeros to a multiple of four.
    pub fn padded(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        let padding = bytes.len().next_multiple_of(4) - bytes.len();
        self.out.extend_from_slice(&[0; 4][..padding]);
    }

    /// The count before a list, string or byte array; `false` if it is over the limit.
    pub fn count(&mut self, length: usize, max: usize) -> bool {
        match u32::try_from(length) {
            Ok(count) if length <= max => {
                self.word(count.to_be_bytes());
                true
            }
            _ => {
                self.fail(EncodeError::TooLong { length, max });
                false
            }
        }
    }

    pub fn string(&mut self, text: &str, max: usize) {
        if text.as_bytes().contains(&0) {
            self.fail(EncodeError::Nul);
        } else if self.count(text.len(), max) {
            self.padded(text.as_bytes());
        }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length, max } => {
                write!(f, "{length} elements do not fit where the protocol allows {max}")
            }
            Self::Nul => f.write_str("a text contains a NUL character"),
            Self::OtherType { call } => write!(f, "the value does not belong to {call}"),
            Self::NoSuchMessage => f.write_str("the event has no message of this form"),
            Self::FrameTooLong { length } => {
                write!(f, "a message of {length} bytes is longer than the protocol allows")
            }
        }
    }
}

impl std::error::Error for EncodeError {}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::new(ErrorCode::Rpc, format!("Unable to encode message payload: {error}"))
            .in_domain(ErrorDomain::Rpc)
    }
}

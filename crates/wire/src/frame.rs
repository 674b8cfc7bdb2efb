// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Frames: a length word (which counts itself), a header of 24 bytes, a body.
//!
//! Messages with descriptors have their count between header and body; the descriptors follow the
//! frame outside of it. Stream data is the bare body, of any length.

use std::fmt;

use virtus_api::limits::{NET_MAX, NET_NUM_FDS_MAX};
use virtus_api::{Error, ErrorCode, ErrorDomain, StreamHole};

use crate::program::Address;
use crate::xdr::{DecodeError, Decoder, EncodeError, Encoder, Xdr};

pub const LENGTH_WORD: usize = 4;
pub const HEADER: usize = 24;
/// The shortest frame: length word and header.
pub const MIN_FRAME: usize = LENGTH_WORD + HEADER;
/// The longest frame, with its length word.
pub const MAX_FRAME: usize = LENGTH_WORD + NET_MAX;
/// The most that bulk senders put into one stream message.
pub const STREAM_CHUNK: usize = virtus_api::limits::NET_LEGACY_PAYLOAD_MAX;
/// The most descriptors that one message may carry.
pub const MAX_FDS: usize = NET_NUM_FDS_MAX;

/// What every message starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub program: u32,
    pub version: u32,
    pub procedure: i32,
    pub kind: MessageKind,
    pub serial: u32,
    pub status: Status,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum MessageKind {
    Call = 0,
    Reply = 1,
    /// An event, or a keepalive message.
    Message = 2,
    Stream = 3,
    CallWithFds = 4,
    ReplyWithFds = 5,
    StreamHole = 6,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Status {
    Ok = 0,
    Error = 1,
    /// More stream data follows.
    Continue = 2,
}

/// Why a frame cannot be read; the connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// The length word says less than a header or more than is allowed.
    Length(u32),
    /// The slice is not as long as its length word says.
    Incomplete {
        length: usize,
        present: usize,
    },
    UnknownKind(i32),
    UnknownStatus(i32),
    /// More descriptors than one message may carry, or no count of them.
    Descriptors(Option<u32>),
}

/// A whole frame, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub header: Header,
    /// How many descriptors follow the frame.
    pub fds: usize,
    pub body: &'a [u8],
}

impl Header {
    /// The header of a call.
    #[must_use]
    pub fn call(to: Address, serial: u32) -> Self {
        let Address { program, version, procedure } = to;
        let (kind, status) = (MessageKind::Call, Status::Ok);
        Self { program, version, procedure, kind, serial, status }
    }

    /// The header of an answer to this message: same program, procedure and serial.
    #[must_use]
    pub fn answer(self, kind: MessageKind, status: Status) -> Self {
        Self { kind, status, ..self }
    }

    /// The header of an event; stock daemons give all of them the serial 1.
    #[must_use]
    pub fn event(to: Address) -> Self {
        Self { kind: MessageKind::Message, ..Self::call(to, 1) }
    }
}

impl MessageKind {
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::Call,
            1 => Self::Reply,
            2 => Self::Message,
            3 => Self::Stream,
            4 => Self::CallWithFds,
            5 => Self::ReplyWithFds,
            6 => Self::StreamHole,
            _ => return None,
        })
    }

    /// Whether a count of descriptors stands before the body.
    #[must_use]
    pub fn counts_fds(self) -> bool {
        matches!(self, Self::CallWithFds | Self::ReplyWithFds)
    }
}

impl Status {
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::Ok,
            1 => Self::Error,
            2 => Self::Continue,
            _ => return None,
        })
    }
}

/// The length of the frame that `received` starts with, its length word included; `None` until
/// four bytes are there. An error as soon as those say that the frame can never be valid.
pub fn frame_length(received: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some((word, _)) = received.split_first_chunk::<LENGTH_WORD>() else { return Ok(None) };
    let word = u32::from_be_bytes(*word);
    match usize::try_from(word) {
        Ok(length) if (MIN_FRAME..=MAX_FRAME).contains(&length) => Ok(Some(length)),
        _ => Err(FrameError::Length(word)),
    }
}

impl<'a> Frame<'a> {
    /// Takes apart a whole frame (length word included).
    pub fn decode(frame: &'a [u8]) -> Result<Self, FrameError> {
        let length = frame_length(frame)?.unwrap_or(MIN_FRAME);
        if length != frame.len() {
            return Err(FrameError::Incomplete { length, present: frame.len() });
        }
        let mut input = Decoder::new(&frame[LENGTH_WORD..]);
        let short = |_| FrameError::Incomplete { length, present: frame.len() };
        let program = u32::take(&mut input).map_err(short)?;
        let version = u32::take(&mut input).map_err(short)?;
        let procedure = i32::take(&mut input).map_err(short)?;
        let kind = i32::take(&mut input).map_err(short)?;
        let kind = MessageKind::from_number(kind).ok_or(FrameError::UnknownKind(kind))?;
        let serial = u32::take(&mut input).map_err(short)?;
        let status = i32::take(&mut input).map_err(short)?;
        let status = Status::from_number(status).ok_or(FrameError::UnknownStatus(status))?;
        let fds = if kind.counts_fds() { fd_count(&mut input)? } else { 0 };
        let header = Header { program, version, procedure, kind, serial, status };
        Ok(Self { header, fds, body: input.rest() })
    }
}

fn fd_count(input: &mut Decoder<'_>) -> Result<usize, FrameError> {
    let count = u32::take(input).map_err(|_| FrameError::Descriptors(None))?;
    match usize::try_from(count) {
        Ok(fds) if fds <= MAX_FDS => Ok(fds),
        _ => Err(FrameError::Descriptors(Some(count))),
    }
}

/// Appends a frame whose body `body` writes; `fds` is the count for kinds that have one. On error
/// `out` is as it was before.
pub fn encode_frame(
    header: &Header,
    fds: usize,
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    let done = write_frame(header, fds, out, body);
    if done.is_err() {
        out.truncate(start);
    }
    done
}

fn write_frame(
    header: &Header,
    fds: usize,
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    let mut encoder = Encoder::new(out);
    0_u32.put(&mut encoder);
    header.program.put(&mut encoder);
    header.version.put(&mut encoder);
    header.procedure.put(&mut encoder);
    (header.kind as i32).put(&mut encoder);
    header.serial.put(&mut encoder);
    (header.status as i32).put(&mut encoder);
    if header.kind.counts_fds() {
        encoder.count(fds, MAX_FDS);
    }
    encoder.finish()?;
    body(out)?;
    let length = out.len() - start;
    let word = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME);
    let word = word.ok_or(EncodeError::FrameTooLong { length })?;
    out[start..start + LENGTH_WORD].copy_from_slice(&word.to_be_bytes());
    Ok(())
}

/// Appends a frame with a body that exists already (stream data, or nothing).
pub fn encode_raw(header: &Header, body: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    encode_frame(header, 0, out, |out| {
        out.extend_from_slice(body);
        Ok(())
    })
}

/// Appends what stands before a body of `length` bytes that is sent from where it is.
pub fn encode_head(header: &Header, length: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    encode_frame(header, 0, out, |_| Ok(()))?;
    let length = out.len() - start + length;
    let word = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME);
    let Some(word) = word else {
        out.truncate(start);
        return Err(EncodeError::FrameTooLong { length });
    };
    out[start..start + LENGTH_WORD].copy_from_slice(&word.to_be_bytes());
    Ok(())
}

/// Reads the body of a hole in a stream.
pub fn decode_hole(body: &[u8]) -> Result<StreamHole, DecodeError> {
    StreamHole::take(&mut Decoder::new(body))
}

/// Appends the body of a hole in a stream.
pub fn encode_hole(hole: &StreamHole, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut encoder = Encoder::new(out);
    hole.put(&mut encoder);
    encoder.finish()
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "a frame cannot be {length} bytes long"),
            Self::Incomplete { length, present } => {
                write!(f, "a frame of {length} bytes has {present}")
            }
            Self::UnknownKind(kind) => write!(f, "unknown message type {kind}"),
            Self::UnknownStatus(status) => write!(f, "unknown message status {status}"),
            Self::Descriptors(Some(count)) => {
                write!(f, "{count} file descriptors with one message, {MAX_FDS} are allowed")
            }
            Self::Descriptors(None) => f.write_str("the count of file descriptors is missing"),
        }
    }
}

impl std::error::Error for FrameError {}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        Self::new(ErrorCode::Rpc, error.to_string()).in_domain(ErrorDomain::Rpc)
    }
}

#[cfg(test)]
mod tests;

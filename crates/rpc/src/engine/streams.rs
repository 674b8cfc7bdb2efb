// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The streams that a client has open, as far as the protocol is concerned.
//!
//! ```text
//!           we send OK                       OK from the daemon
//!  open ─────────────────▶ finishing ──────────────────────────▶ gone
//!   │  (data still arrives)                                       ▲
//!   ├── we send ERROR ─▶ aborted (what arrives is dropped) ── OK ─┤
//!   ├── ERROR from the daemon ────────────────────────────────────┤
//!   └── the call is refused ──────────────────────────────────────┘
//! ```
//! An empty CONTINUE is the daemon's end of data; the stream stays until we finish it.

use std::collections::HashMap;

use bytes::Bytes;
use virtus_api::{AnyRequest, Result, StreamHole};
use virtus_core::stream::Packet;
use virtus_wire::error_body;
use virtus_wire::frame::{
    Header, MessageKind, STREAM_CHUNK, Status, decode_hole, encode_frame, encode_hole, encode_raw,
};

use crate::errors;

/// Streams that one connection may have open; daemons allow no more.
pub(super) const MAX_STREAMS: usize = 64;

#[derive(Default)]
pub(super) struct Streams(HashMap<u32, Course>);

struct Course {
    header: Header,
    /// Whether holes may travel on it.
    sparse: bool,
    /// We have ended it, well or badly: nothing further is sent.
    ended: bool,
    aborted: bool,
    /// The end of data was told.
    drained: bool,
}

impl Streams {
    pub(super) fn has(&self, serial: u32) -> bool {
        self.0.contains_key(&serial)
    }

    /// The call in `header` will open a stream.
    pub(super) fn open(&mut self, header: Header, request: &AnyRequest) -> Result<()> {
        if self.0.len() >= MAX_STREAMS {
            return Err(errors::too_many_streams(MAX_STREAMS));
        }
        let meta = request.call().meta();
        let sparse = meta.sparse_flag.is_some_and(|bit| request.flags() & bit != 0);
        let course = Course { header, sparse, ended: false, aborted: false, drained: false };
        self.0.insert(header.serial, course);
        Ok(())
    }

    /// The call was refused.
    pub(super) fn forget(&mut self, serial: u32) {
        self.0.remove(&serial);
    }

    /// The frames of a packet; `None` if the stream has ended, or cannot carry holes.
    pub(super) fn send(&mut self, serial: u32, packet: Packet) -> Option<Vec<Vec<u8>>> {
        let course = self.0.get_mut(&serial).filter(|course| !course.ended)?;
        let frames = match packet {
            // Stock daemons hang on it.
            Packet::Hole(_) if !course.sparse => return None,
            Packet::Data(data) => data
                .chunks(STREAM_CHUNK)
                .filter_map(|chunk| course.raw(Status::Continue, chunk))
                .collect(),
            Packet::Hole(length) => course.hole(length).into_iter().collect(),
            Packet::Finish => {
                course.ended = true;
                course.raw(Status::Ok, &[]).into_iter().collect()
            }
            Packet::Abort(_) => course.abort().into_iter().collect(),
        };
        Some(frames)
    }

    /// What a packet from the daemon means, and what must be sent back at once.
    pub(super) fn packet(
        &mut self,
        header: Header,
        body: &[u8],
    ) -> (Option<Packet>, Option<Vec<u8>>) {
        let Some(course) = self.0.get_mut(&header.serial).filter(|course| {
            (course.header.program, course.header.procedure) == (header.program, header.procedure)
        }) else {
            return (None, None);
        };
        let packet = match (header.status, header.kind) {
            (Status::Error, _) => {
                let error = error_body::decode(body).unwrap_or_else(errors::undecodable);
                Some(Packet::Abort(Some(error)))
            }
            (Status::Ok, _) => (!course.drained).then_some(Packet::Finish),
            (Status::Continue, MessageKind::StreamHole) => match course.length_of(body) {
                Some(length) => Some(Packet::Hole(length)),
                None if course.aborted => None,
                None => {
                    let error = errors::stray_hole();
                    return (Some(Packet::Abort(Some(error))), course.abort());
                }
            },
            (Status::Continue, _) if body.is_empty() => {
                (!std::mem::replace(&mut course.drained, true)).then_some(Packet::Finish)
            }
            // Whoever sends data after its end is not listened to.
            (Status::Continue, _) => {
                (!course.drained).then(|| Packet::Data(Bytes::copy_from_slice(body)))
            }
        };
        let packet = packet.filter(|_| !course.aborted);
        if header.status != Status::Continue {
            self.0.remove(&header.serial);
        }
        (packet, None)
    }
}

impl Course {
    fn raw(&self, status: Status, body: &[u8]) -> Option<Vec<u8>> {
        // What goes back on a stream has the kind of a stream, not that of the call.
        raw(&self.header.answer(MessageKind::Stream, status), body)
    }

    fn abort(&mut self) -> Option<Vec<u8>> {
        (self.ended, self.aborted) = (true, true);
        self.raw(Status::Error, &[])
    }

    fn hole(&self, length: u64) -> Option<Vec<u8>> {
        let hole = StreamHole { length: i64::try_from(length).unwrap_or(i64::MAX), flags: 0 };
        let header = self.header.answer(MessageKind::StreamHole, Status::Continue);
        let mut frame = Vec::new();
        encode_frame(&header, 0, &mut frame, |out| encode_hole(&hole, out)).ok()?;
        Some(frame)
    }

    /// The length of a hole that may be here.
    fn length_of(&self, body: &[u8]) -> Option<u64> {
        let hole = decode_hole(body).ok().filter(|_| self.sparse)?;
        u64::try_from(hole.length).ok()
    }
}

/// A frame with this body; `None` if it does not fit, which bodies of our own making do.
pub(super) fn raw(header: &Header, body: &[u8]) -> Option<Vec<u8>> {
    let mut frame = Vec::with_capacity(virtus_wire::frame::MIN_FRAME + body.len());
    encode_raw(header, body, &mut frame).ok()?;
    Some(frame)
}

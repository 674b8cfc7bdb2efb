// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Stream data in large frames: they are read into memory of their own, which the driver gets as it is. After one
//! follows another like it, most of the time, and is read there from its first byte.

use bytes::Bytes;
use virtus_wire::frame::{Frame, MIN_FRAME, MessageKind, STREAM_CHUNK, frame_length};

use super::{Client, End, Phase};
use crate::transport::{CHUNK, Received};

/// The longest frame whose memory is set aside at once; what clients commonly send.
const MAX_KEPT: usize = MIN_FRAME + STREAM_CHUNK;

impl Client {
    /// Reads what is there of the next frame, or more if that is small.
    pub(super) fn receive(&mut self) -> Received {
        match (self.lacks(), self.large) {
            (0, Some(length)) if self.input.is_empty() => {
                let mut memory = self.streams.memory(length);
                let received = self.transport.receive_first(&mut memory, &mut self.fds);
                match received {
                    Received::Data => self.input = memory,
                    Received::Nothing | Received::End => self.streams.keep_unused(memory),
                }
                received
            }
            (0, _) => self.transport.receive(&mut self.input, &mut self.fds),
            (rest, _) => self.transport.receive_rest(&mut self.input, &mut self.fds, rest),
        }
    }

    /// How many bytes the frame that is being read lacks, if it is a large one. Its memory is there then.
    fn lacks(&mut self) -> usize {
        let length = match frame_length(&self.input) {
            Ok(Some(length)) if length > CHUNK => length,
            _ => return 0,
        };
        if length <= MAX_KEPT && self.input.capacity() < length {
            let mut memory = self.streams.memory(length);
            memory.clear();
            memory.extend_from_slice(&self.input);
            self.input = memory;
        }
        length.saturating_sub(self.input.len())
    }

    /// Whether the input is one large frame of a stream, and nothing else.
    pub(super) fn holds_large(&self) -> bool {
        self.input.len() > CHUNK
            && matches!(self.phase, Phase::Open(_))
            && Frame::decode(&self.input).is_ok_and(|f| f.header.kind == MessageKind::Stream)
    }

    /// Hands such a frame to its stream. Whether it stays for later.
    pub(super) fn take_large(&mut self) -> Result<bool, End> {
        if !self.may_take() {
            return Ok(true);
        }
        let frame = Bytes::from(std::mem::take(&mut self.input));
        let header = Frame::decode(&frame)?.header;
        if self.streams.packet(header, frame.slice(MIN_FRAME..))? {
            self.large = Some(frame.len()).filter(|length| *length <= MAX_KEPT);
            if self.large.is_some() {
                self.streams.keep_memory(&header, &frame);
            }
            self.keep(Vec::new(), 0);
            return Ok(false);
        }
        self.input = Vec::from(frame);
        Ok(true)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Stream data in large frames: they are read into memory of their own, which the driver gets as it is.

use bytes::Bytes;
use virtus_wire::frame::{Frame, MIN_FRAME, MessageKind, STREAM_CHUNK, frame_length};

use super::{Client, End, Phase};
use crate::transport::CHUNK;

/// The longest frame whose memory is set aside at once; what clients commonly send.
const MAX_KEPT: usize = MIN_FRAME + STREAM_CHUNK;

impl Client {
    /// How many bytes the frame that is being read lacks, if it is a large one. Its memory is there then.
    pub(super) fn lacks(&mut self) -> usize {
        let length = match frame_length(&self.input) {
            Ok(Some(length)) if length > CHUNK => length,
            _ => return 0,
        };
        if length <= MAX_KEPT && self.input.capacity() < length {
            let mut memory = self.streams.memory(length);
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
            if frame.len() <= MAX_KEPT {
                self.streams.keep_memory(&header, &frame);
            }
            self.keep(Vec::new(), 0);
            return Ok(false);
        }
        self.input = Vec::from(frame);
        Ok(true)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Buffers that are used again as soon as nobody holds their former content.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Buffers kept for later; more than are on their way at any time are not needed.
const KEPT: usize = 16;

/// Buffers in the order in which they were given away.
#[derive(Debug, Default)]
pub(super) struct Buffers(VecDeque<Bytes>);

impl Buffers {
    /// A buffer of `size` bytes, whatever is in it.
    pub(super) fn take(&mut self, size: usize) -> BytesMut {
        let free = self.0.pop_front_if(|oldest| oldest.is_unique());
        match free.and_then(|oldest| oldest.try_into_mut().ok()) {
            Some(mut buffer) => {
                buffer.resize(size, 0);
                buffer
            }
            None => BytesMut::zeroed(size),
        }
    }

    /// The content of a filled buffer, whose memory comes back once its clones are dropped.
    pub(super) fn give(&mut self, buffer: BytesMut) -> Bytes {
        let bytes = buffer.freeze();
        if self.0.len() < KEPT {
            self.0.push_back(bytes.clone());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_when_its_content_is_dropped() {
        let mut buffers = Buffers::default();
        let first = buffers.take(100);
        let place = first.as_ptr();
        let sent = buffers.give(first);
        assert_ne!(buffers.take(100).as_ptr(), place, "still on its way");
        drop(sent);
        let again = buffers.take(60);
        assert_eq!((again.as_ptr(), again.len()), (place, 60));
    }
}

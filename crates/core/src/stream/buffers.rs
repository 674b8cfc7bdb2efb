// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Buffers that are used again as soon as nobody holds their former content.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Buffers kept for later; more than are on their way at any time are not needed.
const KEPT: usize = 16;

/// Buffers in the order in which they were given away.
#[derive(Debug, Default)]
pub struct Buffers(VecDeque<Bytes>);

impl Buffers {
    /// A buffer of `size` bytes, whatever is in it.
    #[must_use]
    pub fn take(&mut self, size: usize) -> BytesMut {
        let free = self.0.pop_front_if(|oldest| oldest.is_unique());
        match free.and_then(|oldest| oldest.try_into_mut().ok()) {
            Some(mut buffer) => {
                buffer.resize(size, 0);
                buffer
            }
            None => BytesMut::zeroed(size),
        }
    }

    /// Keeps the memory of `content` for later, when whoever has it now is done with it.
    pub fn keep(&mut self, content: &Bytes) {
        if self.0.len() < KEPT {
            self.0.push_back(content.clone());
        }
    }

    /// Gives all memory back.
    pub fn clear(&mut self) {
        self.0 = VecDeque::new();
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
        let sent = first.freeze();
        buffers.keep(&sent);
        assert_ne!(buffers.take(100).as_ptr(), place, "still on its way");
        drop(sent);
        let again = buffers.take(60);
        assert_eq!((again.as_ptr(), again.len()), (place, 60));
    }
}

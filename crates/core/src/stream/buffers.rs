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
    /// A buffer that nobody else has any more, with its old content.
    #[must_use]
    pub fn take(&mut self) -> Option<BytesMut> {
        self.0.pop_front_if(|oldest| oldest.is_unique())?.try_into_mut().ok()
    }

    /// Keeps the memory of `content` for later, when whoever has it now is done with it.
    pub fn keep(&mut self, content: &Bytes) {
        if self.0.len() < KEPT {
            self.0.push_back(content.clone());
        }
    }

    /// Takes back a buffer that was not needed: the next one to be given away.
    pub fn put_back(&mut self, unused: Bytes) {
        self.0.push_front(unused);
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
        assert!(buffers.take().is_none());
        let sent = BytesMut::zeroed(100).freeze();
        buffers.keep(&sent);
        assert!(buffers.take().is_none(), "still on its way");
        let place = sent.as_ptr();
        drop(sent);
        assert_eq!(buffers.take().unwrap().as_ptr(), place);
        buffers.keep(&Bytes::from_static(b"never alone"));
        assert!(buffers.take().is_none());
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a request to the kernel's routing part looks in memory.

use std::io;
use std::net::IpAddr;

const HEAD: usize = 16;
const REQUEST_WITH_ANSWER: u16 = 1 | 4;
const ERROR: u16 = 2;

/// A request that is being written.
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; HEAD];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(REQUEST_WITH_ANSWER | flags).to_ne_bytes());
        Self(bytes)
    }

    /// A part of the fixed head that its kind has.
    pub(super) fn head(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The fixed head of messages about devices: number, flags, which flags count.
    pub(super) fn link(&mut self, index: u32, flags: u32, change: u32) -> &mut Self {
        self.head(&[0; 4]).head(&index.to_ne_bytes());
        self.head(&flags.to_ne_bytes()).head(&change.to_ne_bytes())
    }

    /// The same for what a device is to its bridge.
    pub(super) fn bridge(&mut self, index: u32) -> &mut Self {
        self.head(&[libc::AF_BRIDGE as u8, 0, 0, 0]).head(&index.to_ne_bytes()).head(&[0; 8])
    }

    pub(super) fn bytes(&mut self, name: u16, value: &[u8]) -> &mut Self {
        self.nest(name, |message| {
            message.head(value);
        })
    }

    pub(super) fn text(&mut self, name: u16, value: &str) -> &mut Self {
        self.bytes(name, &[value.as_bytes(), &[0]].concat())
    }

    pub(super) fn number(&mut self, name: u16, value: u32) -> &mut Self {
        self.bytes(name, &value.to_ne_bytes())
    }

    pub(super) fn address(&mut self, name: u16, value: IpAddr) -> &mut Self {
        match value {
            IpAddr::V4(address) => self.bytes(name, &address.octets()),
            IpAddr::V6(address) => self.bytes(name, &address.octets()),
        }
    }

    /// An attribute with whatever `fill` writes in it.
    pub(super) fn nest(&mut self, name: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.0.len();
        self.head(&[0; 2]).head(&name.to_ne_bytes());
        fill(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// What the kernel's answer to one request says.
pub(super) fn verdict(answer: &[u8]) -> io::Result<()> {
    let word = |at: usize| answer.get(at..at + 4)?.try_into().ok().map(i32::from_ne_bytes);
    let kind = answer.get(4..6).map(|kind| u16::from_ne_bytes([kind[0], kind[1]]));
    match (kind, word(HEAD)) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(errno)) => Err(io::Error::from_raw_os_error(-errno)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_counted_and_padded() {
        let mut message = Message::new(16, 0x600);
        message.text(3, "ab").nest(18, |inner| {
            inner.number(1, 7);
        });
        let bytes = message.finish();
        assert_eq!(bytes.len(), HEAD + 8 + 12);
        assert_eq!(bytes[..4], (bytes.len() as u32).to_ne_bytes());
        assert_eq!(bytes[HEAD..HEAD + 2], 7_u16.to_ne_bytes());
        assert_eq!(bytes[HEAD + 8..HEAD + 10], 12_u16.to_ne_bytes());
    }

    #[test]
    fn verdicts_are_read() {
        let mut answer = vec![0; 20];
        answer[4] = 2;
        assert!(verdict(&answer).is_ok());
        answer[16..].copy_from_slice(&(-17_i32).to_ne_bytes());
        assert_eq!(verdict(&answer).unwrap_err().raw_os_error(), Some(17));
        assert!(verdict(&answer[..5]).is_err());
    }
}

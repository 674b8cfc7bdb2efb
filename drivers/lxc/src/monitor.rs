// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a controller tells daemons of its container, on the socket where it listens for them.
//!
//! The words are libvirt's own (program 0x12341234, version 1), so that a daemon of either kind can follow
//! a controller of either kind: whoever connects hears at once which process is init, hears it again after
//! each reboot, and hears how the container ended. An end of the connection without that means that the
//! controller itself was lost.

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

const PROGRAM: u32 = 0x1234_1234;
const VERSION: u32 = 1;
const EXIT_EVENT: u32 = 1;
const INIT_EVENT: u32 = 2;
/// Ours: see [`crate::orders`].
pub(crate) const ORDER: u32 = 0x100;
pub(crate) const CALL: u32 = 0;
pub(crate) const REPLY: u32 = 1;
/// A message that nobody asked for.
const MESSAGE: u32 = 2;
/// Length, program, version, procedure, type, serial, status.
pub(crate) const HEAD: usize = 7 * 4;
/// The longest message that either event can have.
const LONGEST: usize = HEAD + 8;

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// This process of the host is the container's init, from now on.
    Init(u64),
    /// The container has ended.
    Ended(Ending),
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Something failed.
    Failed,
    /// Its init exited, powered off or was killed.
    ShutDown,
    /// It asked for a reboot, which the controller does not do.
    Reboot,
}

impl News {
    /// As it stands on the socket.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let (procedure, body) = match self {
            Self::Init(pid) => (INIT_EVENT, pid.to_be_bytes().to_vec()),
            Self::Ended(ending) => {
                let status: u32 = match ending {
                    Ending::Failed => 0,
                    Ending::ShutDown => 1,
                    Ending::Reboot => 2,
                };
                (EXIT_EVENT, status.to_be_bytes().to_vec())
            }
        };
        frame(procedure, MESSAGE, 0, &body)
    }

    /// From a message without its length; `None` for one that says neither.
    fn decode(message: &[u8]) -> Option<Self> {
        let word =
            |at: usize| message.get(at * 4..at * 4 + 4)?.try_into().ok().map(u32::from_be_bytes);
        if (word(0)?, word(1)?, word(3)?) != (PROGRAM, VERSION, MESSAGE) {
            return None;
        }
        match word(2)? {
            INIT_EVENT => Some(Self::Init(u64::from(word(6)?) << 32 | u64::from(word(7)?))),
            EXIT_EVENT => Some(Self::Ended(match word(6)? {
                1 => Ending::ShutDown,
                2 => Ending::Reboot,
                _ => Ending::Failed,
            })),
            _ => None,
        }
    }
}

/// A message as it stands on the socket.
pub(crate) fn frame(procedure: u32, kind: u32, status: u32, body: &[u8]) -> Vec<u8> {
    let length = (HEAD + body.len()) as u32;
    let head = [length, PROGRAM, VERSION, procedure, kind, 0, status];
    let mut frame: Vec<u8> = head.iter().flat_map(|word| word.to_be_bytes()).collect();
    frame.extend(body);
    frame
}

/// Of what procedure a message is, without its length.
pub(crate) fn procedure(message: &[u8]) -> Option<u32> {
    let word = message.get(8..12)?.try_into().ok()?;
    message.starts_with(&PROGRAM.to_be_bytes()).then_some(u32::from_be_bytes(word))
}

/// A daemon's end of the socket.
#[derive(Debug)]
pub struct Monitor(UnixStream);

impl Monitor {
    /// Connects to the controller that listens at `path`.
    ///
    /// # Errors
    /// Where none does.
    pub async fn connect(path: &std::path::Path) -> Result<Self> {
        let stream = UnixStream::connect(path).await.map_err(|cause| {
            Error::system(format!("cannot reach the controller at '{}'", path.display()), &cause)
                .in_domain(ErrorDomain::Lxc)
        })?;
        Ok(Self(stream))
    }

    /// The next news; `None` when the controller has closed the connection. Not to be dropped half-way: what
    /// it has read is lost then.
    ///
    /// # Errors
    /// Where what comes is no message of a controller.
    pub async fn next(&mut self) -> Result<Option<News>> {
        loop {
            // A connection that is reset has ended too.
            let Ok(length) = self.0.read_u32().await else { return Ok(None) };
            let length = length as usize;
            if !(HEAD..=LONGEST).contains(&length) {
                let text = format!("a controller sends a message of {length} bytes");
                return Err(Error::new(ErrorCode::Rpc, text).in_domain(ErrorDomain::Lxc));
            }
            let mut message = vec![0; length - 4];
            if self.0.read_exact(&mut message).await.is_err() {
                return Ok(None);
            }
            if let Some(news) = News::decode(&message) {
                return Ok(Some(news));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_libvirts() {
        let frame = News::Ended(Ending::ShutDown).encode();
        let words = [0x20, 0x1234_1234, 1, 1, 2, 0, 0, 1_u32];
        assert_eq!(frame, words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>());
        let pid = 0x1_0000_0007;
        assert_eq!(News::decode(&News::Init(pid).encode()[4..]), Some(News::Init(pid)));
        for ending in [Ending::Failed, Ending::ShutDown, Ending::Reboot] {
            let news = News::Ended(ending);
            assert_eq!(News::decode(&news.encode()[4..]), Some(news));
        }
        assert_eq!(News::decode(&frame[4..12]), None);
    }
}

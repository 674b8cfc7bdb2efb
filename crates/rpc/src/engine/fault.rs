// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a connection to a daemon is over.

use virtus_api::{Error, ErrorCode, ErrorDomain};
use virtus_wire::frame::FrameError;

/// What the daemon did that no connection survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A message that cannot be taken apart.
    #[error("the daemon sent a broken message: {0}")]
    Frame(#[from] FrameError),
    /// A reply to nothing that was asked.
    #[error("the daemon answered a call that was not made (serial {0})")]
    UnknownReply(u32),
    /// A message of a program that clients do not know.
    #[error("the daemon sent a message of the unknown program {0:#x}")]
    UnknownProgram(u32),
    /// A call, as only clients make them.
    #[error("the daemon made a call itself (procedure {0})")]
    Call(i32),
    /// Descriptors that no message announced, or fewer than it announced.
    #[error("the daemon sent descriptors that belong to no message")]
    StrayDescriptors,
    /// No sign of life for longer than keepalive allows.
    #[error("the daemon does not answer pings (keepalive timeout)")]
    Silent,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::new(ErrorCode::Rpc, fault.to_string()).in_domain(ErrorDomain::Rpc)
    }
}

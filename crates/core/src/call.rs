// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a handler gets besides the request itself.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Session;
use crate::stream::Stream;

/// The surroundings of one call: whose it is, and the stream and descriptors that travel with it.
pub struct Call {
    /// The session that calls.
    pub session: Arc<Session>,
    /// The caller's end of the data stream; present exactly for calls that open one.
    pub stream: Option<Stream>,
    /// Descriptors that came with the request.
    pub fds: Vec<OwnedFd>,
    reply_fds: ReplyFds,
}

/// Descriptors that will travel with the reply; shared by the handler and the transport.
pub type ReplyFds = Arc<Mutex<Vec<OwnedFd>>>;

impl Call {
    /// A call of `session` without stream or descriptors.
    #[must_use]
    pub fn new(session: Arc<Session>) -> Self {
        Self { session, stream: None, fds: Vec::new(), reply_fds: ReplyFds::default() }
    }

    /// Sends `fd` along with the reply.
    pub fn reply_with_fd(&self, fd: OwnedFd) {
        self.reply_fds.lock().unwrap_or_else(PoisonError::into_inner).push(fd);
    }

    /// Where a transport collects the reply's descriptors after the handler has answered.
    #[must_use]
    pub fn reply_fds(&self) -> ReplyFds {
        self.reply_fds.clone()
    }
}

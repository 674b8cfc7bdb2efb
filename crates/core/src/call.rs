// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a handler gets besides the request itself.

use std::os::fd::OwnedFd;
use std::sync::Arc;

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
}

impl Call {
    /// A call of `session` without stream or descriptors.
    #[must_use]
    pub fn new(session: Arc<Session>) -> Self {
        Self { session, stream: None, fds: Vec::new() }
    }
}

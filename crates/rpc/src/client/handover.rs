// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A client that is left to the program that follows this one.

use std::os::fd::AsFd;

use super::{Client, Phase};
use crate::server::Handed;
use crate::transport::Transport;

impl Client {
    /// Leaves the connection to another program, if the server hands its clients over and the client is at rest.
    pub(super) fn hand_over(&self) -> bool {
        let (Transport::Unix(socket), Phase::Open(connection)) = (&self.transport, &self.phase)
        else {
            return false;
        };
        let socket = socket.as_fd().try_clone_to_owned();
        let handed = socket.map(|socket| Handed { socket, session: connection.session().id() });
        self.input.is_empty() && handed.is_ok_and(|handed| self.server.hand(handed))
    }
}

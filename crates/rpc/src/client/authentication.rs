// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a stranger becomes known, if its socket asks for that.
//!
//! ```text
//! AUTH_LIST: polkit ─▶ AUTH_POLKIT ──────────────────────────────────────────────────────▶ allowed
//!     └──── none, to root ───────────────────────────────────────────────────────────────────┘
//! AUTH_LIST: sasl ─▶ SASL_INIT: mechanisms ─▶ SASL_START ─▶ SASL_STEP: complete ─▶ allowed
//!                                                 └───────────┴─ wrong ─▶ closed
//! ```
//! Each try costs a connection, and nobody learns why it failed; the daemon's log says so.

use tokio::time::{Instant, sleep};
use tracing::{info, warn};
use virtus_api::{AnyReply, AnyRequest, AuthList, AuthPolkit, AuthType, CallId, Result};

use super::handshake::reply;
use super::sasl::Refusal;
use super::timing::HANG_UP_CHECK;
use super::{Client, Phase};
use crate::errors;
use crate::polkit;

/// What a socket asks its clients for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Authentication {
    /// Nothing: who reaches the socket is let in.
    #[default]
    None,
    /// A name and the proof of a password, or a Kerberos ticket.
    Sasl,
    /// That the host's policy lets the process in; root is never asked. For unix sockets.
    Polkit,
}

impl Client {
    /// The answer to a call about authentication.
    pub(super) async fn authenticate(&mut self, request: &AnyRequest) -> Result<AnyReply> {
        if request.call() == CallId::AuthList {
            return reply::<AuthList>(vec![self.asked()]);
        }
        if request.call() == CallId::AuthPolkit
            && self.access.authentication == Authentication::Polkit
            && matches!(self.phase, Phase::Stranger(_))
        {
            return self.polkit().await.and_then(reply::<AuthPolkit>);
        }
        match self.sasl(request).await {
            Ok(answer) => Ok(answer),
            Err(refusal) => {
                if let Refusal::Users(cause) = &refusal {
                    warn!("nobody can authenticate: {cause}");
                }
                info!("client {} is not let in: {refusal}", self.id);
                self.closing |= matches!(self.phase, Phase::Stranger(_));
                Err(errors::authentication_failed())
            }
        }
    }

    /// What the client is asked for now.
    fn asked(&mut self) -> AuthType {
        match (&self.phase, self.access.authentication) {
            (Phase::Allowed | Phase::Open(_) | Phase::Forwarded(_), _)
            | (_, Authentication::None) => AuthType::None,
            (Phase::Stranger(_), Authentication::Sasl) => AuthType::Sasl,
            (Phase::Stranger(_), Authentication::Polkit) if self.identity.uid == Some(0) => {
                self.phase = Phase::Allowed;
                AuthType::None
            }
            (Phase::Stranger(_), Authentication::Polkit) => AuthType::Polkit,
        }
    }

    /// Asks polkit, which may ask the user, as long as the client waits for that.
    async fn polkit(&mut self) -> Result<i32> {
        let action = if self.access.read_only { polkit::MONITOR } else { polkit::MANAGE };
        let left = async {
            while !self.transport.has_hung_up() {
                sleep(HANG_UP_CHECK).await;
            }
        };
        let outcome = tokio::select! {
            outcome = polkit::check(&self.identity, action) => outcome,
            () = left => Err(errors::authentication_failed()),
            _ = self.bell.end(false) => Err(errors::authentication_failed()),
        };
        match outcome {
            Ok(()) => {
                self.let_in();
                Ok(1)
            }
            Err(refusal) => {
                info!("client {} is not let in: {refusal}", self.id);
                self.closing = true;
                Err(refusal)
            }
        }
    }

    pub(super) fn let_in(&mut self) {
        self.phase = Phase::Allowed;
        // Somebody took the time to type a password.
        self.born = Instant::now();
    }
}

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

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};
use virtus_api::{
    AnyReply, AnyRequest, AuthList, AuthPolkit, AuthSaslInit, AuthSaslStart, AuthSaslStartReply,
    AuthSaslStep, AuthSaslStepReply, AuthType, CallId, Error, Result,
};

use super::handshake::reply;
use super::{Client, HANG_UP_CHECK, Phase};
use crate::errors;
use crate::polkit;
use crate::sasl::scram::{self, ScramServer, Verifier};
use crate::sasl::{MECHANISMS, Users};

/// How long looking up a user may take.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);

/// What a socket asks its clients for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Authentication {
    /// Nothing: who reaches the socket is let in.
    #[default]
    None,
    /// A name and the proof of a password.
    Sasl,
    /// That the host's policy lets the process in; root is never asked. For unix sockets.
    Polkit,
}

/// Why a client is not let in, for the log.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("it did not ask in the order of the protocol")]
    Order,
    #[error("it wants the mechanism '{0}'")]
    Mechanism(String),
    #[error("{0}")]
    Scram(#[from] scram::Failure),
    #[error("'{0}' is not in sasl_allowed_username_list")]
    NotAllowed(String),
    #[error("{0}")]
    Users(#[from] Error),
    #[error("looking up its user takes too long")]
    Slow,
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
            (Phase::Allowed | Phase::Open(_), _) | (_, Authentication::None) => AuthType::None,
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
            () = self.kick.notified() => {
                // For the loop that ends the client.
                self.kick.notify_one();
                Err(errors::authentication_failed())
            }
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

    fn let_in(&mut self) {
        self.phase = Phase::Allowed;
        // Somebody took the time to type a password.
        self.born = Instant::now();
    }

    async fn sasl(&mut self, request: &AnyRequest) -> std::result::Result<AnyReply, Refusal> {
        let Phase::Stranger(exchange) = &mut self.phase else { return Err(Refusal::Order) };
        if self.access.authentication != Authentication::Sasl {
            return Err(Refusal::Order);
        }
        if request.get::<AuthSaslInit>().is_some() {
            if exchange.replace(Box::new(ScramServer::new())).is_some() {
                return Err(Refusal::Order);
            }
            return Ok(reply::<AuthSaslInit>(MECHANISMS.to_owned())?);
        }
        if let Some(AuthSaslStart { mech, nil, data }) = request.get() {
            if mech != MECHANISMS {
                return Err(Refusal::Mechanism(mech.clone()));
            }
            let (complete, nil, data) = self.step(*nil, data).await?;
            return Ok(reply::<AuthSaslStart>(AuthSaslStartReply { complete, nil, data })?);
        }
        let Some(AuthSaslStep { nil, data }) = request.get() else { return Err(Refusal::Order) };
        let (complete, nil, data) = self.step(*nil, data).await?;
        Ok(reply::<AuthSaslStep>(AuthSaslStepReply { complete, nil, data })?)
    }

    /// One step with what the client says: whether it is known now, and what it is told.
    async fn step(
        &mut self,
        nil: i32,
        data: &[i8],
    ) -> std::result::Result<(i32, i32, Vec<i8>), Refusal> {
        let Phase::Stranger(Some(exchange)) = &mut self.phase else { return Err(Refusal::Order) };
        let message: Vec<u8> = data.iter().map(|byte| byte.cast_unsigned()).collect();
        let signed = |text: String| text.into_bytes().into_iter().map(u8::cast_signed).collect();
        if !exchange.is_begun() {
            let (user, proof) = exchange.check(&message)?;
            self.known_as(user)?;
            return Ok((1, 0, signed(proof)));
        }
        if nil != 0 {
            // It waits to be asked, though in SCRAM the client speaks first.
            return Ok((0, 0, Vec::new()));
        }
        let first = scram::first(&message)?;
        let (file, user) = match self.server.sasl() {
            Some(settings) => (settings.users.clone(), first.user.clone()),
            None => return Err(Refusal::Order),
        };
        let looking = spawn_blocking(move || Ok(Users::load(&file)?.find(&user)));
        let found: Result<_> = match timeout(LOOKUP_LIMIT, looking).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => return Err(Refusal::Slow),
        };
        let verifier = match found? {
            Some(verifier) => verifier,
            None => Verifier::of_nobody(&first.user)?,
        };
        let challenge = exchange.challenge(&first, verifier)?;
        Ok((0, 0, signed(challenge)))
    }

    /// The client has proven that it is `user`.
    fn known_as(&mut self, user: String) -> std::result::Result<(), Refusal> {
        if !self.server.sasl().is_some_and(|settings| settings.admits(&user)) {
            return Err(Refusal::NotAllowed(user));
        }
        self.identity.sasl_user = Some(user);
        self.place.proven(&self.identity);
        self.let_in();
        Ok(())
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a stranger becomes known by SASL: the exchange of whichever mechanism it chooses.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;
use virtus_api::{
    AnyReply, AnyRequest, AuthSaslInit, AuthSaslStart, AuthSaslStartReply, AuthSaslStep,
    AuthSaslStepReply, Error,
};

use super::authentication::Authentication;
use super::handshake::reply;
use super::{Client, Phase};
use crate::sasl::scram::{self, ScramServer, Verifier};
use crate::sasl::{GSSAPI, GssapiFailure, GssapiServer, Known, Progress, Users};

/// How long looking up a user, or looking at a ticket, may take.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);

/// How far an exchange is.
pub(super) enum Exchange {
    /// The client was told the mechanisms.
    Offered,
    Scram(ScramServer),
    Gssapi(GssapiServer),
    /// It is being worked at, or was wrong.
    Over,
}

/// Why a client is not let in, for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it did not ask in the order of the protocol")]
    Order,
    #[error("it wants the mechanism '{0}'")]
    Mechanism(String),
    #[error("{0}")]
    Scram(#[from] scram::Failure),
    #[error("{0}")]
    Gssapi(#[from] GssapiFailure),
    #[error("'{0}' is not in sasl_allowed_username_list")]
    NotAllowed(String),
    #[error("{0}")]
    Users(#[from] Error),
    #[error("looking at its proof takes too long")]
    Slow,
}

type Result<T> = std::result::Result<T, Refusal>;

/// An exchange that goes on, if it does, and what the client is told.
type Turn = (Option<Exchange>, Vec<u8>);

impl Client {
    /// The answer to a call about SASL.
    pub(super) async fn sasl(&mut self, request: &AnyRequest) -> Result<AnyReply> {
        let Phase::Stranger(exchange) = &mut self.phase else { return Err(Refusal::Order) };
        if self.access.authentication != Authentication::Sasl {
            return Err(Refusal::Order);
        }
        let settings = self.server.sasl().ok_or(Refusal::Order)?;
        let secure = self.transport.is_secure();
        let mechanisms = settings.mechanisms(secure);
        if request.get::<AuthSaslInit>().is_some() {
            if exchange.replace(Box::new(Exchange::Offered)).is_some() {
                return Err(Refusal::Order);
            }
            return Ok(reply::<AuthSaslInit>(mechanisms.join(","))?);
        }
        if let Some(AuthSaslStart { mech, nil, data }) = request.get() {
            let Some(Exchange::Offered) = exchange.as_deref() else { return Err(Refusal::Order) };
            let begun = match &settings.gssapi {
                _ if !mechanisms.contains(&mech.as_str()) => {
                    return Err(Refusal::Mechanism(mech.clone()));
                }
                Some(gssapi) if mech == GSSAPI => {
                    let strength = (!secure).then_some(settings.min_strength);
                    Exchange::Gssapi(GssapiServer::new(gssapi.clone(), strength))
                }
                _ => Exchange::Scram(ScramServer::new()),
            };
            *exchange = Some(Box::new(begun));
            let (complete, nil, data) = self.step(*nil, data).await?;
            return Ok(reply::<AuthSaslStart>(AuthSaslStartReply { complete, nil, data })?);
        }
        let Some(AuthSaslStep { nil, data }) = request.get() else { return Err(Refusal::Order) };
        let (complete, nil, data) = self.step(*nil, data).await?;
        Ok(reply::<AuthSaslStep>(AuthSaslStepReply { complete, nil, data })?)
    }

    /// One step with what the client says: whether it is known now, and what it is told.
    async fn step(&mut self, nil: i32, data: &[i8]) -> Result<(i32, i32, Vec<i8>)> {
        let Phase::Stranger(Some(exchange)) = &mut self.phase else { return Err(Refusal::Order) };
        let message: Vec<u8> = data.iter().map(|byte| byte.cast_unsigned()).collect();
        let (next, said) = match std::mem::replace(&mut **exchange, Exchange::Over) {
            Exchange::Offered | Exchange::Over => return Err(Refusal::Order),
            // It waits to be asked, though in both mechanisms the client speaks first.
            begun if nil != 0 && begun.is_begun() => (Some(begun), Vec::new()),
            Exchange::Scram(scram) => self.scram(scram, &message).await?,
            Exchange::Gssapi(gssapi) => self.gssapi(gssapi, message).await?,
        };
        let complete = i32::from(next.is_none());
        if let (Some(next), Phase::Stranger(Some(exchange))) = (next, &mut self.phase) {
            **exchange = next;
        }
        Ok((complete, 0, said.into_iter().map(u8::cast_signed).collect()))
    }

    async fn scram(&mut self, mut exchange: ScramServer, message: &[u8]) -> Result<Turn> {
        if !exchange.is_begun() {
            let (user, proof) = exchange.check(message)?;
            self.known_as(user)?;
            return Ok((None, proof.into_bytes()));
        }
        let first = scram::first(message)?;
        let (file, user) = match self.server.sasl() {
            Some(settings) => (settings.users.clone(), first.user.clone()),
            None => return Err(Refusal::Order),
        };
        let looking = spawn_blocking(move || Ok::<_, Error>(Users::load(&file)?.find(&user)));
        let found = match timeout(LOOKUP_LIMIT, looking).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => return Err(Refusal::Slow),
        };
        let verifier = match found? {
            Some(verifier) => verifier,
            None => Verifier::of_nobody(&first.user)?,
        };
        let challenge = exchange.challenge(&first, verifier)?;
        Ok((Some(Exchange::Scram(exchange)), challenge.into_bytes()))
    }

    async fn gssapi(&mut self, exchange: GssapiServer, message: Vec<u8>) -> Result<Turn> {
        let looking = spawn_blocking(move || exchange.step(&message));
        let progress = match timeout(LOOKUP_LIMIT, looking).await {
            Ok(Ok(progress)) => progress?,
            Ok(Err(_)) | Err(_) => return Err(Refusal::Slow),
        };
        match progress {
            Progress::Answer(exchange, answer) => Ok((Some(Exchange::Gssapi(exchange)), answer)),
            Progress::Done(Known { user, seal }) => {
                self.known_as(user)?;
                self.seal = seal;
                Ok((None, Vec::new()))
            }
        }
    }

    /// The client has proven that it is `user`.
    fn known_as(&mut self, user: String) -> Result<()> {
        if !self.server.sasl().is_some_and(|settings| settings.admits(&user)) {
            return Err(Refusal::NotAllowed(user));
        }
        self.identity.sasl_user = Some(user);
        self.place.proven(&self.identity);
        self.let_in();
        Ok(())
    }
}

impl Exchange {
    /// Whether a mechanism is chosen, and the client has said nothing in it.
    fn is_begun(&self) -> bool {
        match self {
            Self::Scram(scram) => scram.is_begun(),
            Self::Gssapi(gssapi) => gssapi.is_begun(),
            Self::Offered | Self::Over => false,
        }
    }
}

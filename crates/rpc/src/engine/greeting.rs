// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The conversation that opens a connection: authentication, keepalive, open, what the daemon can do.
//!
//! ```text
//! which authentication? ─┬─ none ──────────────────┬─▶ keepalive? ─▶ open ─▶ callback ids? ─▶ done
//!                        ├─ polkit ─▶ allowed ─────┤
//!                        └─ SASL ─▶ start ─▶ steps ┘ what follows may be sealed
//! ```

use virtus_api::{
    AnyReply, AnyRequest, AuthList, AuthPolkit, AuthSaslInit, AuthSaslStart, AuthSaslStep,
    AuthType, ConnectOpen, ConnectSupportsFeature, Error, ErrorCode, ErrorDomain, Request, Result,
};

use crate::sasl::Seal;

/// `VIR_DRV_FEATURE_PROGRAM_KEEPALIVE`
const FEATURE_KEEPALIVE: i32 = 10;
/// `VIR_DRV_FEATURE_REMOTE_EVENT_CALLBACK`
const FEATURE_EVENT_CALLBACK: i32 = 14;

/// `VIR_CONNECT_RO`
const OPEN_READ_ONLY: u32 = 1;

/// The client's side of a SASL exchange.
pub trait Sasl: Send {
    /// Chooses a mechanism among those that the daemon offers; its name, and the first response if
    /// the mechanism lets the client begin.
    fn start(&mut self, offered: &str) -> Result<(String, Option<Vec<u8>>)>;

    /// Answers a challenge.
    fn step(&mut self, challenge: Option<&[u8]>) -> Result<Option<Vec<u8>>>;

    /// The daemon is satisfied, with these last words; what all that follows is to be sealed with, if the
    /// mechanism does that. An error if the client is not satisfied: the daemon has not proven that it knows the
    /// password.
    fn finish(&mut self, last: Option<&[u8]>) -> Result<Option<Seal>>;
}

/// How the client is ready to authenticate.
#[derive(Default)]
pub struct Authentication {
    /// The only way wanted; otherwise the first that the daemon offers.
    pub only: Option<AuthType>,
    /// For SASL.
    pub sasl: Option<Box<dyn Sasl>>,
}

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// Make this call and hand its reply to [`Greeting::next`].
    Ask(AnyRequest),
    /// Seal what is sent and received from now on, and go on without a reply.
    Seal(Box<Seal>),
    /// The connection is open.
    Done(Abilities),
}

/// What the daemon can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities {
    /// It answers pings, and has begun to ping.
    pub keepalive: bool,
    /// It gives callback ids to registrations for events.
    pub callbacks: bool,
}

/// The state of the conversation.
pub struct Greeting {
    name: String,
    read_only: bool,
    authentication: Authentication,
    abilities: Abilities,
    /// What was asked last.
    asked: Asked,
}

enum Asked {
    Nothing,
    AuthList,
    Polkit,
    SaslInit,
    SaslStart,
    SaslStep,
    Sealing,
    Keepalive,
    Open,
    Callbacks,
}

impl Greeting {
    /// Will open the connection `name` (a URI without transport, or empty: the daemon chooses).
    #[must_use]
    pub fn new(name: String, read_only: bool, authentication: Authentication) -> Self {
        let abilities = Abilities::default();
        Self { name, read_only, authentication, abilities, asked: Asked::Nothing }
    }

    /// What follows; `reply` is that to the call asked for before, none at first.
    ///
    /// # Errors
    /// `VIR_ERR_AUTH_FAILED`, `VIR_ERR_AUTH_UNAVAILABLE`, or what the daemon refused with.
    pub fn next(&mut self, reply: Option<Result<AnyReply>>) -> Result<Step> {
        let (asked, request) = match (&self.asked, reply) {
            (Asked::Sealing, _) => keepalive(),
            (Asked::Nothing, _) | (_, None) => (Asked::AuthList, AnyRequest::new(AuthList)),
            (Asked::AuthList, Some(reply)) => self.authenticate(&take::<AuthList>(reply)?)?,
            (Asked::Polkit, Some(reply)) => {
                take::<AuthPolkit>(reply)?;
                keepalive()
            }
            (Asked::SaslInit, Some(reply)) => {
                let offered = take::<AuthSaslInit>(reply)?;
                let (mech, first) = self.sasl()?.start(&offered)?;
                let (nil, data) = packed(first);
                (Asked::SaslStart, AnyRequest::new(AuthSaslStart { mech, nil, data }))
            }
            (Asked::SaslStart, Some(reply)) => {
                let reply = take::<AuthSaslStart>(reply)?;
                return self.sasl_step(reply.complete, reply.nil, &reply.data);
            }
            (Asked::SaslStep, Some(reply)) => {
                let reply = take::<AuthSaslStep>(reply)?;
                return self.sasl_step(reply.complete, reply.nil, &reply.data);
            }
            (Asked::Keepalive, Some(reply)) => {
                // A daemon that does not know the feature lives without it.
                self.abilities.keepalive = supports(reply);
                let flags = if self.read_only { OPEN_READ_ONLY } else { 0 };
                let open = ConnectOpen { name: Some(self.name.clone()), flags };
                (Asked::Open, AnyRequest::new(open))
            }
            (Asked::Open, Some(reply)) => {
                take::<ConnectOpen>(reply)?;
                (Asked::Callbacks, feature(FEATURE_EVENT_CALLBACK))
            }
            (Asked::Callbacks, Some(reply)) => {
                self.abilities.callbacks = supports(reply);
                return Ok(Step::Done(self.abilities));
            }
        };
        self.asked = asked;
        Ok(Step::Ask(request))
    }

    /// Whether what follows a reply may block: SASL hashes, reads files and asks other hosts.
    pub(crate) fn may_block(&self) -> bool {
        matches!(self.asked, Asked::SaslInit | Asked::SaslStart | Asked::SaslStep)
    }

    fn authenticate(&self, offered: &[AuthType]) -> Result<(Asked, AnyRequest)> {
        let way = match self.authentication.only {
            Some(only) => Some(only).filter(|only| offered.contains(only)),
            None => offered.first().copied(),
        };
        match way {
            Some(AuthType::None) => Ok(keepalive()),
            Some(AuthType::Polkit) => Ok((Asked::Polkit, AnyRequest::new(AuthPolkit))),
            Some(AuthType::Sasl) => Ok((Asked::SaslInit, AnyRequest::new(AuthSaslInit))),
            None => {
                let text = format!("the daemon offers {offered:?} and not what was asked for");
                Err(failed(text).hint("leave out the 'auth' parameter of the URI"))
            }
        }
    }

    fn sasl(&mut self) -> Result<&mut Box<dyn Sasl>> {
        self.authentication.sasl.as_mut().ok_or_else(|| {
            failed("the daemon asks for a user name and password, and there are none")
                .hint("put them into auth.conf, or give a callback for credentials")
        })
    }

    fn sasl_step(&mut self, complete: i32, nil: i32, data: &[i8]) -> Result<Step> {
        let challenge: Vec<u8> = data.iter().map(|byte| byte.cast_unsigned()).collect();
        let challenge = (nil == 0).then_some(&challenge[..]);
        if complete != 0 {
            let seal = self.sasl()?.finish(challenge)?;
            self.asked = Asked::Sealing;
            return seal.map_or_else(|| self.next(None), |seal| Ok(Step::Seal(Box::new(seal))));
        }
        let (nil, data) = packed(self.sasl()?.step(challenge)?);
        self.asked = Asked::SaslStep;
        Ok(Step::Ask(AnyRequest::new(AuthSaslStep { nil, data })))
    }
}

fn keepalive() -> (Asked, AnyRequest) {
    (Asked::Keepalive, feature(FEATURE_KEEPALIVE))
}

fn feature(feature: i32) -> AnyRequest {
    AnyRequest::new(ConnectSupportsFeature { feature })
}

fn supports(reply: Result<AnyReply>) -> bool {
    take::<ConnectSupportsFeature>(reply).is_ok_and(|supported| supported == 1)
}

fn take<R: Request>(reply: Result<AnyReply>) -> Result<R::Reply> {
    reply?.take::<R>().map_err(|_| failed("the reply is that to another call"))
}

/// Data of a SASL message; absent is not the same as empty.
fn packed(data: Option<Vec<u8>>) -> (i32, Vec<i8>) {
    let nil = i32::from(data.is_none());
    (nil, data.unwrap_or_default().into_iter().map(u8::cast_signed).collect())
}

fn failed(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::AuthFailed, text).in_domain(ErrorDomain::Rpc)
}

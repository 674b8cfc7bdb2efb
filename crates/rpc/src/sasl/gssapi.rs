// SPDX-License-Identifier: Apache-2.0 OR MIT
//! GSSAPI (RFC 4752): Kerberos as a SASL mechanism; the daemon's side here, that of clients in `client`.
//!
//! ```text
//! client                                                   server
//!   ticket ───────────────────────────────────────────────▶
//!   ◀──────────────────────────── proof that it is the service
//!   nothing ──────────────────────────────────────────────▶
//!   ◀───────────────────── how to protect what follows, wrapped
//!   the choice, on whose behalf, wrapped ─────────────────▶
//! ```
//! Where nobody can read along anyway what follows is left as it is; elsewhere it must be encrypted ([`Seal`]).

mod client;

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

use virtus_api::{Error, Result};
use virtus_host::gssapi::{Acceptor, Session, Step};

pub use client::GssapiClient;

/// The mechanism's name.
pub const NAME: &str = "GSSAPI";

/// The service in whose name daemons hold keys: `libvirt/HOST@REALM`.
const SERVICE: &str = "libvirt";

/// The longest token that we take, which is what we tell clients.
const MAX_TOKEN: u32 = 64 * 1024;

/// The layers of protection, as bits of an offer and as a choice.
const UNPROTECTED: u8 = 1;
const ENCRYPTED: u8 = 4;

/// That this host can accept tickets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gssapi {
    /// Where the keys are; `None`: where the environment says.
    keytab: Option<PathBuf>,
}

/// One exchange.
pub(crate) struct GssapiServer {
    /// The bits of a key with which what follows must be encrypted; `None`: nobody can read along.
    strength: Option<u32>,
    state: State,
}

enum State {
    Begun(Gssapi),
    Accepting(Acceptor),
    /// The client was told who we are.
    Proven(Session),
    /// It was told what may protect what follows.
    Offered(Session),
}

/// What a message of the client led to.
pub(crate) enum Progress {
    Answer(GssapiServer, Vec<u8>),
    Done(Known),
}

/// A client that has proven who it is.
pub(crate) struct Known {
    pub(crate) user: String,
    /// What protects all that follows.
    pub(crate) seal: Option<Seal>,
}

/// Why an exchange failed, for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Kerberos(#[from] Error),
    #[error("its ticket encrypts with keys of {0} bits, and tcp_min_ssf asks for {1}")]
    Weak(u32, u32),
    #[error("it wants another protection than was offered")]
    Protection,
    #[error("'{0}' wants to act for somebody else")]
    Actor(String),
}

impl Gssapi {
    /// Looks for the library, and for keys in the file `keytab`, unless `KRB5_KTNAME` says where they are. Blocks.
    ///
    /// # Errors
    /// `VIR_ERR_AUTH_UNAVAILABLE` if there is no library, or there are no keys.
    pub fn find(keytab: &Path) -> Result<Self> {
        let elsewhere = env::var_os("KRB5_KTNAME").is_some();
        let found = Self { keytab: (!elsewhere).then(|| keytab.to_owned()) };
        found.acceptor()?;
        Ok(found)
    }

    fn acceptor(&self) -> Result<Acceptor> {
        Acceptor::new(SERVICE, self.keytab.as_deref())
    }
}

impl GssapiServer {
    pub(crate) fn new(gssapi: Gssapi, strength: Option<u32>) -> Self {
        Self { strength, state: State::Begun(gssapi) }
    }

    /// Whether the client has said nothing.
    pub(crate) fn is_begun(&self) -> bool {
        matches!(self.state, State::Begun(_))
    }

    /// Takes what the client says. Blocks.
    pub(crate) fn step(self, message: &[u8]) -> std::result::Result<Progress, Failure> {
        let Self { strength, state } = self;
        let (state, answer) = match state {
            State::Begun(gssapi) => accept(gssapi.acceptor()?, message, strength)?,
            State::Accepting(acceptor) => accept(acceptor, message, strength)?,
            State::Proven(session) => offer(session, strength)?,
            State::Offered(session) => {
                return chosen(session, message, strength).map(Progress::Done);
            }
        };
        Ok(Progress::Answer(Self { strength, state }, answer))
    }
}

fn accept(
    acceptor: Acceptor,
    token: &[u8],
    strength: Option<u32>,
) -> std::result::Result<(State, Vec<u8>), Failure> {
    match acceptor.step(token)? {
        Step::More(acceptor, answer) => Ok((State::Accepting(acceptor), answer)),
        // A client that wants no proof from us has nothing to say to an empty one.
        Step::Done(session, answer) if answer.is_empty() => offer(session, strength),
        Step::Done(session, answer) => Ok((State::Proven(session), answer)),
    }
}

fn offer(
    mut session: Session,
    strength: Option<u32>,
) -> std::result::Result<(State, Vec<u8>), Failure> {
    let text = match strength {
        None => [UNPROTECTED, 0, 0, 0],
        Some(wanted) => {
            let found = session.strength();
            if found < wanted {
                return Err(Failure::Weak(found, wanted));
            }
            encrypted()
        }
    };
    let offer = session.wrap(&text, false)?;
    Ok((State::Offered(session), offer))
}

/// The layer that encrypts, and the longest token that we take.
fn encrypted() -> [u8; 4] {
    let [_, size @ ..] = MAX_TOKEN.to_be_bytes();
    [ENCRYPTED, size[0], size[1], size[2]]
}

fn chosen(
    mut session: Session,
    token: &[u8],
    strength: Option<u32>,
) -> std::result::Result<Known, Failure> {
    let (text, _) = session.unwrap(token)?;
    let Some(([layer, size @ ..], actor)) = text.split_first_chunk::<4>() else {
        return Err(Failure::Protection);
    };
    let user = session.user().to_owned();
    let local = user.split_once('@').map_or(&*user, |(local, _)| local);
    if !actor.is_empty() && actor != user.as_bytes() && actor != local.as_bytes() {
        return Err(Failure::Actor(user));
    }
    let seal = match (strength, *layer) {
        (None, UNPROTECTED) => None,
        (Some(_), ENCRYPTED) => Some(Seal::new(session, size)?),
        _ => return Err(Failure::Protection),
    };
    Ok(Known { user, seal })
}

/// Encrypts what a connection carries: tokens, each after its length in four bytes.
pub struct Seal {
    session: Session,
    /// Bytes that go into one token of those that the other side takes.
    room: usize,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

impl Seal {
    /// `size`: the longest token that the other side takes.
    fn new(mut session: Session, size: &[u8; 3]) -> std::result::Result<Self, Failure> {
        let size = u32::from_be_bytes([0, size[0], size[1], size[2]]);
        let room = session.room(size)?.min(MAX_TOKEN) as usize;
        if room == 0 { Err(Failure::Protection) } else { Ok(Self { session, room }) }
    }

    /// Bytes that may be closed at a time.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// Appends `bytes` as one token to `output`.
    pub(crate) fn close(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Result<()> {
        let token = self.session.wrap(bytes, true)?;
        // The other side has told its size in three bytes, and this is not larger.
        output.extend_from_slice(&(token.len() as u32).to_be_bytes());
        output.extend_from_slice(&token);
        Ok(())
    }

    /// Moves what the whole tokens in `input` mean to `output`.
    pub(crate) fn open(
        &mut self,
        input: &mut Vec<u8>,
        output: &mut Vec<u8>,
    ) -> std::result::Result<(), BadToken> {
        let mut taken = 0;
        while let Some((length, rest)) = input[taken..].split_first_chunk() {
            let length = u32::from_be_bytes(*length);
            if length > MAX_TOKEN {
                return Err(BadToken::Long(length));
            }
            let Some(token) = rest.get(..length as usize) else { break };
            let (bytes, encrypted) = self.session.unwrap(token)?;
            if !encrypted {
                return Err(BadToken::Readable);
            }
            output.extend_from_slice(&bytes);
            taken += length.to_be_bytes().len() + token.len();
        }
        input.drain(..taken);
        if input.is_empty() {
            // A client that rests keeps no memory.
            *input = Vec::new();
        }
        Ok(())
    }
}

/// Why what came is not for this connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadToken {
    #[error("a token of {0} bytes is too long")]
    Long(u32),
    #[error("a token is not encrypted")]
    Readable,
    #[error("{0}")]
    Kerberos(#[from] Error),
}

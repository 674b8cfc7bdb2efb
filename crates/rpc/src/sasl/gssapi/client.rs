// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The side that has a ticket.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_host::gssapi::{Initiator, Session, Step};

use super::{ENCRYPTED, SERVICE, Seal, UNPROTECTED, encrypted};

/// The bits of a key that is worth its name; daemons ask for as many unless they are told otherwise.
const MIN_STRENGTH: u32 = 112;

/// One exchange.
pub struct GssapiClient {
    /// Whether nobody can read along anyway.
    secure: bool,
    state: State,
}

enum State {
    /// The daemon owes its proof.
    Begun(Initiator),
    /// It has given it, and owes an offer.
    Proven(Session),
    /// What protects all that follows.
    Chosen(Option<Seal>),
    Over,
}

impl GssapiClient {
    /// A new exchange with the daemon on `host`, and its first message. Blocks: the KDC may be asked.
    ///
    /// # Errors
    /// `VIR_ERR_AUTH_UNAVAILABLE` without Kerberos' library, `VIR_ERR_AUTH_FAILED` without a ticket.
    pub fn new(host: &str, secure: bool) -> Result<(Self, Vec<u8>)> {
        let (state, first) = stepped(Initiator::new(SERVICE, host)?, &[])?;
        Ok((Self { secure, state }, first))
    }

    /// The answer to what the daemon says. Blocks.
    ///
    /// # Errors
    /// `VIR_ERR_AUTH_FAILED`: the daemon is not the service, or nothing that it offers is safe here.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>> {
        let (state, answer) = match std::mem::replace(&mut self.state, State::Over) {
            State::Begun(initiator) => stepped(initiator, challenge)?,
            State::Proven(session) => choose(session, challenge, self.secure)?,
            State::Chosen(_) | State::Over => return Err(refused("it goes on after the end")),
        };
        self.state = state;
        Ok(answer)
    }

    /// What protects all that follows, now that the daemon is satisfied; `None`: nothing has to.
    ///
    /// # Errors
    /// `VIR_ERR_AUTH_FAILED` if it is satisfied too early: it has not proven who it is.
    pub fn finish(&mut self) -> Result<Option<Seal>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Chosen(seal) => Ok(seal),
            _ => Err(refused("it is satisfied before it has proven who it is")),
        }
    }
}

fn stepped(initiator: Initiator, token: &[u8]) -> Result<(State, Vec<u8>)> {
    Ok(match initiator.step(token)? {
        Step::More(initiator, answer) => (State::Begun(initiator), answer),
        Step::Done(session, answer) => (State::Proven(session), answer),
    })
}

/// Chooses among the layers of protection on offer.
fn choose(mut session: Session, offer: &[u8], secure: bool) -> Result<(State, Vec<u8>)> {
    let (offer, _) = session.unwrap(offer)?;
    let Ok([layers, size @ ..]) = <[u8; 4]>::try_from(offer) else {
        return Err(refused("its offer of protection is none"));
    };
    let wanted = if secure { UNPROTECTED } else { ENCRYPTED };
    if layers & wanted == 0 {
        return Err(refused("it does not offer to encrypt, and others could read along"));
    }
    if secure {
        let choice = session.wrap(&[UNPROTECTED, 0, 0, 0], false)?;
        return Ok((State::Chosen(None), choice));
    }
    let strength = session.strength();
    if strength < MIN_STRENGTH {
        return Err(refused(&format!("the ticket encrypts with keys of {strength} bits only")));
    }
    let choice = session.wrap(&encrypted(), false)?;
    let seal = Seal::new(session, &size).map_err(|cause| refused(&cause.to_string()))?;
    Ok((State::Chosen(Some(seal)), choice))
}

fn refused(why: &str) -> Error {
    Error::new(ErrorCode::AuthFailed, format!("the daemon's side of GSSAPI: {why}"))
        .in_domain(ErrorDomain::Auth)
}

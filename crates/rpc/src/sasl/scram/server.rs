// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The side that has a verifier.

use super::{Failure, LENGTH, Verifier, decode, encode, hash, nonce, sign, value, xor};

/// One exchange.
pub(crate) struct ScramServer(State);

enum State {
    /// The client has said nothing.
    Begun,
    /// It has said who it wants to be, and was challenged.
    Challenged(Challenged),
    Over,
}

struct Challenged {
    user: String,
    verifier: Verifier,
    /// What the client must repeat.
    binding: String,
    nonce: String,
    /// Both messages that were exchanged, which the proofs sign.
    said: String,
}

/// What the client's first message says.
pub(crate) struct First<'a> {
    pub(crate) user: String,
    header: &'a str,
    bare: &'a str,
    nonce: &'a str,
}

impl ScramServer {
    pub(crate) fn new() -> Self {
        Self(State::Begun)
    }

    /// Whether the next message is the one that says who the client wants to be.
    pub(crate) fn is_begun(&self) -> bool {
        matches!(self.0, State::Begun)
    }

    /// The challenge to the client's first message, by what proves its user.
    pub(crate) fn challenge(
        &mut self,
        first: &First<'_>,
        verifier: Verifier,
    ) -> Result<String, Failure> {
        let nonce = first.nonce.to_owned() + &nonce()?;
        self.challenge_with(first, verifier, nonce)
    }

    pub(super) fn challenge_with(
        &mut self,
        first: &First<'_>,
        verifier: Verifier,
        nonce: String,
    ) -> Result<String, Failure> {
        let State::Begun = std::mem::replace(&mut self.0, State::Over) else {
            return Err(Failure::Over);
        };
        let challenge = format!("r={nonce},s={},i={}", encode(&verifier.salt), verifier.iterations);
        self.0 = State::Challenged(Challenged {
            user: first.user.clone(),
            verifier,
            binding: encode(first.header.as_bytes()),
            nonce,
            said: format!("{},{challenge}", first.bare),
        });
        Ok(challenge)
    }

    /// Checks the client's proof; its name, and our own proof.
    pub(crate) fn check(&mut self, message: &[u8]) -> Result<(String, String), Failure> {
        let State::Challenged(Challenged { user, verifier, binding, nonce, said }) =
            std::mem::replace(&mut self.0, State::Over)
        else {
            return Err(Failure::Over);
        };
        let message = std::str::from_utf8(message).map_err(|_| Failure::Malformed)?;
        let (signed, proof) = message.rsplit_once(",p=").ok_or(Failure::Malformed)?;
        let proof: [u8; LENGTH] =
            decode(proof).and_then(|proof| proof.try_into().ok()).ok_or(Failure::Malformed)?;
        let mut parts = signed.split(',');
        let same_binding = value(parts.next(), 'c')? == binding;
        if !same_binding || value(parts.next(), 'r')? != nonce {
            return Err(Failure::Malformed);
        }
        let text = format!("{said},{signed}");
        let client_key = xor(&proof, &sign(&verifier.stored_key, text.as_bytes()));
        // What is compared are hashes that a stranger cannot steer: time tells nothing.
        if hash(&client_key) != verifier.stored_key {
            return Err(Failure::WrongProof);
        }
        Ok((user, format!("v={}", encode(&sign(&verifier.server_key, text.as_bytes())))))
    }
}

/// Reads the client's first message.
pub(crate) fn first(message: &[u8]) -> Result<First<'_>, Failure> {
    let message = std::str::from_utf8(message).map_err(|_| Failure::Malformed)?;
    let mut parts = message.splitn(3, ',');
    let (binding, actor) = (parts.next(), parts.next().ok_or(Failure::Malformed)?);
    let bare = parts.next().ok_or(Failure::Malformed)?;
    match binding {
        Some("n" | "y") => {}
        Some(other) if other.starts_with("p=") => return Err(Failure::Unsupported),
        _ => return Err(Failure::Malformed),
    }
    let header = &message[..message.len() - bare.len()];
    let mut parts = bare.split(',');
    let name = match parts.next() {
        // An extension without which the rest would be misunderstood.
        Some(part) if part.starts_with("m=") => return Err(Failure::Unsupported),
        part => value(part, 'n')?,
    };
    let nonce = value(parts.next(), 'r')?;
    if !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::Malformed);
    }
    if !actor.is_empty() && actor.strip_prefix("a=") != Some(name) {
        return Err(Failure::Unsupported);
    }
    Ok(First { user: unescape(name)?, header, bare, nonce })
}

/// In names, commas and equals signs are written as numbers.
fn unescape(name: &str) -> Result<String, Failure> {
    let plain = name.replace("=2C", ",").replace("=3D", "\0");
    if plain.contains('=') || name.contains('\0') {
        return Err(Failure::Malformed);
    }
    Ok(plain.replace('\0', "="))
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The side that has a password.

use std::num::NonZeroU32;

use super::{
    Failure, LENGTH, MAX_ITERATIONS, decode, encode, hash, nonce, salted, sign, value, xor,
};

/// Neither channel binding nor anybody else's name.
const HEADER: &str = "n,,";

/// One exchange.
pub struct ScramClient {
    password: String,
    state: State,
}

enum State {
    /// With the first message without its header, and our part of the nonce.
    Begun {
        bare: String,
        nonce: String,
    },
    /// With the proof that the server owes.
    Proven([u8; LENGTH]),
    Over,
}

impl ScramClient {
    /// A new exchange, and its first message.
    pub fn new(user: &str, password: &str) -> Result<(Self, Vec<u8>), Failure> {
        Ok(Self::with(user, password, nonce()?))
    }

    pub(super) fn with(user: &str, password: &str, nonce: String) -> (Self, Vec<u8>) {
        let name = user.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={name},r={nonce}");
        let first = format!("{HEADER}{bare}").into_bytes();
        (Self { password: password.to_owned(), state: State::Begun { bare, nonce } }, first)
    }

    /// The answer to the server's challenge. Hashes the password many times.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Failure> {
        let State::Begun { bare, nonce } = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Failure::Over);
        };
        let challenge = std::str::from_utf8(challenge).map_err(|_| Failure::Malformed)?;
        let mut parts = challenge.split(',');
        let whole_nonce = value(parts.next(), 'r')?;
        let salt = decode(value(parts.next(), 's')?).ok_or(Failure::Malformed)?;
        let iterations: NonZeroU32 =
            value(parts.next(), 'i')?.parse().map_err(|_| Failure::Malformed)?;
        if !whole_nonce.starts_with(&nonce) || whole_nonce.len() == nonce.len() {
            return Err(Failure::Malformed);
        }
        if iterations.get() > MAX_ITERATIONS {
            return Err(Failure::Unsupported);
        }
        let salted = salted(&self.password, &salt, iterations);
        let client_key = sign(&salted, b"Client Key");
        let signed = format!("c={},r={whole_nonce}", encode(HEADER.as_bytes()));
        let text = format!("{bare},{challenge},{signed}");
        let proof = xor(&client_key, &sign(&hash(&client_key), text.as_bytes()));
        let owed = sign(&sign(&salted, b"Server Key"), text.as_bytes());
        self.state = State::Proven(owed);
        Ok(format!("{signed},p={}", encode(&proof)).into_bytes())
    }

    /// Whether the server has proven that it knows the user.
    pub fn check(&mut self, last: &[u8]) -> Result<(), Failure> {
        let State::Proven(owed) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Failure::Over);
        };
        let last = std::str::from_utf8(last).map_err(|_| Failure::Malformed)?;
        let proof = decode(value(last.split(',').next(), 'v')?).ok_or(Failure::Malformed)?;
        if proof == owed { Ok(()) } else { Err(Failure::WrongProof) }
    }
}

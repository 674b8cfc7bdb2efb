// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SCRAM-SHA-256 (RFC 5802, RFC 7677), both sides, without channel binding.
//!
//! ```text
//! client                                                   server
//!   name, nonce ──────────────────────────────────────────▶
//!   ◀──────────────── nonce with its own part, salt, iterations
//!   proof that it knows the password ─────────────────────▶
//!   ◀──────────────────────────── proof that it knows the user
//! ```
//! Neither side learns the password from the other, nor anything with which it could pass for it.

mod client;
mod server;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};

pub use client::ScramClient;
pub(crate) use server::{ScramServer, first};

/// The mechanism's name.
pub const NAME: &str = "SCRAM-SHA-256";

/// How often a new password is hashed; guessing it costs as much for each guess.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(16_384).unwrap();

/// More than any server asks for, and less than a second of work.
const MAX_ITERATIONS: u32 = 1_000_000;

/// Longer names, nonces and salts serve nobody.
const MAX_FIELD: usize = 256;

const LENGTH: usize = digest::SHA256_OUTPUT_LEN;

/// Why an exchange failed, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A message is not of this mechanism.
    #[error("a message is not as SCRAM wants it")]
    Malformed,
    /// The other side asks for something that is not offered.
    #[error("channel binding, extensions and acting for others are not supported")]
    Unsupported,
    /// Password or user is wrong, on whichever side.
    #[error("the proof is wrong")]
    WrongProof,
    /// A message came after the end.
    #[error("the exchange is over")]
    Over,
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    NoRandom,
}

/// What proves that a client knows a password, without being of any use to pass for it elsewhere.
/// As a text, `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>` (RFC 5803).
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    stored_key: [u8; LENGTH],
    server_key: [u8; LENGTH],
}

impl Verifier {
    /// The verifier of a new password.
    pub fn new(password: &str) -> Result<Self, Failure> {
        Ok(Self::with(password, random::<16>()?.to_vec(), ITERATIONS))
    }

    fn with(password: &str, salt: Vec<u8>, iterations: NonZeroU32) -> Self {
        let salted = salted(password, &salt, iterations);
        let stored_key = hash(&sign(&salted, b"Client Key"));
        Self { iterations, salt, stored_key, server_key: sign(&salted, b"Server Key") }
    }

    /// What stands in for users that do not exist, so that nobody learns which do: the same salt for
    /// the same name, and no password.
    pub(crate) fn of_nobody(name: &str) -> Result<Self, Failure> {
        static SECRET: OnceLock<[u8; LENGTH]> = OnceLock::new();
        let fresh = random()?;
        let secret = SECRET.get_or_init(|| fresh);
        Ok(Self {
            iterations: ITERATIONS,
            salt: sign(secret, name.as_bytes())[..16].to_vec(),
            stored_key: random()?,
            server_key: random()?,
        })
    }

    /// Reads the text of a verifier; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(NAME)?.strip_prefix('$')?;
        let (cost, keys) = rest.split_once('$')?;
        let (iterations, salt) = cost.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        Some(Self {
            iterations: iterations.parse().ok()?,
            salt: decode(salt).filter(|salt| !salt.is_empty())?,
            stored_key: decode(stored_key)?.try_into().ok()?,
            server_key: decode(server_key)?.try_into().ok()?,
        })
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] =
            [&self.salt[..], &self.stored_key, &self.server_key].map(encode);
        write!(f, "{NAME}${}:{salt}${stored}:{server}", self.iterations)
    }
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Failure::NoRandom)?;
    Ok(bytes)
}

/// A nonce that can stand in a message.
fn nonce() -> Result<String, Failure> {
    random::<24>().map(|bytes| encode(&bytes))
}

fn salted(password: &str, salt: &[u8], iterations: NonZeroU32) -> [u8; LENGTH] {
    let mut salted = [0; LENGTH];
    let password = password.as_bytes();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password, &mut salted);
    salted
}

fn sign(key: &[u8; LENGTH], text: &[u8]) -> [u8; LENGTH] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let mut signature = [0; LENGTH];
    signature.copy_from_slice(tag.as_ref());
    signature
}

fn hash(bytes: &[u8]) -> [u8; LENGTH] {
    let mut hash = [0; LENGTH];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

fn xor(left: &[u8; LENGTH], right: &[u8; LENGTH]) -> [u8; LENGTH] {
    std::array::from_fn(|index| left[index] ^ right[index])
}

fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The value of the attribute `name` that `part` must be.
fn value(part: Option<&str>, name: char) -> Result<&str, Failure> {
    let value = part.and_then(|part| part.strip_prefix(name)?.strip_prefix('='));
    value.filter(|value| (1..=MAX_FIELD).contains(&value.len())).ok_or(Failure::Malformed)
}

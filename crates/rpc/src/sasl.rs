// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SASL: how a client proves who it is, and where the daemon keeps what proves it.
//!
//! SCRAM-SHA-256 asks for a password, which it neither sends nor keeps. It does not encrypt, so it serves
//! where the transport does. GSSAPI asks for a Kerberos ticket, and encrypts where the transport does not.

mod gssapi;
pub mod scram;
mod users;

use std::path::PathBuf;

use crate::pattern;
pub(crate) use gssapi::{Failure as GssapiFailure, GssapiServer, Known, Progress};
pub use gssapi::{Gssapi, GssapiClient, NAME as GSSAPI, Seal};
pub use users::Users;

/// Where users are kept, and which of them are let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaslSettings {
    /// The file of [`Users`], looked into when somebody comes.
    pub users: PathBuf,
    /// Patterns of the names of users that are let in; `None`: all.
    pub allowed_names: Option<Vec<String>>,
    /// Kerberos, if this host has it.
    pub gssapi: Option<Gssapi>,
    /// How well a mechanism must encrypt where the transport does not, in bits of a key.
    pub min_strength: u32,
}

impl SaslSettings {
    /// The mechanisms that are offered where the transport is `secure`, or is not.
    pub(crate) fn mechanisms(&self, secure: bool) -> Vec<&'static str> {
        let scram = (secure || self.min_strength == 0).then_some(scram::NAME);
        scram.into_iter().chain(self.gssapi.as_ref().map(|_| GSSAPI)).collect()
    }

    /// Whether a user who has proven this name is let in.
    pub(crate) fn admits(&self, user: &str) -> bool {
        let allowed = self.allowed_names.as_ref();
        allowed.is_none_or(|allowed| allowed.iter().any(|pattern| pattern::fits(pattern, user)))
    }
}

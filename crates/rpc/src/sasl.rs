// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SASL: how a client proves with a password who it is, and where the daemon keeps what proves it.
//!
//! The one mechanism is SCRAM-SHA-256, which sends no password and keeps none. It does not encrypt,
//! so it serves where the transport does.

pub mod scram;
mod users;

use std::path::PathBuf;

use crate::pattern;
pub use users::Users;

/// The mechanisms offered, separated by commas.
pub(crate) const MECHANISMS: &str = scram::NAME;

/// Where users are kept, and which of them are let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaslSettings {
    /// The file of [`Users`], looked into when somebody comes.
    pub users: PathBuf,
    /// Patterns of the names of users that are let in; `None`: all.
    pub allowed_names: Option<Vec<String>>,
}

impl SaslSettings {
    /// Whether a user who has proven this name is let in.
    pub(crate) fn admits(&self, user: &str) -> bool {
        let allowed = self.allowed_names.as_ref();
        allowed.is_none_or(|allowed| allowed.iter().any(|pattern| pattern::fits(pattern, user)))
    }
}

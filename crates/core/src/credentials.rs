// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names and passwords, and who knows them.

use std::fmt;

use virtus_api::Result;

/// A name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name, as whoever asks knows it.
    pub user: String,
    /// What proves it.
    pub password: String,
}

impl fmt::Debug for Credentials {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Who knows the credentials for a service ("libvirt", "esx") on a host.
pub trait Keychain: Send + Sync {
    /// The credentials, if it has any.
    ///
    /// # Errors
    /// Those of whatever they are kept in.
    fn credentials(&self, service: &str, host: &str) -> Result<Option<Credentials>>;
}

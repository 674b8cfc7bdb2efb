// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names and passwords for daemons that ask: from the application, or from libvirt's auth.conf.
//!
//! ```text
//! [credentials-lab]              [auth-libvirt-host1.example.com]
//! authname=fred                  credentials=lab
//! password=…
//! ```

mod file;
mod sasl;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use virtus_api::Result;

pub(crate) use sasl::Passwords;

/// A name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name, as the daemon knows it.
    pub user: String,
    /// What proves it.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What an application answers when a daemon on this host asks.
pub(crate) type Callback = Arc<dyn Fn(&str) -> Option<Credentials> + Send + Sync>;

/// The file of credentials that holds: the first of these that is there.
pub(crate) fn file(
    named: Option<&Path>,
    variable: Option<PathBuf>,
    own: &Path,
    system: &Path,
) -> Option<PathBuf> {
    let usual =
        || [own, system].map(|folder| folder.join("auth.conf")).into_iter().find(|f| f.exists());
    named.map(Path::to_owned).or(variable).or_else(usual)
}

/// What `file` says for `host`.
///
/// # Errors
/// `VIR_ERR_SYSTEM_ERROR` or `VIR_ERR_CONF_SYNTAX` naming file and line.
pub(crate) fn of_host(file: &Path, host: &str) -> Result<Option<Credentials>> {
    file::read(file)?.credentials(host)
}

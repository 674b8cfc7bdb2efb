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
use virtus_core::{Credentials, Keychain};

pub(crate) use sasl::Proof;

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

/// The application, or else libvirt's file, as whoever knows passwords.
pub(crate) struct Known {
    pub(crate) callback: Option<Callback>,
    pub(crate) file: Option<PathBuf>,
}

impl Keychain for Known {
    /// # Errors
    /// `VIR_ERR_SYSTEM_ERROR` or `VIR_ERR_CONF_SYNTAX` naming file and line.
    fn credentials(&self, service: &str, host: &str) -> Result<Option<Credentials>> {
        match (self.callback.as_ref().and_then(|callback| callback(host)), &self.file) {
            (Some(known), _) => Ok(Some(known)),
            (None, Some(path)) => file::read(path)?.credentials(service, host),
            (None, None) => Ok(None),
        }
    }
}

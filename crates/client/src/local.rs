// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where this host's daemons answer, for those who carry bytes and do not call.

use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::{Paths, Uri};

use crate::resolve::{self, Surroundings, Way};

/// The socket of this host at which `uri` is answered.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG` or `VIR_ERR_OPERATION_UNSUPPORTED` naming what is wrong with the URI, also if it
/// leads to another host.
pub fn local_socket(uri: &str, read_only: bool) -> Result<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let (system, session) = (Paths::system(), Paths::session(uid));
    let exists = |path: &Path| path.exists();
    let around = Surroundings {
        uid,
        system,
        session,
        default_uri: None,
        conf: None,
        autostart: false,
        exists: &exists,
    };
    let target = resolve::target(Some(&Uri::parse(uri)?), read_only, &around)?;
    match target.way {
        Way::Unix(socket) => Ok(socket),
        _ => {
            let text = format!("'{uri}' does not lead to a unix socket of this host");
            Err(Error::new(ErrorCode::InvalidArg, text).in_domain(ErrorDomain::Rpc))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! To this host's daemons, for those who carry bytes and do not call.

use std::os::unix::net::UnixStream;
use std::path::Path;

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::{Paths, Uri};

use crate::dial::{own_daemon, reach};
use crate::resolve::{self, Surroundings, Way};

/// Connects to the socket of this host at which `uri` is answered; a user's own daemon is started for that if it does
/// not run.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG` or `VIR_ERR_OPERATION_UNSUPPORTED` naming what is wrong with the URI, also if it
/// leads to another host; `VIR_ERR_SYSTEM_ERROR` if nobody listens there.
pub async fn connect_local(uri: &str, read_only: bool) -> Result<UnixStream> {
    let uid = rustix::process::geteuid().as_raw();
    let (system, session) = (Paths::system(), Paths::session(uid));
    let exists = |path: &Path| path.exists();
    let around = Surroundings {
        uid,
        system,
        session,
        default_uri: None,
        conf: None,
        autostart: own_daemon::is_allowed(),
        exists: &exists,
    };
    let target = resolve::target(Some(&Uri::parse(uri)?), read_only, &around)?;
    let Way::Unix(path) = &target.way else {
        let text = format!("'{uri}' does not lead to a unix socket of this host");
        return Err(Error::new(ErrorCode::InvalidArg, text).in_domain(ErrorDomain::Rpc));
    };
    let connected = reach(path, target.daemon.as_deref()).await?.into_std();
    // A plain socket of the standard library blocks.
    let socket = connected.and_then(|socket| socket.set_nonblocking(false).map(|()| socket));
    socket.map_err(|cause| {
        let attempt = format!("cannot take over the socket '{}'", path.display());
        Error::system(attempt, &cause).in_domain(ErrorDomain::Rpc)
    })
}

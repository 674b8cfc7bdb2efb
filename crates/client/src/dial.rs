// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Gets to where a connection is answered.

use std::path::Path;

use tokio::net::UnixStream;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_rpc::Transport;

use crate::resolve::Way;

/// Connects. Drop the future to give up.
///
/// # Errors
/// `VIR_ERR_SYSTEM_ERROR` naming the socket or host.
pub(crate) async fn dial(way: &Way) -> Result<Transport> {
    match way {
        Way::Unix(path) => unix(path).await.map(Transport::from),
        _ => Err(Error::new(ErrorCode::NoSupport, "this transport").in_domain(ErrorDomain::Rpc)),
    }
}

async fn unix(path: &Path) -> Result<UnixStream> {
    UnixStream::connect(path).await.map_err(|cause| {
        let attempt = format!("Failed to connect socket to '{}'", path.display());
        Error::system(attempt, &cause).in_domain(ErrorDomain::Rpc).hint(match cause.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "join the group 'libvirt', or open the connection read-only"
            }
            _ => "the daemon does not run: start its service or socket unit (systemctl start virtqemud.socket)",
        })
    })
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Gets to where a connection is answered.

pub(crate) mod own_daemon;
mod pki;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;

use tokio::net::{TcpStream, UnixStream};
use tokio::process::Command;
use virtus_api::{Error, ErrorDomain, Result};
use virtus_rpc::{TlsClient, Transport};

use crate::resolve::{Surroundings, Target, Way};

/// What carries the bytes, and who must live as long as it does.
pub(crate) struct Line {
    pub(crate) transport: Transport,
    pub(crate) tunnel: Option<tokio::process::Child>,
}

impl From<Transport> for Line {
    fn from(transport: Transport) -> Self {
        Self { transport, tunnel: None }
    }
}

impl Way {
    /// Whether nobody on the way can read along.
    pub(crate) fn is_secure(&self) -> bool {
        !matches!(self, Self::Tcp { .. })
    }
}

/// Connects. Drop the future to give up.
///
/// # Errors
/// `VIR_ERR_SYSTEM_ERROR` naming the socket, host or command; `VIR_ERR_RPC` for what TLS objects to.
pub(crate) async fn dial(target: &Target, around: &Surroundings<'_>) -> Result<Line> {
    match &target.way {
        Way::Unix(path) => {
            let socket = reach(path, target.daemon.as_deref()).await?;
            let transport = Transport::try_from(socket).map_err(|cause| {
                let attempt = format!("cannot watch the socket '{}'", path.display());
                Error::system(attempt, &cause).in_domain(ErrorDomain::Rpc)
            })?;
            Ok(transport.into())
        }
        Way::Tcp { host, port } => {
            tcp(host, *port).await.map(|socket| Transport::from(socket).into())
        }
        Way::Tls { host, port, verify, pki } => {
            let files = pki::files(pki.as_deref(), around);
            let verify = *verify;
            let loading = tokio::task::spawn_blocking(move || TlsClient::load(&files, verify));
            let client = loading.await.map_err(|cause| gone("reading certificates", &cause))??;
            let socket = tcp(host, *port).await?;
            Ok(client.connect(socket, host).await?.into())
        }
        Way::Command { program, arguments } => command(program, arguments),
    }
}

/// Connects to a unix socket. If nobody listens there, the `daemon` that should is started first.
pub(crate) async fn reach(path: &Path, daemon: Option<&str>) -> Result<UnixStream> {
    match (unix(path).await, daemon) {
        (Err(error), Some(daemon)) if own_daemon::is_missing(&error) => {
            own_daemon::start(daemon, path).await
        }
        (outcome, _) => outcome,
    }
}

async fn unix(path: &Path) -> Result<UnixStream> {
    UnixStream::connect(path).await.map_err(|cause| {
        let attempt = format!("Failed to connect socket to '{}'", path.display());
        Error::system(attempt, &cause).in_domain(ErrorDomain::Rpc).hint(match cause.kind() {
            io::ErrorKind::PermissionDenied => {
                "join the group 'libvirt', or open the connection read-only"
            }
            _ => {
                "the daemon does not run: start its socket unit (systemctl start virtqemud.socket)"
            }
        })
    })
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream> {
    let connected = TcpStream::connect((host, port)).await.and_then(|socket| {
        // A call is one small message, and its answer is waited for.
        socket.set_nodelay(true)?;
        Ok(socket)
    });
    connected.map_err(|cause| {
        let attempt = format!("unable to connect to server at '{host}:{port}'");
        Error::system(attempt, &cause).in_domain(ErrorDomain::Rpc).hint(
            "the host's daemon listens only if virtproxyd-tcp.socket or virtproxyd-tls.socket runs",
        )
    })
}

/// A program whose standard input and output are the connection. It ends with it.
#[expect(
    clippy::disallowed_methods,
    reason = "the application's own child, ended with the connection; no daemon's process table is near"
)]
fn command(program: &str, arguments: &[String]) -> Result<Line> {
    let failed = |cause: io::Error| {
        Error::system(format!("cannot run '{program}'"), &cause).in_domain(ErrorDomain::Rpc)
    };
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    let again = theirs.try_clone().map_err(failed)?;
    let tunnel = Command::new(program)
        .args(arguments)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(OwnedFd::from(again)))
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let transport = UnixStream::from_std(ours).and_then(Transport::try_from).map_err(failed)?;
    Ok(Line { transport, tunnel: Some(tunnel) })
}

fn gone(attempt: &str, cause: &tokio::task::JoinError) -> Error {
    Error::new(virtus_api::ErrorCode::InternalError, format!("{attempt} was broken off: {cause}"))
        .in_domain(ErrorDomain::Rpc)
}

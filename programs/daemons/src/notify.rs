// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Messages to systemd (`sd_notify`). Without `NOTIFY_SOCKET` they go nowhere.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};
use tracing::debug;

/// Whether systemd has started this very process as a service.
pub(crate) fn is_service() -> bool {
    env::var("SYSTEMD_EXEC_PID").is_ok_and(|pid| pid == std::process::id().to_string())
}

/// The service answers.
pub(crate) fn ready() {
    send("READY=1");
}

/// It reads its configuration anew; [`ready`] says when it has.
pub(crate) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    send(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1000));
}

/// It is about to exit.
pub(crate) fn stopping() {
    send("STOPPING=1");
}

fn send(message: &str) {
    if let Some(path) = env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send_to(&path, message)
    {
        debug!("systemd was not told '{message}': {error}");
    }
}

fn send_to(path: &OsString, message: &str) -> io::Result<()> {
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(path)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address).map(drop)
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! TCP ports for screens: which are free, and which of our guests has which.
//!
//! Invariant: a port is given to one guest at a time; it is also tried on the host, since others use
//! ports too.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use virtus_api::{Error, ErrorCode, Result};

/// The ports that our guests have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ports {
    taken: Arc<Mutex<BTreeSet<u16>>>,
    /// Whether the host is not asked: for command lines that nobody runs.
    on_paper: bool,
}

impl Ports {
    /// Ports for a command line that is only shown: every one is free.
    pub(crate) fn on_paper() -> Self {
        Self { on_paper: true, ..Self::default() }
    }

    /// Takes the first free port of `range`.
    ///
    /// # Errors
    /// Where every port is in use.
    pub(crate) fn take_free(&self, range: RangeInclusive<u16>, what: &str) -> Result<u16> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for port in range.clone() {
            if !taken.contains(&port) && (self.on_paper || is_free(port)) {
                taken.insert(port);
                return Ok(port);
            }
        }
        let text = format!(
            "Unable to find an unused port in range '{what}' ({}-{})",
            range.start(),
            range.end()
        );
        Err(Error::new(ErrorCode::OperationFailed, text)
            .hint("widen the range in qemu.conf, or stop guests that use these ports"))
    }

    /// Takes the port that a definition names.
    ///
    /// # Errors
    /// Where another guest or another program has it.
    pub(crate) fn take(&self, port: u16, address: &str, what: &str) -> Result<()> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let hint = "choose another port, or let one be found: autoport='yes'";
        if taken.contains(&port) {
            let text = format!("{what} port {port} is in use by another domain");
            return Err(Error::new(ErrorCode::OperationFailed, text).hint(hint));
        }
        if !self.on_paper
            && let Some(address) = parse(address)
            && let Err(cause) = try_bind(SocketAddr::new(address, port))
            && cause.kind() == io::ErrorKind::AddrInUse
        {
            let text = format!("{what} port {port} on '{address}' is in use by another program");
            return Err(Error::new(ErrorCode::OperationFailed, text).hint(hint));
        }
        taken.insert(port);
        Ok(())
    }

    /// Notes that a guest that was found running has the port.
    pub(crate) fn note(&self, port: u16) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(port);
    }

    /// Gives a port back.
    pub(crate) fn give_back(&self, port: u16) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&port);
    }
}

/// Whether nobody listens on the port, on any address.
fn is_free(port: u16) -> bool {
    let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    any.into_iter().all(|address| match try_bind(SocketAddr::new(address, port)) {
        Ok(()) => true,
        // A host without IPv6 has no IPv6 ports in use.
        Err(cause) => cause.kind() != io::ErrorKind::AddrInUse,
    })
}

/// Binds as QEMU will, and lets go.
fn try_bind(address: SocketAddr) -> io::Result<()> {
    use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    // With SO_REUSEADDR only listening tells whether somebody else listens.
    rustix::net::listen(&socket, 1)?;
    Ok(())
}

fn parse(address: &str) -> Option<IpAddr> {
    match address {
        "" => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        address => address.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_in_use_is_passed_over_or_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let busy = listener.local_addr().unwrap().port();
        let ports = Ports::default();
        let error = ports.take(busy, "127.0.0.1", "VNC").unwrap_err();
        assert!(error.to_string().contains("another program"), "{error}");
        ports.take_free(busy..=busy, "display").unwrap_err();
        drop(listener);
        assert_eq!(ports.take_free(busy..=busy, "display").unwrap(), busy);
        let error = ports.take(busy, "127.0.0.1", "VNC").unwrap_err();
        assert!(error.to_string().contains("another domain"), "{error}");
        ports.give_back(busy);
        ports.take(busy, "127.0.0.1", "VNC").unwrap();
    }
}

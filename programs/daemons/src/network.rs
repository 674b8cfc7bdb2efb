// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The sockets for clients of other hosts: `--listen`, and what the configuration says of them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::conf::{Conf, Value};
use virtus_rpc::Access;

use crate::sockets::{Listening, Socket};

/// libvirt's port for plain TCP.
const TCP_PORT: u16 = 16509;

/// What the configuration says of TCP sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkRules {
    /// Whether plain TCP is served.
    tcp: bool,
    tcp_port: u16,
    /// The only address to listen on, as a name or a number.
    address: Option<String>,
    /// Whether clients of plain TCP are let in without being asked who they are.
    anyone_on_tcp: bool,
}

/// The keys that [`NetworkRules`] come from.
pub(crate) const KEYS: &[&str] = &["listen_tcp", "tcp_port", "listen_addr", "auth_tcp"];

impl NetworkRules {
    pub(crate) fn read(conf: &Conf) -> Result<Self> {
        let anyone = |value: &Value| match value {
            Value::Text(text) if text == "none" => Some(true),
            Value::Text(text) if text == "sasl" => Some(false),
            _ => None,
        };
        let anyone_on_tcp = conf.typed("auth_tcp", "\"sasl\" or \"none\"", anyone)?;
        Ok(Self {
            tcp: conf.number("listen_tcp")?.unwrap_or(0) != 0,
            tcp_port: port(conf, "tcp_port")?.unwrap_or(TCP_PORT),
            address: conf.text("listen_addr")?.map(str::to_owned),
            anyone_on_tcp: anyone_on_tcp.unwrap_or(false),
        })
    }

    /// Binds the sockets that `--listen` asks for.
    pub(crate) fn bind(&self) -> Result<Vec<Listening>> {
        let mut sockets = Vec::new();
        if self.tcp {
            let access = self.tcp_access()?;
            for socket in bind(self.address.as_deref(), self.tcp_port)? {
                sockets.push(Listening::new(Socket::Tcp(socket), access));
            }
        }
        Ok(sockets)
    }

    /// What a client of plain TCP may do, if one may be served at all.
    pub(crate) fn tcp_access(&self) -> Result<Access> {
        if self.anyone_on_tcp {
            return Ok(Access { read_only: false });
        }
        let text = "auth_tcp: a TCP socket asks for SASL with encryption, which Virtus cannot do";
        Err(Error::new(ErrorCode::ConfigUnsupported, text)
            .in_domain(ErrorDomain::Conf)
            .hint("serve remote clients by ssh; auth_tcp = \"none\" lets in everyone who reaches the port"))
    }
}

/// A port, which the file gives as text.
fn port(conf: &Conf, name: &str) -> Result<Option<u16>> {
    conf.typed(name, "a port such as \"16509\"", |value| match value {
        Value::Text(text) => text.parse().ok(),
        _ => None,
    })
}

/// Sockets on every address of `host`, or on all of this host.
fn bind(host: Option<&str>, port: u16) -> Result<Vec<TcpListener>> {
    let shown = host.unwrap_or("all addresses");
    let explain = |cause: io::Error| {
        Error::system(format!("cannot listen on {shown}, port {port}"), &cause)
            .hint("listen_addr, tcp_port and tls_port say where to listen")
    };
    let sockets = match host {
        Some(host) => (host, port).to_socket_addrs().and_then(|found| found.map(listen).collect()),
        // The socket of IPv6 serves IPv4 too, unless this host has only the one.
        None => listen((Ipv6Addr::UNSPECIFIED, port).into())
            .or_else(|_| listen((Ipv4Addr::UNSPECIFIED, port).into()))
            .map(|socket| vec![socket]),
    };
    sockets.map_err(explain)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<NetworkRules> {
        NetworkRules::read(&Conf::parse(Path::new("x.conf"), text).unwrap())
    }

    #[test]
    fn tcp_is_off_and_guarded_unless_somebody_says_otherwise() {
        assert_eq!(read("").unwrap().bind().unwrap().len(), 0);
        let error = read("listen_tcp = 1").unwrap().bind().unwrap_err().to_string();
        assert!(error.contains("auth_tcp: ") && error.contains("\nhint: "), "{error}");
        let open =
            "listen_tcp = 1\ntcp_port = \"0\"\nlisten_addr = \"127.0.0.1\"\nauth_tcp = \"none\"";
        assert_eq!(read(open).unwrap().bind().unwrap().len(), 1);
    }

    #[test]
    fn wrong_values_are_named_with_their_line() {
        for (text, why) in [
            ("tcp_port = 16509", "expected a port such as"),
            ("tcp_port = \"http\"", "expected a port such as"),
            ("\nauth_tcp = \"polkit\"", "x.conf:2: "),
        ] {
            assert!(read(text).unwrap_err().to_string().contains(why), "{text}");
        }
        let error =
            read("listen_tcp = 1\nauth_tcp = \"none\"\nlisten_addr = \"192.0.2.1\"").unwrap();
        let error = error.bind().unwrap_err().to_string();
        assert!(error.contains("cannot listen on 192.0.2.1, port 16509"), "{error}");
    }
}

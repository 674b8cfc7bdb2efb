// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The sockets for clients of other hosts: `--listen`, and what the configuration says of them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::Paths;
use virtus_core::conf::{Conf, Value};
use virtus_rpc::{Access, Authentication, TlsSettings};

use crate::authentication;
use crate::sockets::{Listening, Socket};

/// libvirt's port for plain TCP.
const TCP_PORT: u16 = 16509;

/// libvirt's port for TLS.
const TLS_PORT: u16 = 16514;

/// What the configuration says of TCP sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkRules {
    /// The port of plain TCP, if that is to be served.
    tcp: Option<u16>,
    /// The port of TLS, if that is to be served.
    tls: Option<u16>,
    /// Whether the file says so, or nothing says otherwise.
    tls_is_set: bool,
    /// The only address to listen on, as a name or a number.
    address: Option<String>,
    on_tcp: Authentication,
    on_tls: Authentication,
    /// How well SASL must encrypt on plain TCP, in bits of a key.
    pub(crate) tcp_min_ssf: u32,
    /// Certificates, and who is let in with one.
    pub(crate) certificates: TlsSettings,
}

impl NetworkRules {
    pub(crate) fn read(conf: &Conf) -> Result<Self> {
        let tcp_port = port(conf, "tcp_port")?.unwrap_or(TCP_PORT);
        let tls_port = port(conf, "tls_port")?.unwrap_or(TLS_PORT);
        Ok(Self {
            tcp: switch(conf, "listen_tcp", false)?.then_some(tcp_port),
            tls: switch(conf, "listen_tls", true)?.then_some(tls_port),
            tls_is_set: conf.get("listen_tls").is_some(),
            address: conf.text("listen_addr")?.map(str::to_owned),
            on_tcp: authentication::read(conf, "auth_tcp")?.unwrap_or(Authentication::Sasl),
            on_tls: authentication::read(conf, "auth_tls")?.unwrap_or_default(),
            tcp_min_ssf: strength(conf, "tcp_min_ssf")?.unwrap_or(112),
            certificates: certificates(conf)?,
        })
    }

    /// Whether both say the same of sockets; certificates and the strength of SASL do not belong to that.
    pub(crate) fn same_sockets(&self, other: &Self) -> bool {
        let certificates = &other.certificates;
        let like_other = Self {
            tcp_min_ssf: other.tcp_min_ssf,
            certificates: certificates.clone(),
            ..self.clone()
        };
        like_other == *other
    }

    /// Binds the sockets of a daemon that listens, because `--listen` says so or always: then only those that are set.
    pub(crate) fn bind(&self, always: bool) -> Result<Vec<Listening>> {
        let mut sockets = Vec::new();
        if let Some(port) = self.tcp {
            let access = self.tcp_access()?;
            for socket in bind(self.address.as_deref(), port)? {
                sockets.push(Listening::new(Socket::Tcp(socket), access));
            }
        }
        if let Some(port) = self.tls.filter(|_| !always || self.tls_is_set) {
            for socket in bind(self.address.as_deref(), port)? {
                sockets.push(Listening::new(Socket::Tls(socket), self.tls_access()));
            }
        }
        Ok(sockets)
    }

    /// What a client of plain TCP may do, if one may be served at all.
    pub(crate) fn tcp_access(&self) -> Result<Access> {
        let access = Access { read_only: false, authentication: self.on_tcp };
        if self.on_tcp == Authentication::None {
            return Ok(access);
        }
        let explain = |cause: Error| {
            cause.context("auth_tcp: SASL on a TCP socket must encrypt, which GSSAPI alone does").hint(
                "serve remote clients by TLS or ssh; auth_tcp = \"none\" lets in everyone who reaches the port",
            )
        };
        authentication::gssapi().map(|_| access).map_err(explain)
    }

    /// What a client of TLS may do.
    pub(crate) fn tls_access(&self) -> Access {
        Access { read_only: false, authentication: self.on_tls }
    }
}

/// A setting that is on or off.
fn switch(conf: &Conf, name: &str, usual: bool) -> Result<bool> {
    Ok(conf.number::<i64>(name)?.map_or(usual, |number| number != 0))
}

/// Where the certificates are: at libvirt's places, or all three where the file says.
fn certificates(conf: &Conf) -> Result<TlsSettings> {
    // Beside etc/libvirt, wherever that is.
    let pki = Paths::system().config.with_file_name("pki");
    let file = |name| Ok::<_, Error>(conf.text(name)?.map(PathBuf::from));
    let (key, certificate, authority) = (file("key_file")?, file("cert_file")?, file("ca_file")?);
    let revocations = file("crl_file")?;
    let own_places = [("key_file", &key), ("cert_file", &certificate), ("ca_file", &authority)];
    let set = own_places.iter().find(|(_, path)| path.is_some());
    let unset = own_places.iter().find(|(_, path)| path.is_none());
    if let (Some((set, _)), Some((unset, _))) = (set, unset) {
        let text = format!("{}: {set} is set and {unset} is not", conf.file().display());
        return Err(Error::new(ErrorCode::ConfigUnsupported, text)
            .in_domain(ErrorDomain::Conf)
            .hint("set all of key_file, cert_file and ca_file, or none of them"));
    }
    let usual_list = || Some(pki.join("CA/cacrl.pem")).filter(|list| list.exists());
    let names = conf.texts("tls_allowed_dn_list")?;
    Ok(TlsSettings {
        revocations: match authority {
            Some(_) => revocations,
            None => revocations.or_else(usual_list),
        },
        key: key.unwrap_or_else(|| pki.join("libvirt/private/serverkey.pem")),
        certificate: certificate.unwrap_or_else(|| pki.join("libvirt/servercert.pem")),
        authority: authority.unwrap_or_else(|| pki.join("CA/cacert.pem")),
        check_own: !switch(conf, "tls_no_sanity_certificate", false)?,
        verify_clients: !switch(conf, "tls_no_verify_certificate", false)?,
        allowed_names: names.map(|names| names.into_iter().map(str::to_owned).collect()),
    })
}

/// What the log should be told of settings that are not heeded.
pub(crate) fn remark(conf: &Conf) -> Option<String> {
    let setting = conf.get("tls_priority")?;
    match &setting.value {
        Value::Text(text) if matches!(text.as_str(), "NORMAL" | "SYSTEM" | "@SYSTEM") => None,
        _ => Some(format!(
            "{}:{}: 'tls_priority' has no effect in Virtus, which always offers TLS 1.3 and 1.2 with strong ciphers",
            conf.file().display(),
            setting.line,
        )),
    }
}

/// A port, which the file gives as text.
fn port(conf: &Conf, name: &str) -> Result<Option<u16>> {
    conf.typed(name, "a port such as \"16509\"", |value| match value {
        Value::Text(text) => text.parse().ok(),
        _ => None,
    })
}

/// How well a connection must be encrypted, in bits of a key; as libvirt, nothing weaker than DES counts.
fn strength(conf: &Conf, name: &str) -> Result<Option<u32>> {
    conf.typed(name, "a number from 56 on", |value| match value {
        Value::Number(bits) => u32::try_from(*bits).ok().filter(|bits| *bits >= 56),
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
        assert_eq!(read("listen_tls = 0").unwrap().bind(false).unwrap().len(), 0);
        let error =
            read("listen_tcp = 1\nlisten_tls = 0").unwrap().bind(false).unwrap_err().to_string();
        assert!(error.contains("auth_tcp: ") && error.contains("\nhint: "), "{error}");
        let open = "listen_tls = 0\nlisten_tcp = 1\ntcp_port = \"0\"\nlisten_addr = \"127.0.0.1\"\nauth_tcp = \"none\"";
        assert_eq!(read(open).unwrap().bind(false).unwrap().len(), 1);
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
        let error = error.bind(false).unwrap_err().to_string();
        assert!(error.contains("cannot listen on 192.0.2.1, port 16509"), "{error}");
    }
}

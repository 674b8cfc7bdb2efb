// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host's end of character devices: what a definition says of it becomes a [`Backend`].

mod backend;

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::domain::chardev::{
    ChardevBackend, ChardevSource, ChardevType, MouseOwner, SocketMode, WireProtocol,
};
use virtus_xml::domain::storage::Reconnect;
use virtus_xml::value::{OnOff, YesNo};

use super::argv::Props;
use super::context::FdKey;
use super::line::Line;
use super::storage::{secret, unsupported};
pub(crate) use backend::{Backend, Socket, reconnect_key};
use backend::{Kind, Log, SocketEnd};

/// A back end and the device that it belongs to.
pub(crate) struct End<'a> {
    pub(crate) kind: ChardevType,
    pub(crate) backend: &'a ChardevBackend,
    /// The alias of the device; the back end's id is `char` and this.
    pub(crate) alias: &'a str,
    /// What SPICE calls the channel of a `spicevmc` end.
    pub(crate) spice: &'a str,
}

impl End<'_> {
    fn source(&self) -> Result<&ChardevSource> {
        self.backend.sources.first().ok_or_else(|| self.lacks("<source>"))
    }

    fn lacks(&self, what: &str) -> Error {
        Error::new(
            ErrorCode::XmlError,
            format!("character device '{}' of type '{}' lacks {what}", self.alias, self.kind),
        )
    }

    fn path(&self) -> Result<String> {
        self.source()?.path.clone().ok_or_else(|| self.lacks("a path"))
    }

    /// Whether QEMU waits for somebody to connect. A Unix socket without a path is the driver's own.
    pub(crate) fn listens(&self) -> bool {
        match self.backend.sources.first() {
            Some(source) => source.mode == Some(SocketMode::Bind),
            None => self.kind == ChardevType::Unix,
        }
    }

    /// Writes what must stand before the device.
    pub(crate) fn write(&self, line: &mut Line<'_>) -> Result<()> {
        let mut backend = Backend::new(format!("char{}", self.alias), self.kind(line)?);
        if let Some(log) = &self.backend.log {
            backend.log = Some(match line.cx.opened(&FdKey::Log(self.alias.to_owned())) {
                Some(fd) => Log::opened(line.fd_set(fd, &format!("{}-log", self.alias))),
                None => Log { path: log.file.clone(), append: log.append.map(OnOff::is_on) },
            });
        }
        backend.write(line);
        Ok(())
    }

    fn kind(&self, line: &mut Line<'_>) -> Result<Kind> {
        Ok(match self.kind {
            ChardevType::Pty => Kind::Plain("pty"),
            ChardevType::Null => Kind::Plain("null"),
            ChardevType::Vc => Kind::Plain("vc"),
            ChardevType::Stdio => Kind::Plain("stdio"),
            ChardevType::Dev if self.alias.starts_with("parallel") => {
                Kind::Path("parallel", self.path()?)
            }
            ChardevType::Dev => Kind::Path("serial", self.path()?),
            ChardevType::Pipe => Kind::Path("pipe", self.path()?),
            ChardevType::File => match line.cx.opened(&FdKey::File(self.alias.to_owned())) {
                Some(fd) => {
                    Kind::File(Log::opened(line.fd_set(fd, &format!("{}-source", self.alias))))
                }
                None => {
                    let append = self.source()?.append.map(OnOff::is_on);
                    Kind::File(Log { path: self.path()?, append })
                }
            },
            ChardevType::Udp => self.udp()?,
            ChardevType::Tcp => Kind::Socket(self.tcp(line)?),
            ChardevType::Unix => Kind::Socket(self.unix(line)?),
            ChardevType::Spicevmc => Kind::Spicevmc(self.spice.to_owned()),
            ChardevType::Spiceport => Kind::Named("spiceport", self.channel()?),
            ChardevType::Dbus => Kind::Named("dbus", self.channel()?),
            ChardevType::Vdagent => self.vdagent(),
            ChardevType::Nmdm => return Err(unsupported("character device type 'nmdm'")),
        })
    }

    fn channel(&self) -> Result<String> {
        Ok(self.source()?.channel.clone().unwrap_or_default())
    }

    fn udp(&self) -> Result<Kind> {
        let find = |mode| self.backend.sources.iter().find(|source| source.mode == mode);
        let remote = find(Some(SocketMode::Connect)).or_else(|| find(None));
        let port = remote.and_then(|source| source.service.clone());
        let local = find(Some(SocketMode::Bind)).map(|source| {
            let port = source.service.clone().unwrap_or_else(|| "0".to_owned());
            (source.host.clone().unwrap_or_default(), port)
        });
        Ok(Kind::Udp {
            remote: (
                remote.and_then(|source| source.host.clone()).unwrap_or_default(),
                port.ok_or_else(|| self.lacks("a service to send to"))?,
            ),
            local,
        })
    }

    fn tcp(&self, line: &mut Line<'_>) -> Result<Socket> {
        let source = self.source()?;
        let protocol = self.backend.protocol.as_ref().and_then(|protocol| protocol.kind);
        let end = SocketEnd::Inet {
            host: source.host.clone().ok_or_else(|| self.lacks("a host"))?,
            port: source.service.clone().ok_or_else(|| self.lacks("a service"))?,
            telnet: protocol == Some(WireProtocol::Telnet),
        };
        let tls = match source.tls.map_or(line.cx.config.chardev_tls, YesNo::is_yes) {
            true => Some(self.credentials(line)?),
            false => None,
        };
        Ok(Socket { tls, ..self.stream(end) })
    }

    /// Writes the credentials for TLS; their id.
    fn credentials(&self, line: &mut Line<'_>) -> Result<String> {
        let config = &line.cx.config;
        let id = format!("objchar{}_tls0", self.alias);
        let mut props = Props::object("tls-creds-x509", id.clone())
            .with("dir", config.chardev_tls_x509_cert_dir.clone())
            .with("endpoint", if self.listens() { "server" } else { "client" })
            .with("verify-peer", !self.listens() || config.chardev_tls_x509_verify);
        if config.chardev_tls_x509_secret_uuid.is_some() {
            let key = format!("char{}-secret0", self.alias);
            let sealed = secret(line.cx, &key)?;
            line.object(sealed);
            props.set("passwordid", key);
        }
        line.object(props);
        Ok(id)
    }

    fn unix(&self, line: &Line<'_>) -> Result<Socket> {
        let end = if self.listens() {
            match line.cx.opened(&FdKey::Listen(self.alias.to_owned())) {
                Some(fd) => SocketEnd::Fd(fd),
                None => SocketEnd::Unix(self.path()?),
            }
        } else {
            SocketEnd::Unix(self.path()?)
        };
        Ok(self.stream(end))
    }

    fn stream(&self, end: SocketEnd) -> Socket {
        let listens = self.listens();
        let source = self.backend.sources.first().filter(|_| !listens);
        let reconnect = source.and_then(|source| source.reconnect.as_ref());
        Socket {
            end,
            listens,
            wait: listens.then_some(false),
            reconnect_seconds: reconnect_seconds(reconnect),
            tls: None,
        }
    }

    fn vdagent(&self) -> Kind {
        let source = self.backend.sources.first();
        let clipboard = source.and_then(|source| source.clipboard.as_ref());
        let mouse = source.and_then(|source| source.mouse.as_ref());
        Kind::Vdagent {
            clipboard: clipboard.and_then(|clipboard| clipboard.copypaste).map(YesNo::is_yes),
            mouse: mouse.and_then(|mouse| mouse.mode).map(|mode| mode == MouseOwner::Client),
        }
    }
}

/// How long QEMU waits before it calls again; 0 never.
pub(crate) fn reconnect_seconds(reconnect: Option<&Reconnect>) -> Option<u32> {
    let reconnect = reconnect?;
    let enabled = reconnect.enabled?;
    Some(if enabled.is_yes() { reconnect.timeout.unwrap_or(0) } else { 0 })
}

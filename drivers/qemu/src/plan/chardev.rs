// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host's end of character devices: what stands after `-chardev`.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::domain::chardev::{
    ChardevBackend, ChardevSource, ChardevType, MouseOwner, SocketMode, WireProtocol,
};
use virtus_xml::domain::storage::Reconnect;

use super::argv::{Opts, Props, on_off};
use super::context::FdKey;
use super::line::Line;
use super::storage::secret;
use crate::caps::Flag;

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
    pub(crate) fn id(&self) -> String {
        format!("char{}", self.alias)
    }

    fn source(&self) -> Result<&ChardevSource> {
        self.backend.sources.first().ok_or_else(|| self.lacks("<source>"))
    }

    fn lacks(&self, what: &str) -> Error {
        Error::new(
            ErrorCode::XmlError,
            format!("character device '{}' of type '{}' lacks {what}", self.alias, self.kind),
        )
    }

    fn path(&self) -> Result<&str> {
        self.source()?.path.as_deref().ok_or_else(|| self.lacks("a path"))
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
        let mut opts = match self.kind {
            ChardevType::Pty | ChardevType::Null | ChardevType::Vc | ChardevType::Stdio => {
                Opts::new(self.kind.as_str()).with("id", self.id())
            }
            ChardevType::Dev => {
                let name = if self.alias.starts_with("parallel") { "parallel" } else { "serial" };
                Opts::new(name).with("id", self.id()).with("path", self.path()?)
            }
            ChardevType::Pipe => Opts::new("pipe").with("id", self.id()).with("path", self.path()?),
            ChardevType::File => {
                let fd = line.cx.fd(&FdKey::File(self.alias.to_owned()))?;
                let path = line.fd_set(fd, &format!("{}-source", self.alias));
                let log = self.log(line)?;
                let opts =
                    Opts::new("file").with("id", self.id()).with("path", path).with("append", "on");
                return self.finish(line, opts, log);
            }
            ChardevType::Udp => self.udp()?,
            ChardevType::Tcp => self.tcp(line)?,
            ChardevType::Unix => self.unix(line)?,
            ChardevType::Spicevmc => {
                Opts::new("spicevmc").with("id", self.id()).with("name", self.spice)
            }
            ChardevType::Spiceport | ChardevType::Dbus => Opts::new(self.kind.as_str())
                .with("id", self.id())
                .with("name", self.source()?.channel.as_deref().unwrap_or_default()),
            ChardevType::Vdagent => self.vdagent(),
            ChardevType::Nmdm => {
                return Err(super::storage::unsupported("character device type 'nmdm'"));
            }
        };
        let log = self.log(line)?;
        if self.kind == ChardevType::Vdagent {
            opts = self.agent_settings(opts);
        }
        self.finish(line, opts, log)
    }

    /// The path of the log, if there is one.
    fn log(&self, line: &mut Line<'_>) -> Result<Option<String>> {
        if self.backend.log.is_none() {
            return Ok(None);
        }
        let fd = line.cx.fd(&FdKey::Log(self.alias.to_owned()))?;
        Ok(Some(line.fd_set(fd, &format!("{}-log", self.alias))))
    }

    fn finish(&self, line: &mut Line<'_>, mut opts: Opts, log: Option<String>) -> Result<()> {
        if let Some(log) = log {
            opts.set("logfile", log);
            opts.set("logappend", "on");
        }
        line.argv.pair("-chardev", opts);
        Ok(())
    }

    fn udp(&self) -> Result<Opts> {
        let find = |mode| self.backend.sources.iter().find(|source| source.mode == mode);
        let remote = find(Some(SocketMode::Connect)).or_else(|| find(None));
        let local = find(Some(SocketMode::Bind));
        let port = remote.and_then(|source| source.service.as_deref());
        Ok(Opts::new("udp")
            .with("id", self.id())
            .with("host", remote.and_then(|source| source.host.as_deref()).unwrap_or_default())
            .with("port", port.ok_or_else(|| self.lacks("a service to send to"))?)
            .with("localaddr", local.and_then(|source| source.host.as_deref()).unwrap_or_default())
            .with("localport", local.and_then(|source| source.service.as_deref()).unwrap_or("0")))
    }

    fn tcp(&self, line: &mut Line<'_>) -> Result<Opts> {
        let source = self.source()?;
        let protocol = self.backend.protocol.as_ref().and_then(|protocol| protocol.kind);
        let host = source.host.as_deref().ok_or_else(|| self.lacks("a host"))?;
        let port = source.service.as_deref().ok_or_else(|| self.lacks("a service"))?;
        let config = &line.cx.config;
        let tls = source.tls.map_or(config.chardev_tls, |tls| tls.is_yes());
        let creds = format!("objchar{}_tls0", self.alias);
        if tls {
            let mut props = Props::object("tls-creds-x509", creds.clone())
                .with("dir", config.chardev_tls_x509_cert_dir.clone())
                .with("endpoint", if self.listens() { "server" } else { "client" })
                .with("verify-peer", !self.listens() || config.chardev_tls_x509_verify);
            if config.chardev_tls_x509_secret_uuid.is_some() {
                let id = format!("char{}-secret0", self.alias);
                let sealed = secret(line.cx, &id)?;
                line.object(sealed);
                props.set("passwordid", id);
            }
            line.object(props);
        }
        let mut opts =
            Opts::new("socket").with("id", self.id()).with("host", host).with("port", port);
        if protocol == Some(WireProtocol::Telnet) {
            opts.set("telnet", "on");
        }
        self.direction(line, &mut opts, source.reconnect.as_ref());
        if tls {
            opts.set("tls-creds", creds);
        }
        Ok(opts)
    }

    fn direction(&self, line: &Line<'_>, opts: &mut Opts, reconnect: Option<&Reconnect>) {
        if self.listens() {
            opts.set("server", "on");
            opts.set("wait", "off");
        } else {
            set_reconnect(line, opts, reconnect);
        }
    }

    fn unix(&self, line: &Line<'_>) -> Result<Opts> {
        let mut opts = Opts::new("socket").with("id", self.id());
        if self.listens() {
            opts.set("fd", line.cx.fd(&FdKey::Listen(self.alias.to_owned()))?);
        } else {
            opts.set("path", self.path()?);
        }
        let source = self.backend.sources.first();
        let reconnect = source.and_then(|source| source.reconnect.as_ref());
        self.direction(line, &mut opts, reconnect);
        Ok(opts)
    }

    fn vdagent(&self) -> Opts {
        Opts::new("qemu-vdagent").with("id", self.id()).with("name", "vdagent")
    }

    fn agent_settings(&self, mut opts: Opts) -> Opts {
        let Some(source) = self.backend.sources.first() else { return opts };
        if let Some(copies) = source.clipboard.as_ref().and_then(|clipboard| clipboard.copypaste) {
            opts.set("clipboard", on_off(copies.is_yes()));
        }
        if let Some(mode) = source.mouse.as_ref().and_then(|mouse| mouse.mode) {
            opts.set("mouse", on_off(mode == MouseOwner::Client));
        }
        opts
    }
}

/// How long QEMU waits before it connects again.
pub(crate) fn set_reconnect(line: &Line<'_>, opts: &mut Opts, reconnect: Option<&Reconnect>) {
    let Some(reconnect) = reconnect else { return };
    let Some(enabled) = reconnect.enabled else { return };
    let seconds = if enabled.is_yes() { reconnect.timeout.unwrap_or(0) } else { 0 };
    if line.has(Flag::ChardevReconnectMiliseconds) {
        opts.set("reconnect-ms", u64::from(seconds) * 1000);
    } else {
        opts.set("reconnect", seconds);
    }
}

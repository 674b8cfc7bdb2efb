// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is the case on this host: units, sockets, who may connect.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use virtus_core::Paths;
use virtus_core::conf::Conf;

use crate::table::{DAEMONS, Daemon};

/// All that is looked at.
pub(super) struct Facts {
    /// Whether systemd runs this host.
    pub(super) systemd: bool,
    pub(super) daemons: Vec<DaemonFacts>,
}

/// One daemon.
pub(super) struct DaemonFacts {
    pub(super) daemon: &'static Daemon,
    pub(super) service: Unit,
    /// The main socket, and the others that are installed.
    pub(super) sockets: Vec<Unit>,
    pub(super) main: SocketFile,
    pub(super) admin: SocketFile,
    /// Whether clients of the main socket are asked for nothing.
    pub(super) asks_nothing: bool,
}

/// A unit, in systemd's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) name: String,
    /// `loaded`, `masked`, `not-found`.
    pub(super) load: String,
    /// `active`, `inactive`, `failed`.
    pub(super) active: String,
    /// `enabled`, `disabled`, `masked`.
    pub(super) file: String,
}

impl Unit {
    pub(super) fn is_installed(&self) -> bool {
        matches!(self.load.as_str(), "loaded" | "masked")
    }

    pub(super) fn is_active(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading" | "activating")
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.file.starts_with("enabled")
    }

    pub(super) fn is_masked(&self) -> bool {
        self.load == "masked" || self.file.starts_with("masked")
    }
}

/// The file of a socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SocketFile {
    pub(super) path: PathBuf,
    /// Its permissions; `None` if it is not there.
    pub(super) mode: Option<u32>,
    /// Whether somebody answers there; `None` if nobody was asked, because that would start a daemon.
    pub(super) answers: Option<Result<(), io::ErrorKind>>,
}

impl Facts {
    pub(super) fn gather(paths: &Paths) -> Self {
        let systemd = Path::new("/run/systemd/system").is_dir();
        let daemons = DAEMONS.iter().map(|daemon| look_at(daemon, paths, systemd)).collect();
        Self { systemd, daemons }
    }
}

fn look_at(daemon: &'static Daemon, paths: &Paths, systemd: bool) -> DaemonFacts {
    let name = daemon.name;
    let kinds = ["", "-ro", "-admin", "-tcp", "-tls"];
    let names: Vec<String> = std::iter::once(format!("{name}.service"))
        .chain(kinds.iter().map(|kind| format!("{name}{kind}.socket")))
        .collect();
    let mut units = if systemd { show(&names) } else { Vec::new() };
    units.resize_with(names.len(), Unit::default);
    let service = units.remove(0);
    units.retain(|unit| unit.is_installed());
    let ask = !systemd || service.is_active();
    let file = |end: &str| socket_file(paths.run.join(format!("{}-{end}", daemon.socket)), ask);
    DaemonFacts {
        daemon,
        service,
        sockets: units,
        main: file("sock"),
        admin: file("admin-sock"),
        asks_nothing: asks_nothing(&paths.config.join(format!("{name}.conf"))),
    }
}

/// What systemd says of these units, in their order.
#[expect(clippy::disallowed_methods, reason = "a tool that ends soon, and no daemon")]
fn show(names: &[String]) -> Vec<Unit> {
    let shown = Command::new("systemctl")
        .args(["show", "--property=Id,LoadState,ActiveState,UnitFileState"])
        .args(names)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let text = shown.map(|shown| String::from_utf8_lossy(&shown.stdout).into_owned());
    text.unwrap_or_default().split("\n\n").map(unit).collect()
}

fn unit(block: &str) -> Unit {
    let value = |key: &str| {
        let found = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or_default().to_owned()
    };
    Unit {
        name: value("Id"),
        load: value("LoadState"),
        active: value("ActiveState"),
        file: value("UnitFileState"),
    }
}

fn socket_file(path: PathBuf, ask: bool) -> SocketFile {
    let found = path.metadata().ok().filter(|found| found.file_type().is_socket());
    let mode = found.map(|found| found.mode() & 0o777);
    let answers = (ask && mode.is_some())
        .then(|| UnixStream::connect(&path).map(drop).map_err(|cause| cause.kind()));
    SocketFile { path, mode, answers }
}

/// Whether the configuration leaves it to the socket's permissions who may connect.
fn asks_nothing(file: &Path) -> bool {
    let conf = Conf::load(file).ok().flatten().unwrap_or_default();
    conf.text("auth_unix_rw").ok().flatten().is_none_or(|method| method == "none")
}

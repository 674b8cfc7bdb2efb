// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is the case on this host: units, sockets, who may connect.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use virtus_core::Paths;
use virtus_core::conf::Conf;

use crate::config::Config;
use crate::table::{DAEMONS, Daemon};

/// All that is looked at.
pub(super) struct Facts {
    /// Whether systemd runs this host.
    pub(super) systemd: bool,
    pub(super) daemons: Vec<DaemonFacts>,
    /// What clients open that name no URI; the file says so.
    pub(super) default_uri: Option<(PathBuf, String)>,
    /// What is wrong with the configuration of clients.
    pub(super) client_mistake: Option<String>,
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
    /// Whether its configuration is for others to read, so that nothing is known of it.
    pub(super) closed: bool,
    /// What is wrong with its configuration, with file and line.
    pub(super) mistake: Option<String>,
    /// Whether its PID file names a process that is it.
    pub(super) process: bool,
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
    /// Whose it is.
    pub(super) owner: u32,
    /// Whether somebody answers there; `None` if nobody was asked, because that would start a daemon.
    pub(super) answers: Option<Result<(), io::ErrorKind>>,
}

impl Facts {
    pub(super) fn gather(paths: &Paths) -> Self {
        let systemd = Path::new("/run/systemd/system").is_dir();
        let daemons = DAEMONS.iter().map(|daemon| look_at(daemon, paths, systemd)).collect();
        let file = paths.config.join("libvirt.conf");
        let (default_uri, client_mistake) = match default_uri(&file) {
            Ok(uri) => (uri, None),
            Err(_) if is_closed(&file) => (None, None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self { systemd, daemons, default_uri, client_mistake }
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
    // Where no unit is active, a look starts nothing either.
    let ask = service.is_active() || !units.iter().any(Unit::is_active);
    let file = |end: &str| socket_file(paths.run.join(format!("{}-{end}", daemon.socket)), ask);
    let conf = paths.config.join(format!("{name}.conf"));
    let closed = is_closed(&conf);
    let mistake = Config::load(daemon, &conf, false).err().filter(|_| !closed);
    DaemonFacts {
        daemon,
        service,
        sockets: units,
        main: file("sock"),
        admin: file("admin-sock"),
        asks_nothing: !closed && asks_nothing(&conf),
        closed,
        mistake: mistake.map(|error| error.to_string()),
        process: is_process_of(name, &paths.pid.join(format!("{name}.pid"))),
    }
}

/// Another process may have the number of one that was killed.
fn is_process_of(name: &str, pid_file: &Path) -> bool {
    let number = fs::read_to_string(pid_file).unwrap_or_default();
    let words = fs::read_to_string(format!("/proc/{}/cmdline", number.trim())).unwrap_or_default();
    words.split('\0').any(|word| word.rsplit('/').next() == Some(name))
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
    let mode = found.as_ref().map(|found| found.mode() & 0o777);
    let owner = found.as_ref().map_or(0, MetadataExt::uid);
    let answers = (ask && found.is_some()).then(|| connect(&path));
    SocketFile { path, mode, owner, answers }
}

/// Knocks, and does not wait: who is stuck lets nobody in.
fn connect(path: &Path) -> Result<(), io::ErrorKind> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    let address = SocketAddrUnix::new(path);
    let connected = socket.and_then(|socket| net::connect(&socket, &address?));
    connected.map_err(|errno| io::Error::from(errno).kind())
}

/// Whether a file is for others to read.
fn is_closed(file: &Path) -> bool {
    File::open(file).is_err_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied)
}

/// What the configuration of clients says that is meant by no URI.
fn default_uri(file: &Path) -> virtus_api::Result<Option<(PathBuf, String)>> {
    let conf = Conf::load(file)?.unwrap_or_default();
    Ok(conf.text("uri_default")?.map(|uri| (file.to_owned(), uri.to_owned())))
}

/// Whether the configuration leaves it to the socket's permissions who may connect.
fn asks_nothing(file: &Path) -> bool {
    let conf = Conf::load(file).ok().flatten().unwrap_or_default();
    conf.text("auth_unix_rw").ok().flatten().is_none_or(|method| method == "none")
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The listening sockets: systemd's, or our own.
//!
//! Our own are bound under a umask that keeps everybody out, and opened to others only after their
//! group is set. What a dead daemon left behind is replaced; what a living one answers on is not.

use std::env;
use std::fs::{self, Permissions};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use virtus_api::{Error, ErrorCode, Result};
use virtus_core::{Paths, store};
use virtus_rpc::{Access, Listener};

use crate::config::{Config, misplaced};
use crate::table::Daemon;

/// A socket to serve.
#[derive(Debug)]
pub(crate) struct Listening {
    socket: Socket,
    pub(crate) access: Access,
    pub(crate) door: Door,
    /// Ours to remove; systemd's are not.
    file_of_ours: Option<SocketFile>,
}

/// Which of the daemon's servers a socket leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// The one that everybody uses.
    Main,
    /// The administrator's.
    Admin,
}

/// A socket by what travels on it.
#[derive(Debug)]
pub(crate) enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
    Tls(TcpListener),
}

impl Listening {
    /// A socket of the main server, without a file of ours.
    pub(crate) fn new(socket: Socket, access: Access) -> Self {
        Self { socket, access, door: Door::Main, file_of_ours: None }
    }

    /// A unix socket that a predecessor of this program has served; `ours` tells whether its file goes with it.
    pub(crate) fn inherited(socket: OwnedFd, door: Door, ours: bool) -> Self {
        let socket = UnixListener::from(socket);
        let address = socket.local_addr().ok().filter(|_| ours);
        let path = address.and_then(|address| Some(address.as_pathname()?.to_owned()));
        let (socket, access) = (Socket::Unix(socket), Access::default());
        Self { socket, access, door, file_of_ours: path.map(SocketFile) }
    }

    /// Whether its file goes with it.
    pub(crate) fn is_ours(&self) -> bool {
        self.file_of_ours.is_some()
    }

    /// Lets at most `clients` wait in the socket until they are accepted.
    pub(crate) fn limit_queue(&self, clients: i32) -> io::Result<()> {
        let limited = match &self.socket {
            Socket::Unix(socket) => rustix::net::listen(socket, clients),
            Socket::Tcp(socket) | Socket::Tls(socket) => rustix::net::listen(socket, clients),
        };
        limited.map_err(io::Error::from)
    }

    /// Whether its clients need certificates.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.socket, Socket::Tls(_))
    }

    /// The socket for the server. Must be called within a runtime.
    pub(crate) fn listener(&self) -> io::Result<Listener> {
        Ok(match &self.socket {
            Socket::Unix(socket) => {
                Listener::Unix(tokio::net::UnixListener::from_std(socket.try_clone()?)?)
            }
            Socket::Tcp(socket) => {
                Listener::Tcp(tokio::net::TcpListener::from_std(socket.try_clone()?)?)
            }
            Socket::Tls(socket) => {
                Listener::Tls(tokio::net::TcpListener::from_std(socket.try_clone()?)?)
            }
        })
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Unix(socket) => socket.as_fd(),
            Socket::Tcp(socket) | Socket::Tls(socket) => socket.as_fd(),
        }
    }
}

#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already; nothing depends on it.
        let _gone = fs::remove_file(&self.0);
    }
}

/// A socket that systemd has passed, and what its unit is called.
#[derive(Debug)]
pub(crate) struct Passed {
    socket: Socket,
    name: String,
}

/// The sockets that systemd has passed; `None` if it did not start us through one.
///
/// Must be called before there are other threads.
pub(crate) fn passed() -> Result<Option<Vec<Passed>>> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut passed = listenfd::ListenFd::from_env();
    if passed.len() == 0 {
        return Ok(None);
    }
    let mut sockets = Vec::new();
    for index in 0..passed.len() {
        let explain =
            |cause: io::Error| Error::system(format!("cannot use passed socket {index}"), &cause);
        let socket = match passed.take_unix_listener(index) {
            Ok(Some(socket)) => socket.set_nonblocking(true).map(|()| Socket::Unix(socket)),
            Ok(None) => continue,
            Err(_) => match passed.take_tcp_listener(index).map_err(explain)? {
                Some(socket) => socket.set_nonblocking(true).map(|()| Socket::Tcp(socket)),
                None => continue,
            },
        };
        let name = names.split(':').nth(index).unwrap_or_default().to_owned();
        sockets.push(Passed { socket: socket.map_err(explain)?, name });
    }
    Ok(Some(sockets))
}

/// Those of the passed sockets that are served, by the rules for their kind.
pub(crate) fn sort(
    daemon: &Daemon,
    passed: Vec<Passed>,
    config: &Config,
) -> Result<Vec<Listening>> {
    let mut sockets = Vec::new();
    for Passed { socket, name } in passed {
        let unit = name.trim_end_matches(".socket");
        let is = |kind: &str| daemon.listens_on_ip && unit == format!("{}-{kind}", daemon.name);
        let socket = match socket {
            Socket::Tcp(socket) if is("tls") => Socket::Tls(socket),
            socket => socket,
        };
        let served = match &socket {
            Socket::Unix(socket) => kind(daemon, &name, socket, config),
            Socket::Tcp(_) if is("tcp") => Some((Door::Main, config.network.tcp_access()?)),
            Socket::Tcp(_) => None,
            Socket::Tls(_) => Some((Door::Main, config.network.tls_access())),
        };
        sockets.extend(served.map(|(door, access)| Listening {
            socket,
            access,
            door,
            file_of_ours: None,
        }));
    }
    Ok(sockets)
}

/// What each kind of unix socket adds to the names of the daemon's unit and of its socket, and where
/// it leads.
const KINDS: [(&str, Door, bool); 3] =
    [("", Door::Main, false), ("-ro", Door::Main, true), ("-admin", Door::Admin, false)];

/// Where a passed socket leads; `None` for one that is not ours. The unit's name tells, or else the
/// path.
fn kind(
    daemon: &Daemon,
    name: &str,
    socket: &UnixListener,
    config: &Config,
) -> Option<(Door, Access)> {
    let path = socket.local_addr().ok().and_then(|address| Some(address.as_pathname()?.to_owned()));
    let file = path.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    let unit = name.trim_end_matches(".socket");
    let found = |(suffix, ..): &&(&str, Door, bool)| {
        unit == format!("{}{suffix}", daemon.name)
            || file.is_some_and(|file| file == file_name(daemon, suffix))
    };
    KINDS.iter().find(found).map(|&(_, door, read_only)| (door, access(door, read_only, config)))
}

/// What a client of a unix socket may do. The administrator's rights come with the user id.
fn access(door: Door, read_only: bool, config: &Config) -> Access {
    match door {
        Door::Main => config.sockets.access(read_only),
        Door::Admin => Access::default(),
    }
}

/// The admin socket's name has its kind in the middle.
fn file_name(daemon: &Daemon, suffix: &str) -> String {
    match suffix {
        "-admin" => format!("{}-admin-sock", daemon.socket),
        _ => format!("{}-sock{suffix}", daemon.socket),
    }
}

/// Binds the daemon's own sockets.
pub(crate) fn bind(daemon: &Daemon, paths: &Paths, config: &Config) -> Result<Vec<Listening>> {
    let rules = &config.sockets;
    let folder = rules.folder.as_deref().unwrap_or(&paths.run);
    store::make_folder(folder, if paths.system { 0o755 } else { 0o700 })?;
    let group = rules.group.as_deref().filter(|_| paths.system).map(group_id).transpose();
    let group = group.map_err(|error| misplaced(&config.file, "unix_sock_group", error))?;
    let mut sockets = Vec::new();
    for (suffix, door, read_only) in KINDS {
        let (mode, group) = match (door, read_only) {
            // Other users cannot reach a daemon of one user anyway.
            (Door::Main, true) if !paths.system || daemon.own.is_some() => continue,
            (Door::Main, false) if !paths.system => (0o700, None),
            (Door::Main, true) => (rules.ro_mode, group),
            (Door::Main, false) => (rules.rw_mode, group),
            (Door::Admin, _) => (config.admin.mode, None),
        };
        let (socket, file) = bind_one(folder.join(file_name(daemon, suffix)), mode, group)?;
        let access = access(door, read_only, config);
        sockets.push(Listening {
            socket: Socket::Unix(socket),
            access,
            door,
            file_of_ours: Some(file),
        });
    }
    Ok(sockets)
}

fn group_id(name: &str) -> Result<u32> {
    virtus_host::user::group_by_name(name).ok_or_else(|| {
        Error::new(ErrorCode::ConfSyntax, format!("there is no group '{name}'"))
            .hint(format!("create it with 'groupadd --system {name}', or name another"))
    })
}

fn bind_one(path: PathBuf, mode: u32, group: Option<u32>) -> Result<(UnixListener, SocketFile)> {
    let explain =
        |cause: io::Error| Error::system(format!("cannot listen on '{}'", path.display()), &cause);
    if UnixStream::connect(&path).is_ok() {
        let text = format!("another daemon answers on the socket '{}'", path.display());
        return Err(Error::new(ErrorCode::OperationFailed, text)
            .hint("stop it first; if systemd holds the socket, let systemd start this daemon"));
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(explain(error)),
        _ => {}
    }
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(&path);
    rustix::process::umask(before);
    let socket = bound.map_err(explain)?;
    let file = SocketFile(path.clone());
    socket.set_nonblocking(true).map_err(explain)?;
    if group.is_some() {
        std::os::unix::fs::chown(&path, None, group).map_err(explain)?;
    }
    fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(explain)?;
    Ok((socket, file))
}

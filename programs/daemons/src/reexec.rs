// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SIGUSR1: a daemon with a program of its own becomes the program that is installed now, and goes on where it was:
//! with its sockets, its clients and what it keeps.
//!
//! ```text
//! what it keeps comes to rest -> clients finish their calls -> descriptors and a file for the successor -> exec
//! ```
//! The file is libvirt's, so that libvirt's daemon and ours can follow each other. A process takes over only from itself:
//! the file names it.

use std::env;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tracing::warn;
use virtus_api::{Error, ErrorCode, Result};
use virtus_core::{Paths, Session, json as parser, store};
use virtus_host::descriptor::inherit;
use virtus_host::process::replace;
use virtus_rpc::Server;

use crate::own::Keeper;
use crate::run::GRACE;
use crate::sockets::{Door, Listening};

/// Descriptors that the successor gets, under the numbers that the file names.
#[derive(Default)]
pub(crate) struct Kept(Vec<OwnedFd>);

impl Kept {
    /// Keeps a descriptor; its number.
    pub(crate) fn keep(&mut self, fd: impl AsFd) -> io::Result<i32> {
        // The copy is not closed by exec.
        let copy = rustix::io::dup(fd)?;
        let number = copy.as_raw_fd();
        self.0.push(copy);
        Ok(number)
    }
}

/// What a predecessor has left to this process.
#[derive(Debug)]
pub(crate) struct Inheritance(Value);

/// How a daemon's serving ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Stopped,
    /// Another program goes on in its place.
    Replaced,
}

fn file(paths: &Paths, name: &str) -> PathBuf {
    paths.pid.join(format!("{name}-restart-exec.json"))
}

impl Inheritance {
    /// Takes what there is. A file of another process is removed.
    pub(crate) fn take(paths: &Paths, name: &str) -> Result<Option<Self>> {
        let file = file(paths, name);
        let Ok(text) = fs::read_to_string(&file) else { return Ok(None) };
        store::remove(&file)?;
        let state = parser::parse(&text)?;
        if state["magic"].as_str() != Some(&std::process::id().to_string()) {
            warn!("'{}' was left by another process", file.display());
            return Ok(None);
        }
        Ok(Some(Self(state)))
    }

    /// What the keeper has left.
    pub(crate) fn state(&self) -> &Value {
        &self.0
    }

    /// The sockets of the server `name`.
    pub(crate) fn sockets(&self, name: &str, door: Door) -> Result<Vec<Listening>> {
        let services = self.server(name)["services"].as_array().into_iter().flatten();
        let sockets =
            services.flat_map(|service| service["socks"].as_array().into_iter().flatten());
        let take = |socket: &Value| {
            let ours = socket["unlinkUNIX"].as_bool().unwrap_or(false);
            Ok(Listening::inherited(take_fd(&socket["fd"])?, door, ours))
        };
        sockets.map(take).collect()
    }

    /// Serves on the clients that a predecessor has served by the server of the same name; `keeper` knows what they had.
    pub(crate) async fn serve_on(
        &self,
        server: &Arc<Server>,
        keeper: Option<&Arc<dyn Keeper>>,
    ) -> Result<()> {
        let explain = |cause| Error::system("cannot serve a client of the program before", &cause);
        for client in self.server(server.name())["clients"].as_array().into_iter().flatten() {
            let stream = UnixStream::from(take_fd(&client["sock"]["fd"])?);
            stream.set_nonblocking(true).map_err(explain)?;
            let stream = tokio::net::UnixStream::from_std(stream).map_err(explain)?;
            let (keeper, private) = (keeper.cloned(), client["privateData"].clone());
            let opened = move |session: &Arc<Session>| {
                if let Some(keeper) = keeper {
                    keeper.adopt(session, &private);
                }
            };
            server.take_over(stream, opened).await.map_err(explain)?;
        }
        Ok(())
    }

    fn server(&self, name: &str) -> &Value {
        &self.0["daemon"]["servers"][name]
    }
}

/// Takes a descriptor that a predecessor has kept.
pub(crate) fn take_fd(number: &Value) -> Result<OwnedFd> {
    let taken = number.as_i64().and_then(|number| i32::try_from(number).ok()).map(inherit);
    let taken = taken.unwrap_or_else(|| Err(io::ErrorKind::InvalidData.into()));
    taken.map_err(|cause| Error::system(format!("cannot take descriptor {number} over"), &cause))
}

/// Leaves everything to the successor, for which [`follow`] is all that is left to do.
pub(crate) async fn leave(
    paths: &Paths,
    servers: [(&Server, Door); 2],
    listening: &[Listening],
    keeper: &dyn Keeper,
) -> Result<Kept> {
    let explain = |cause: io::Error| Error::system("cannot keep a descriptor", &cause);
    let mut kept = Kept::default();
    let mut described = serde_json::Map::new();
    let name = servers[0].0.name();
    for (server, door) in servers {
        let mut clients = Vec::new();
        for client in server.hand_over(GRACE).await {
            let private = match door {
                Door::Main => keeper.describe(client.session),
                Door::Admin => json!({}),
            };
            let fd = kept.keep(&client.socket).map_err(explain)?;
            clients.push(describe_client(clients.len(), fd, private));
        }
        let mut services = Vec::new();
        for socket in listening.iter().filter(|one| one.door == door) {
            let fd = kept.keep(socket).map_err(explain)?;
            services.push(json!({
                "auth": 0, "readonly": false, "nrequests_client_max": 1,
                "socks": [describe_socket(fd, false, socket.is_ours())],
            }));
        }
        let limits = server.limits();
        let next = clients.len() + 1;
        described.insert(
            server.name().to_owned(),
            json!({
                "min_workers": 0, "max_workers": 0, "priority_workers": 0,
                "max_clients": limits.max_clients, "max_anonymous_clients": limits.max_clients,
                "keepaliveInterval": u32::MAX, "keepaliveCount": 0, "next_client_id": next,
                "services": services, "clients": clients,
            }),
        );
    }
    let mut state = keeper.state(&mut kept).map_err(explain)?;
    state["daemon"] = json!({ "servers": described });
    state["magic"] = std::process::id().to_string().into();
    store::write(&file(paths, name), state.to_string().as_bytes(), store::PRIVATE)?;
    Ok(kept)
}

fn describe_client(before: usize, fd: i32, private: Value) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    json!({
        "id": before + 1, "auth": 0, "auth_pending": false, "readonly": false, "nrequests_max": 1,
        "conn_time": now.map_or(0, |now| now.as_secs()),
        "sock": describe_socket(fd, true, false), "privateData": private,
    })
}

fn describe_socket(fd: i32, client: bool, ours: bool) -> Value {
    json!({ "fd": fd, "errfd": -1, "pid": 0, "isClient": client, "unlinkUNIX": ours })
}

/// Becomes the program that is installed now where this one was. Returns only if that fails.
pub(crate) fn follow() -> Error {
    let attempt = |cause: &io::Error| Error::system("cannot become the installed program", cause);
    let program = match fs::read_link("/proc/self/exe") {
        Ok(program) => program,
        Err(cause) => return attempt(&cause),
    };
    // What the kernel says of a program that was replaced.
    let program = program.to_string_lossy();
    let program = program.strip_suffix(" (deleted)").unwrap_or(&program);
    attempt(&replace(Path::new(program), env::args_os()))
        .hint(format!("install '{program}' again; the daemon ends"))
}

/// The answer where what is kept does not come to rest.
pub(crate) fn restless(what: &str) -> Error {
    Error::new(ErrorCode::OperationTimeout, format!("{what} does not come to rest"))
        .hint("its file system does not answer; send SIGUSR1 again when it does")
}

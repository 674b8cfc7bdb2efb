// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a daemon answers about itself on its admin socket, the way `virt-admin` asks.
//!
//! The admin socket is a server of its own beside the one that everybody uses, with limits of its
//! own, and only for the daemon's own user: whatever happens at the main sockets, the administrator
//! gets in and can see and change it. What is changed here holds until the daemon ends or is told to
//! read its configuration anew.

mod clients;
mod life;
mod limits;
mod logging;
mod rules;
mod tls;

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use virtus_api::{
    AdminConnectGetLibVersion, AdminConnectListServers, AdminConnectListServersReply,
    AdminConnectLookupServer, AdminConnectOpen, AdminServerRef, Error, ErrorCode, ErrorDomain,
    Program, Result,
};
use virtus_core::flags;
use virtus_core::log::{Log, Output};
use virtus_core::{Call, Routes, Service};
use virtus_rpc::{LIB_VERSION, Limits, Server, Serving};

pub(crate) use life::Wish;
pub(crate) use rules::AdminRules;

/// What the admin server is called in the list of servers.
pub(crate) const NAME: &str = "admin";

/// How long name services, or opening a log, may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// What the calls work on.
struct Admin {
    /// The servers of this daemon. They are not ours: one of them owns us.
    servers: OnceLock<[Weak<Server>; 2]>,
    log: Log,
    /// Where the log goes if nobody says otherwise.
    usual_outputs: Vec<Output>,
    wishes: mpsc::Sender<Wish>,
}

/// The admin server of the daemon whose other server is `main`, and what its clients wish.
pub(crate) fn server(
    limits: Limits,
    main: &Arc<Server>,
    log: Log,
    usual_outputs: Vec<Output>,
) -> (Arc<Server>, mpsc::Receiver<Wish>) {
    let (wishes, wished) = mpsc::channel(1);
    let admin = Arc::new(Admin { servers: OnceLock::new(), log, usual_outputs, wishes });
    let responder = Service::new(admin.clone(), routes(), |_, _| {});
    let server = Server::new(NAME, limits, Serving::Own(Program::Admin, responder));
    admin.servers.get_or_init(|| [&server, main].map(Arc::downgrade));
    (server, wished)
}

fn routes() -> Routes<Admin> {
    Routes::new()
        .on(open)
        .on(lib_version)
        .on(list_servers)
        .on(lookup_server)
        .include(clients::routes())
        .include(limits::routes())
        .include(logging::routes())
        .include(life::routes())
        .include(tls::routes())
}

async fn open(_: Arc<Admin>, _: Call, request: AdminConnectOpen) -> Result<()> {
    check_flags(request.flags, 0, "adminConnectOpen")
}

async fn lib_version(_: Arc<Admin>, _: Call, _: AdminConnectGetLibVersion) -> Result<u64> {
    Ok(LIB_VERSION)
}

async fn list_servers(
    admin: Arc<Admin>,
    _: Call,
    request: AdminConnectListServers,
) -> Result<AdminConnectListServersReply> {
    check_flags(request.flags, 0, "adminConnectListServers")?;
    let all = admin.servers().map(|server| name(&server)).collect();
    let (servers, ret) = wanted(all, request.need_results);
    Ok(AdminConnectListServersReply { servers, ret })
}

async fn lookup_server(
    admin: Arc<Admin>,
    _: Call,
    request: AdminConnectLookupServer,
) -> Result<AdminServerRef> {
    check_flags(request.flags, 0, "adminConnectLookupServer")?;
    admin.server(&request.name).map(|server| name(&server))
}

impl Admin {
    fn servers(&self) -> impl Iterator<Item = Arc<Server>> {
        self.servers.get().into_iter().flatten().filter_map(Weak::upgrade)
    }

    /// The server of this name.
    ///
    /// # Errors
    /// `VIR_ERR_NO_SERVER`.
    fn server(&self, name: &str) -> Result<Arc<Server>> {
        self.servers().find(|server| server.name() == name).ok_or_else(|| {
            Error::new(ErrorCode::NoServer, format!("No server named '{name}'"))
                .in_domain(ErrorDomain::Rpc)
                .hint("'virt-admin server-list' shows the names")
        })
    }
}

fn name(server: &Server) -> AdminServerRef {
    AdminServerRef { name: server.name().to_owned() }
}

/// What a list call answers: everything, or only how many there are.
fn wanted<T>(all: Vec<T>, need_results: u32) -> (Vec<T>, u32) {
    let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
    (if need_results == 0 { Vec::new() } else { all }, count)
}

fn check_flags(given: u32, known: u32, call: &str) -> Result<()> {
    flags::check_flags(given, known, call).map_err(|error| error.in_domain(ErrorDomain::Admin))
}

/// Work that may block; `None` if it takes too long. It goes on then, and nobody waits for it.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    timeout(DEADLINE, spawn_blocking(work)).await.ok()?.ok()
}

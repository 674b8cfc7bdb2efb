// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From options to someone who answers: a driver of this process, or a daemon.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::conf::Conf;
use virtus_core::events::EventSink;
use virtus_core::{
    Connection, Driver, Environment, Identity, Keychain, Paths, Peers, Role, Session, Uri,
};
use virtus_rpc::engine::Authentication;
use virtus_rpc::{Beside, Hello, Remote, local_calls};

use crate::credentials::{self, Known, Proof};
use crate::dial::{dial, own_daemon};
use crate::options::Options;
use crate::polkit::Agent;
use crate::resolve::{self, Surroundings, Target, Way};

/// An answered connection; its daemon, if it has one.
pub(crate) struct Attached {
    pub(crate) connection: Connection,
    pub(crate) remote: Option<Arc<Remote>>,
    /// The program through which we reach the daemon; it ends when this is dropped.
    _tunnel: Option<tokio::process::Child>,
}

/// Opens what the options say; events go to `events`.
pub(crate) async fn attach(options: &Options, events: Arc<dyn EventSink>) -> Result<Attached> {
    let uid = rustix::process::geteuid().as_raw();
    let (system, session) = (Paths::system(), Paths::session(uid));
    let own = if uid == 0 { &system } else { &session };
    let file = own.config.join("libvirt.conf");
    let conf = tokio::task::spawn_blocking(move || Conf::load(&file)).await;
    let conf = conf.map_err(|cause| broken_off(&cause))??;
    let default_uri = env::var("LIBVIRT_DEFAULT_URI").ok();
    let exists = |path: &Path| path.exists();
    let autostart = own_daemon::is_allowed();
    let around =
        Surroundings { uid, system, session, default_uri, conf, autostart, exists: &exists };
    let uri = resolve::meant(options.uri.as_deref(), &around)?;
    if let Some(uri) = uri.as_ref().filter(|uri| uri.transport.is_none() && uri.server.is_none())
        && let Some(attached) = in_process(options, uri, &around, events.clone()).await?
    {
        return Ok(attached);
    }
    let target = resolve::target(uri.as_ref(), options.read_only, &around)?;
    // It speaks for this process, and only a daemon of this host asks polkit about that.
    let mut agent = Agent::new(options.polkit_agent && matches!(target.way, Way::Unix(_)));
    let uri = uri.unwrap_or_default();
    loop {
        match daemon(options, &target, &uri, &around, &events).await {
            Err(refusal) => agent.help(refusal).await?,
            attached => return attached,
        }
    }
}

/// A connection to a daemon.
async fn daemon(
    options: &Options,
    target: &Target,
    uri: &Uri,
    around: &Surroundings<'_>,
    events: &Arc<dyn EventSink>,
) -> Result<Attached> {
    let line = dial(target, around).await?;
    let known = known(options, target.auth_file.as_deref(), around);
    let host = target.host.clone();
    let ask = move || known.credentials("libvirt", &host);
    let proof = Proof::new(target.way.is_secure(), target.host.clone(), ask);
    let hello = Hello {
        name: target.name.clone(),
        read_only: options.read_only,
        authentication: Authentication { only: target.auth, sasl: Some(Box::new(proof)) },
        keepalive: options.keepalive,
    };
    let remote = Remote::open(line.transport, hello, events.clone()).await?;
    let session = Session::new(Identity::default(), options.read_only, uri.clone(), events.clone());
    let connection = Connection::new(session, vec![remote.clone()]);
    Ok(Attached { connection, remote: Some(remote), _tunnel: line.tunnel })
}

/// Who knows passwords: the application, or else a file, `named` in the URI or in the usual place.
fn known(options: &Options, named: Option<&Path>, around: &Surroundings<'_>) -> Known {
    let variable = env::var_os("LIBVIRT_AUTH_FILE").map(PathBuf::from);
    let (own, system) = (&around.session.config, &around.system.config);
    let file = credentials::file(named, variable, own, system);
    Known { callback: options.credentials.clone(), file }
}

/// A connection to the linked driver that serves `uri`, with those that serve beside it.
async fn in_process(
    options: &Options,
    uri: &Uri,
    around: &Surroundings<'_>,
    events: Arc<dyn EventSink>,
) -> Result<Option<Attached>> {
    let paths = if around.uid == 0 { &around.system } else { &around.session };
    let mut started = Vec::new();
    for entry in &options.drivers {
        started.push(started_once(entry, paths).await?);
    }
    let mut serving = None;
    for driver in &started {
        if driver.role() != Role::Companion && driver.serves(uri)? {
            serving = Some(driver.clone());
            break;
        }
    }
    let Some(driver) = serving else { return Ok(None) };
    let known = known(options, uri.parameter("authfile").map(Path::new), around);
    let (who, read_only) = (identity(), options.read_only);
    let session =
        Session::with_keychain(who, read_only, uri.clone(), events, Some(Box::new(known)));
    let companions = started
        .iter()
        .filter(|other| driver.role() == Role::Hypervisor && other.role() == Role::Companion);
    let mut responders = Vec::new();
    for part in std::iter::once(&driver).chain(companions) {
        match part.open(&session).await {
            Ok(responder) => responders.push(responder),
            Err(error) => {
                Connection::new(session, responders).close();
                return Err(error);
            }
        }
    }
    responders.push(local_calls(true));
    let connection = Connection::new(session, responders);
    Ok(Some(Attached { connection, remote: None, _tunnel: None }))
}

/// The driver of this process: started when it is first wanted, shared by all connections.
async fn started_once(entry: &virtus_core::DriverEntry, paths: &Paths) -> Result<Arc<dyn Driver>> {
    type Started = Mutex<Option<HashMap<(&'static str, bool), Arc<dyn Driver>>>>;
    static STARTED: Started = Mutex::new(None);
    let find = || STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (entry.name, paths.system);
    let known = find().get_or_insert_default().get(&key).cloned();
    if let Some(known) = known {
        return Ok(known);
    }
    let peers = Peers::new(Arc::new(Beside::new(paths.clone(), "")));
    let driver = (entry.start)(Environment { paths: paths.clone(), peers }).await?;
    // Whoever was quicker has started it for all.
    Ok(find().get_or_insert_default().entry(key).or_insert(driver).clone())
}

/// This process, as its own client.
fn identity() -> Identity {
    Identity {
        uid: Some(rustix::process::geteuid().as_raw()),
        gid: Some(rustix::process::getegid().as_raw()),
        pid: Some(rustix::process::getpid().as_raw_pid()),
        ..Identity::default()
    }
}

fn broken_off(cause: &tokio::task::JoinError) -> Error {
    let text = format!("reading the configuration was broken off: {cause}");
    Error::new(ErrorCode::InternalError, text).in_domain(ErrorDomain::Conf)
}

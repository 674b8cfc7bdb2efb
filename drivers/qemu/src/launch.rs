// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Starts a guest: from a plan to a QEMU that answers, with its vCPUs stopped.
//!
//! ```text
//! chains of images -> ports -> folders, key, firmware variables -> images can be read? -> TPM -> descriptors
//!   -> command line -> hook -> log -> PID file -> QEMU (own session, cgroup) -> monitor -> one batch of questions
//! ```
//! Invariants: every step that leaves something behind has pushed its inverse before the next step begins;
//! nothing is polled: the monitor's socket is made here and given to QEMU, so that it can be connected to
//! at once; a QEMU that ends early is noticed by its descriptor, and what it said becomes the error.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;
use virtus_api::{Error, ErrorDomain, Result};
use virtus_core::events::Hub;
use virtus_core::{Paths, Peers};
use virtus_domain::{Before, Launched, MachineHooks, Notices, Private, Start, State, Status, Undo};
use virtus_host::blocking;
use virtus_host::cgroup::Cgroups;
use virtus_host::process::{Limit, Process, Spawn};
use virtus_xml::Domain;

use crate::caps::Capabilities;
use crate::config::Config;
use crate::driver::Qemu;
use crate::events;
use crate::given::{Given, GivenFiles};
use crate::guest::{Facts, Guest, subject};
use crate::guest_log::GuestLog;
use crate::image_chain;
use crate::live;
use crate::locks::{self, LockManager};
use crate::log_keeper::LogKeeper;
use crate::paths::Places;
use crate::plan::{self, CommandLine, Context};
use crate::ports::Ports;
use crate::qmp::{CallError, Events, Monitor};
use crate::stop;

pub(crate) mod cgroup;
mod complaint;
pub(crate) mod descriptors;
pub(crate) mod display;
pub(crate) mod files;
pub(crate) mod network;
pub(crate) mod questions;
pub(crate) mod tpm;

/// How long QEMU may take until it greets: it allocates and maybe clears the guest's memory first.
const GREETING: Duration = Duration::from_secs(60);

/// What a start will do.
pub(crate) struct Plan {
    /// The live definition: with id and aliases, ports not chosen yet.
    pub(crate) def: Domain,
    pub(crate) start: Start,
    pub(crate) binary: PathBuf,
    pub(crate) caps: Arc<Capabilities>,
    pub(crate) config: Arc<Config>,
    pub(crate) context: Context,
}

/// What a start works with besides its plan.
pub(crate) struct Ground<'a> {
    pub(crate) paths: &'a Paths,
    pub(crate) places: &'a Places,
    pub(crate) ports: &'a Ports,
    pub(crate) hub: &'a Arc<Hub>,
    pub(crate) cgroups: &'a Cgroups,
    pub(crate) peers: &'a Peers,
    pub(crate) given: &'a GivenFiles,
    pub(crate) hooks: &'a MachineHooks,
}

/// Carries a plan out.
pub(crate) async fn launch(
    ground: Ground<'_>,
    mut plan: Plan,
    undo: &mut Undo,
    notices: Notices,
) -> Result<Launched<Qemu>> {
    let (name, id) = (plan.def.name.clone(), plan.start.id);
    find_images(&mut plan).await?;
    display::allot(&mut plan.def, &plan.config, ground.ports, undo)?;
    let given = make_files(ground.places, &plan, undo).await?;
    tpm::start(ground.places, &plan, undo).await?;
    descriptors::name_sockets(ground.places, &mut plan.def, id);
    let mut taps = network::plug(ground.peers, &mut plan.def, undo).await?;
    let keeper = LogKeeper::new(plan.config.log_daemon, ground.paths, &plan.def);
    let fds = descriptors::open(ground.places, &keeper, &plan.def, id, &mut taps, undo).await?;
    plan.context.fds = fds.numbers();
    plan.context.peers = tpm::peers(ground.places, &plan.def, id);
    let line = plan::command_line(&plan.def, &plan.caps, &plan.context)?;

    let groups = cgroup::make(ground.cgroups, &plan.config, &plan.def, id, undo).await?;
    let log_path = ground.places.log_file(&name);
    let locks = match LockManager::new(&plan.config, ground.paths) {
        Some(manager) => Some(manager.open(&plan.def).await?),
        None => None,
    };
    ground.hooks.ask(Before::Start, &plan.def).await?;
    let log = GuestLog::open(keeper.clone(), &log_path).await?;
    let launch = Launch { line, fds, groups, locks: locks.as_ref() };
    let (log, process) = spawn(ground.places, &plan, log, launch, undo).await?;
    let log_facts = (log_path, keeper);
    let facts = Facts::new(&plan.def, id, ground.places.monitor(id, &name), log_facts);
    let guest = Guest::new(facts, process, notices);
    if let Some(locks) = locks {
        guest.set_locks(locks.started(&plan.def, guest.process.pid()).await?);
    }

    let identity = plan.config.identity.clone();
    let (monitor, events) = greet(&guest, &log)
        .await
        .map_err(|error| complaint::explain(error, &plan.def, &identity))?;
    guest.set_monitor(Some(monitor.clone()));
    questions::ask(&guest, &monitor, &mut plan, &log)
        .await
        .map_err(|error| complaint::explain(error, &plan.def, &identity))?;
    guest.set_disks(live::disk_sources(&plan.def));
    ground.given.note(guest.facts.uuid, given);
    let pid = guest.process.pid();
    cgroup::tune_threads(ground.cgroups, &plan.def, id, pid, &guest.vcpu_threads())?;
    events::watch(guest.clone(), Some(events), ground.hub.clone());
    let status = Status {
        state: State::STARTING,
        pid: Some(guest.process.pid()),
        monitor: Some(guest.facts.monitor_path.clone()),
        def: plan.def,
        private: Private::default(),
    };
    Ok(Launched { running: guest, status })
}

/// Folders, the key, firmware variables; and whether QEMU will be able to read its images.
async fn make_files(places: &Places, plan: &Plan, undo: &mut Undo) -> Result<Given> {
    let given = Given::default();
    let work = files::Work::new(places, plan, given.clone());
    let left = work.leavings();
    undo.push("files of the run", async move { files::remove(left).await });
    let back = given.clone();
    undo.push("owners of images", async move { back.take_back().await });
    look_at_files(&plan.def.name, move || work.perform()).await.map(|()| given)
}

/// Finds the images that the disks stand on.
async fn find_images(plan: &mut Plan) -> Result<()> {
    let (mut def, identity) = (plan.def.clone(), plan.config.identity.clone());
    let work = move || image_chain::find_all(&mut def, &identity).map(|()| def);
    plan.def = look_at_files(&plan.def.name, work).await?;
    Ok(())
}

/// Does what may hang where storage is dead.
pub(crate) async fn look_at_files<T: Send + 'static>(
    guest: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    blocking::run(&format!("preparing the files of {}", subject(guest)), work).await
}

/// The variables of the new process; QEMU's libraries keep their files in the folder of the run.
pub(crate) fn environment(folder: &Path, line: &CommandLine) -> Vec<(String, String)> {
    let below = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let set = [
        ("LC_ALL", "C".to_owned()),
        ("PATH", std::env::var("PATH").unwrap_or_else(|_| "/usr/sbin:/usr/bin:/sbin:/bin".into())),
        ("HOME", folder.to_string_lossy().into_owned()),
        ("XDG_DATA_HOME", below(".local/share")),
        ("XDG_CACHE_HOME", below(".cache")),
        ("XDG_CONFIG_HOME", below(".config")),
    ];
    let mut env: Vec<_> = set.map(|(name, value)| (name.to_owned(), value)).into();
    for (name, value) in &line.env {
        env.retain(|(known, _)| known != name);
        env.extend(value.as_ref().map(|value| (name.clone(), value.clone())));
    }
    env
}

/// What the new process gets.
struct Launch<'a> {
    line: CommandLine,
    fds: descriptors::Open,
    groups: Vec<PathBuf>,
    locks: Option<&'a locks::Opening>,
}

async fn spawn(
    places: &Places,
    plan: &Plan,
    mut log: GuestLog,
    launch: Launch<'_>,
    undo: &mut Undo,
) -> Result<(GuestLog, Process)> {
    let Launch { line, fds, groups, locks } = launch;
    let env = environment(&places.domain(plan.start.id, &plan.def.name), &line);
    let pid_file = places.pid_file(&plan.def.name);
    let mut words = vec![plan.binary.to_string_lossy().into_owned()];
    words.extend(line.args.iter().cloned());
    log.header(&lead(&plan.caps), &env, &words).await;
    let (stdout, stderr) = log.outputs()?;
    let mut spawn = Spawn::new(&plan.binary)
        .args(line.args)
        .stdout(stdout)
        .stderr(stderr)
        .umask(0o002)
        .identity(plan.config.identity.clone())
        .pid_file(&pid_file);
    for (name, value) in env {
        spawn = spawn.env(name, value);
    }
    let mut free = descriptors::FIRST;
    for (number, fd) in fds.into_descriptors() {
        spawn = spawn.fd(number, fd);
        free = number + 1;
    }
    if let Some(locks) = locks {
        let (socket, address) = locks.holder()?;
        spawn = spawn.connect(locks.holder()?.0, address).fd(free, socket);
    }
    for group in groups {
        spawn = spawn.cgroup(group);
    }
    for (limit, value) in limits(plan) {
        spawn = spawn.limit(limit, value);
    }
    undo.push("PID file", async move { files::remove(vec![pid_file]).await });
    let process = spawn.start().await.map_err(|error| {
        error
            .in_domain(ErrorDomain::Qemu)
            .context(format!("cannot start {}", subject(&plan.def.name)))
    })?;
    let (pid, time) = (process.pid(), process.start_time());
    undo.push("QEMU", async move {
        if let Ok(Some(process)) = Process::open(pid, Some(time))
            && let Err(error) = stop::kill(&process).await
        {
            tracing::error!("{error}");
        }
    });
    Ok((log, process))
}

/// The kernel's word for no limit.
const NO_LIMIT: u64 = u64::MAX;

fn limits(starting: &Plan) -> Vec<(Limit, u64)> {
    let config = &starting.config;
    let mut limits = Vec::new();
    if let Some(bytes) = plan::memory_lock_limit(&starting.def) {
        let value = if bytes == plan::UNLIMITED { NO_LIMIT } else { bytes };
        limits.push((Limit::LockedMemory, value));
    }
    if config.max_processes > 0 {
        limits.push((Limit::Processes, config.max_processes));
    }
    if config.max_files > 0 {
        limits.push((Limit::OpenFiles, config.max_files));
    }
    if let Some(core) = config.max_core {
        limits.push((Limit::Core, core));
    }
    limits
}

/// The words of the log's first line, in the order that tools know from libvirt.
fn lead(caps: &Capabilities) -> String {
    let host = rustix::system::uname();
    format!(
        "libvirt version: 11.3.0, package: virtus {}, qemu version: {}{}, kernel: {}, hostname: {}",
        env!("CARGO_PKG_VERSION"),
        caps.version_text(),
        caps.package,
        host.release().to_string_lossy(),
        host.nodename().to_string_lossy()
    )
}

/// Connects to the monitor; a QEMU that ends instead says why in its log.
async fn greet(guest: &Guest, log: &GuestLog) -> Result<(Monitor, Events)> {
    let subject = guest.subject();
    let greeted = tokio::select! {
        greeted = Monitor::connect(guest.monitor_path(), &subject, GREETING) => greeted,
        exit = guest.process.exited() => return Err(complaint::of(guest, log, exit).await),
    };
    match greeted {
        Ok(connected) => Ok(connected),
        Err(error) => Err(why(guest, log, error).await),
    }
}

/// The cause of a failed command while QEMU starts: mostly that it has ended.
async fn why(guest: &Guest, log: &GuestLog, error: CallError) -> Error {
    if matches!(error, CallError::Closed { .. })
        && let Ok(exit) = timeout(Duration::from_secs(2), guest.process.exited()).await
    {
        return complaint::of(guest, log, exit).await;
    }
    error.into()
}

/// Whether `reply` is there and no error; otherwise the error.
fn value(result: Result<Value, CallError>) -> Result<Value> {
    result.map_err(Error::from)
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The life of a daemon, from its options to its clean end.
//!
//! Order of the start: configuration, log, PID file, sockets (clients queue from here on), drivers,
//! "ready". Order of the end: no new clients, calls in flight, drivers, sockets, PID file.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{error, info, warn};
use virtus_api::{Error, ErrorCode, Result};
use virtus_core::access::Gate;
use virtus_core::log::{Log, Target};
use virtus_core::{Paths, store};
use virtus_host::hooks::{Event, Hooks};
use virtus_host::node;
use virtus_host::pidfile::PidFile;
use virtus_rpc::sasl::SaslSettings;
use virtus_rpc::{PolkitAccess, Server, Tls};

use crate::admin::{self, Wish};
use crate::config::Config;
use crate::idle::{self, Idle};
use crate::options::Options;
use crate::reexec::{self, Inheritance, Kept, Over};
use crate::signals::{Requests, Signals, Told};
use crate::sockets::{self, Door, Listening, Passed};
use crate::table::Daemon;
use crate::work::Work;
use crate::{authentication, background, logging, notify};

/// How long calls in flight may take to finish when the daemon stops.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// How long after the start, or after a client has left, memory is given back: those who leave together cost it once.
const QUIET: Duration = Duration::from_secs(1);

/// Runs the daemon until it is told to stop.
pub(crate) fn run(daemon: &'static Daemon, options: Options) -> Result<()> {
    virtus_host::memory::keep_together();
    name_process(daemon);
    let uid = rustix::process::geteuid();
    let paths = if uid.is_root() { Paths::system() } else { Paths::session(uid.as_raw()) };
    let for_users = daemon.own.is_some() || daemon.drivers.iter().any(|driver| driver.for_users);
    if !paths.system && !for_users {
        let text = format!("{} must be run as root", daemon.name);
        return Err(Error::new(ErrorCode::OperationDenied, text));
    }
    let mut options = absolute(options)?;
    let left = match daemon.own {
        Some(_) => Inheritance::take(&paths, daemon.name)?,
        None => None,
    };
    // A predecessor has used up what systemd passed.
    let passed = if left.is_some() { None } else { sockets::passed()? };
    if passed.is_none() && left.is_none() && notify::is_service() {
        // Nobody would start it again when the next client comes.
        options.timeout = None;
    }
    let config_file = match &options.config {
        Some(file) => file.clone(),
        None => paths.config.join(format!("{}.conf", daemon.name)),
    };
    if background::is_child() && left.is_none() {
        background::detach().map_err(|cause| Error::system("cannot leave the terminal", &cause))?;
    }
    let mask = if paths.system { 0o022 } else { 0o077 };
    rustix::process::umask(Mode::from_raw_mode(mask));
    let runtime = runtime(daemon)?;
    // Whoever changes the configuration after it was read, and says so, is heard, if only when we serve.
    let requests = runtime.block_on(async { Requests::new() })?;
    let config = Config::load(daemon, &config_file, options.config.is_some())?;
    node::choose_uuid(config.host_uuid);
    let log = start_log(daemon, &options, &config, &paths)?;
    let life = Life { daemon, options, paths, config_file, log };
    let outcome = life.run(&config, (runtime, requests), passed, left);
    if let Err(error) = &outcome {
        life.log_failure(error);
    }
    outcome
}

/// `pidof` and `pgrep` find a daemon of the multi-call program by its own name too.
fn name_process(daemon: &Daemon) {
    if let Ok(name) = CString::new(daemon.name) {
        // Only a name: nothing depends on it.
        let _unnamed = rustix::thread::set_name(&name);
    }
}

fn runtime(daemon: &Daemon) -> Result<Runtime> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(daemon.name)
        // Busy threads look for what has come in more often than usual (61): clients that flood
        // take up to half a millisecond each time, and the others wait no longer than need be.
        .event_interval(16)
        .enable_all()
        .build()
        .map_err(|cause| Error::system("cannot start the runtime", &cause))
}

/// What holds for the whole life.
struct Life {
    daemon: &'static Daemon,
    options: Options,
    paths: Paths,
    config_file: PathBuf,
    log: Log,
}

/// A relative path means the folder that the daemon was started in, not the one it moves to.
fn absolute(mut options: Options) -> Result<Options> {
    for path in [&mut options.config, &mut options.pid_file].into_iter().flatten() {
        *path = std::path::absolute(&*path).map_err(|cause| {
            Error::system(format!("cannot resolve the path '{}'", path.display()), &cause)
        })?;
    }
    Ok(options)
}

fn start_log(daemon: &Daemon, options: &Options, config: &Config, paths: &Paths) -> Result<Log> {
    let (settings, remarks) = logging::settings(daemon.name, options, config, paths);
    let into_our_folder = settings
        .outputs
        .iter()
        .any(|output| matches!(&output.target, Target::File(file) if file.starts_with(&paths.log)));
    if into_our_folder {
        store::make_folder(&paths.log, 0o700)?;
    }
    let log = Log::install(settings)?;
    std::panic::set_hook(Box::new(|panic| error!("{panic}")));
    for remark in config.remarks.iter().chain(&remarks) {
        warn!("{remark}");
    }
    Ok(log)
}

impl Life {
    /// The starter reads the error on the terminal in any case; once is enough there.
    fn log_failure(&self, error: &Error) {
        let mut targets = self.log.settings().outputs.into_iter().map(|output| output.target);
        if targets.all(|target| target != Target::Stderr) {
            error!("{error}");
        }
    }

    fn run(
        &self,
        config: &Config,
        (runtime, requests): (Runtime, Requests),
        passed: Option<Vec<Passed>>,
        left: Option<Inheritance>,
    ) -> Result<()> {
        let pid_path = match &self.options.pid_file {
            Some(path) => path.clone(),
            None => self.paths.pid.join(format!("{}.pid", self.daemon.name)),
        };
        if let Some(folder) = pid_path.parent() {
            store::make_folder(folder, 0o755)?;
        }
        let _pid_file = PidFile::acquire(&pid_path)?;
        raise_descriptor_limit();
        let (listening, tls) = match &left {
            Some(left) => {
                let mut listening = left.sockets(self.daemon.name, Door::Main)?;
                listening.extend(left.sockets(admin::NAME, Door::Admin)?);
                (listening, None)
            }
            None => self.sockets(config, passed)?,
        };
        let outcome = runtime.block_on(self.serve(config, requests, &listening, tls, left));
        // Everything that the successor gets is held until then.
        let outcome = outcome.and_then(|kept| match kept {
            Some(_kept) => Err(reexec::follow()),
            None => Ok(()),
        });
        // Blocking work that hangs (a dead NFS server) must not hold up the exit.
        runtime.shutdown_timeout(Duration::from_secs(1));
        outcome
    }

    fn sasl(&self, config: &Config) -> SaslSettings {
        let gssapi = authentication::gssapi();
        if let Err(cause) = &gssapi {
            info!("SASL does without GSSAPI: {cause}");
        }
        SaslSettings {
            users: authentication::users_file(&self.paths),
            allowed_names: config.allowed_users.clone(),
            gssapi: gssapi.ok(),
            min_strength: config.network.tcp_min_ssf,
        }
    }

    /// The sockets, and what those of TLS need. The unix sockets come last: a client that can
    /// connect to them finds that nothing else is in the way.
    fn sockets(
        &self,
        config: &Config,
        passed: Option<Vec<Passed>>,
    ) -> Result<(Vec<Listening>, Option<Tls>)> {
        let own = passed.is_none();
        let mut listening = match passed {
            Some(passed) => sockets::sort(self.daemon, passed, config)?,
            None if self.options.listen || self.daemon.forwards => {
                config.network.bind(self.daemon.forwards)?
            }
            None => Vec::new(),
        };
        let load = || Tls::load(config.network.certificates.clone());
        let tls = listening.iter().any(Listening::is_tls).then(load).transpose()?;
        if own {
            listening.extend(sockets::bind(self.daemon, &self.paths, config)?);
            for one in &listening {
                let queue = match one.door {
                    Door::Main => config.sockets.queue,
                    Door::Admin => config.admin.queue,
                };
                one.limit_queue(queue)
                    .map_err(|cause| Error::system("cannot bound the queue of a socket", &cause))?;
            }
        }
        Ok((listening, tls))
    }

    async fn serve(
        &self,
        config: &Config,
        requests: Requests,
        listening: &[Listening],
        tls: Option<Tls>,
        left: Option<Inheritance>,
    ) -> Result<Option<Kept>> {
        let mut signals = Signals::new(requests)?;
        let start = async {
            self.tell_hooks("start", "-", "start").await;
            Work::start(self.daemon, &self.paths, config, left.as_ref()).await
        };
        let work = tokio::select! {
            work = start => work?,
            name = signals.told_to_stop() => {
                info!("stopping on {name} before the drivers were there");
                return Ok(None);
            }
        };
        let serving = work.serving(self.daemon, &self.paths);
        let main = Server::new(self.daemon.name, config.limits, serving);
        let usual_outputs = logging::usual_outputs(self.daemon.name, &self.options, &self.paths);
        let (admin, mut wishes) =
            admin::server(config.admin.limits, &main, self.log.clone(), usual_outputs);
        main.set_sasl(self.sasl(config));
        main.set_gate(gate(config));
        if let Some(tls) = tls {
            main.set_tls(tls);
        }
        for one in listening {
            let explain = |cause| Error::system("cannot serve a socket", &cause);
            let server = match one.door {
                Door::Main => &main,
                Door::Admin => &admin,
            };
            server.listen(one.listener().map_err(explain)?, one.access);
        }
        if let (Some(left), Some(keeper)) = (&left, work.keeper()) {
            left.serve_on(&main, Some(keeper)).await?;
            left.serve_on(&admin, None).await?;
        }
        if background::is_child() && left.is_none() {
            background::serving()
                .map_err(|cause| Error::system("cannot leave the terminal", &cause))?;
        }
        info!("{} serves on {} sockets", self.daemon.name, listening.len());
        notify::ready();
        work.autostart();
        tokio::spawn(tidy(main.clone()));
        let servers = Servers { main, admin };
        let over = self.until_told(&mut signals, &mut wishes, &servers, &work, config).await;
        drop(wishes);
        if let (Over::Replaced, Some(keeper)) = (over, work.keeper()) {
            let servers = [(&*servers.main, Door::Main), (&*servers.admin, Door::Admin)];
            return reexec::leave(&self.paths, servers, listening, &**keeper).await.map(Some);
        }
        notify::stopping();
        work.end();
        tokio::join!(servers.main.stop(GRACE), servers.admin.stop(GRACE));
        work.stop().await;
        self.tell_hooks("shutdown", "-", "shutdown").await;
        info!("{} ends", self.daemon.name);
        Ok(None)
    }

    /// Serves until a signal, an administrator or the idle timeout ends it.
    async fn until_told(
        &self,
        signals: &mut Signals,
        wishes: &mut mpsc::Receiver<Wish>,
        servers: &Servers,
        work: &Work,
        started_with: &Config,
    ) -> Over {
        let mut idle = Idle::new(self.options.timeout);
        let mut check = interval(idle::CHECK);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                told = signals.next() => match told {
                    Told::Reload => {
                        self.reload(servers, work, started_with).await;
                        tokio::select! {
                            () = self.tell_hooks("reload", "begin", "SIGHUP") => {}
                            name = signals.told_to_stop() => {
                                info!("stopping on {name}");
                                return Over::Stopped;
                            }
                        }
                        info!("configuration reloaded");
                        notify::ready();
                    }
                    Told::Stop(name) => {
                        info!("stopping on {name}");
                        return Over::Stopped;
                    }
                    Told::Replace => {
                        let Some(keeper) = work.keeper() else { continue };
                        notify::reloading();
                        match keeper.rest().await {
                            Ok(()) => {
                                info!("making room for the program that is installed now");
                                keeper.end();
                                return Over::Replaced;
                            }
                            Err(error) => {
                                error!("this program stays: {error}");
                                notify::ready();
                            }
                        }
                    }
                },
                Some(wish) = wishes.recv() => match wish {
                    Wish::EndWhenIdle(timeout) => idle = Idle::new(timeout),
                    Wish::End => {
                        info!("stopping, because an administrator says so");
                        return Over::Stopped;
                    }
                },
                _ = check.tick(), if idle.matters() => {
                    let used_by = servers.clients() + work.busy();
                    if idle.is_over(used_by, servers.arrivals(), Instant::now()) {
                        info!("stopping, because nobody needed this daemon for a while");
                        return Over::Stopped;
                    }
                }
            }
        }
    }

    /// SIGHUP: what may change while we run is read anew; a mistake in it changes nothing. What holds until the end is
    /// named in the log if it was changed.
    async fn reload(&self, servers: &Servers, work: &Work, started_with: &Config) {
        notify::reloading();
        let config = self.reload_config(&self.config_file);
        work.reload(config.as_ref().ok()).await;
        match config {
            Ok(config) => {
                servers.main.set_limits(config.limits);
                servers.admin.set_limits(config.admin.limits);
                servers.main.set_sasl(self.sasl(&config));
                servers.main.set_gate(gate(&config));
                if !config.same_sockets(started_with) {
                    let (file, name) = (self.config_file.display(), self.daemon.name);
                    warn!("{file}: what it says now of sockets waits for {name}'s next start");
                }
                match servers.main.has_tls().then(|| Tls::load(config.network.certificates)) {
                    Some(Ok(tls)) => servers.main.set_tls(tls),
                    Some(Err(error)) => error!("the certificates stay as they were: {error}"),
                    None => {}
                }
            }
            Err(error) => error!("the configuration stays as it was: {error}"),
        }
    }

    /// Tells the administrator's scripts what a daemon with drivers does; they have no say in it.
    async fn tell_hooks(&self, operation: &str, stage: &str, extra: &str) {
        if self.daemon.own.is_some() {
            return;
        }
        let hooks = Hooks::new(self.paths.hooks(), "daemon");
        let event = Event { object: "-", operation, stage, extra };
        if let Err(failure) = hooks.call(event, String::new).await {
            warn!("{}", Error::from(failure));
        }
    }

    fn reload_config(&self, file: &Path) -> Result<Config> {
        let config = Config::load(self.daemon, file, self.options.config.is_some())?;
        node::choose_uuid(config.host_uuid);
        let (settings, remarks) =
            logging::settings(self.daemon.name, &self.options, &config, &self.paths);
        self.log.change(|now| now.clone_from(&settings))?;
        for remark in config.remarks.iter().chain(&remarks) {
            warn!("{remark}");
        }
        Ok(config)
    }
}

/// Who is asked what clients may do, if somebody is. A new one has decided nothing yet.
fn gate(config: &Config) -> Option<Arc<Gate>> {
    config.polkit_access.then(|| Gate::new(PolkitAccess::default()))
}

/// The servers of the daemon.
struct Servers {
    main: Arc<Server>,
    admin: Arc<Server>,
}

impl Servers {
    fn clients(&self) -> usize {
        self.main.clients() + self.admin.clients()
    }

    fn arrivals(&self) -> u64 {
        self.main.arrivals() + self.admin.arrivals()
    }
}

/// Gives memory back: after the start, what only it has needed; after clients that have left, what was freed. They may have
/// been many, and none may come again.
async fn tidy(server: Arc<Server>) {
    let mut give_back: fn() = virtus_host::memory::give_back;
    loop {
        sleep(QUIET).await;
        // A panic in it would cost memory, nothing else.
        let _tidied = spawn_blocking(give_back).await;
        give_back = virtus_host::memory::give_back_heap;
        server.some_left().await;
    }
}

/// Guests and clients cost descriptors; the soft limit of 1024 is for programs that use `select`.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(errno) = setrlimit(Resource::Nofile, raised) {
        warn!("cannot raise the limit of open files: {errno}");
    }
}

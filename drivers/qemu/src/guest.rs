// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A running guest: its process, its monitor, its agent.
//!
//! Invariants: no call waits beyond its deadline; a guest that does not answer is marked, and who reads
//! statistics passes it over until it answers again. The process is ended by its descriptor, never by its
//! number.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::broadcast;
use uuid::Uuid;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_domain::console::Consoles;
use virtus_domain::{End, Notice, Notices};
use virtus_host::process::Process;
use virtus_xml::Domain;
use virtus_xml::domain::LifecycleAction;

use crate::agent::Agent;
use crate::live;
use crate::locks::Locks;
use crate::log_keeper::LogKeeper;
use crate::qmp::{CallError, Monitor};

/// How long a query at the monitor may take.
pub(crate) const QUERY: Duration = Duration::from_secs(10);
/// How long a command may take that does work before it answers.
pub(crate) const WORK: Duration = Duration::from_secs(30);
/// How long the guest's agent may take for an ordinary command.
pub(crate) const AGENT: Duration = Duration::from_secs(10);

/// What happens when the guest powers off, reboots or crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Actions {
    pub(crate) on_poweroff: LifecycleAction,
    pub(crate) on_reboot: LifecycleAction,
    pub(crate) on_crash: LifecycleAction,
}

/// Facts about a guest that is being started or found again.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) name: String,
    pub(crate) uuid: Uuid,
    pub(crate) id: i32,
    pub(crate) monitor_path: PathBuf,
    pub(crate) agent_path: Option<PathBuf>,
    pub(crate) agent_alias: Option<String>,
    pub(crate) log: PathBuf,
    /// Who keeps it.
    pub(crate) keeper: LogKeeper,
    pub(crate) actions: Actions,
}

impl Facts {
    /// Those in a live definition.
    pub(crate) fn new(
        def: &Domain,
        id: i32,
        monitor_path: PathBuf,
        (log, keeper): (PathBuf, LogKeeper),
    ) -> Self {
        let channel = live::agent_channel(def);
        let action = |stated: Option<LifecycleAction>, default| stated.unwrap_or(default);
        Self {
            name: def.name.clone(),
            uuid: def.uuid.unwrap_or_default(),
            id,
            monitor_path,
            agent_path: channel.and_then(|channel| channel.source()?.path.clone()).map(Into::into),
            agent_alias: channel.and_then(|channel| channel.info.alias.clone()),
            log,
            keeper,
            actions: Actions {
                on_poweroff: action(def.on_poweroff, LifecycleAction::Destroy),
                on_reboot: action(def.on_reboot, LifecycleAction::Restart),
                on_crash: action(def.on_crash, LifecycleAction::Destroy),
            },
        }
    }
}

/// A running guest.
pub(crate) struct Guest {
    pub(crate) facts: Facts,
    pub(crate) process: Process,
    pub(crate) notices: Notices,
    me: Weak<Self>,
    state: Mutex<Changing>,
    answering: AtomicBool,
    /// Seconds that clients want the agent to be waited for; 0: as usual.
    agent_patience: AtomicU32,
    /// Aliases of devices that the guest has given up.
    pub(crate) unplugged: broadcast::Sender<String>,
    /// How many vCPUs were taken out since this daemon knows the guest.
    pub(crate) removed_vcpus: AtomicU32,
    /// What virtlockd holds for it.
    locks: OnceLock<Locks>,
    /// Who has which console open.
    pub(crate) consoles: Arc<Consoles>,
}

/// What changes while the guest runs.
struct Changing {
    monitor: Option<Monitor>,
    agent: Option<Arc<Agent>>,
    agent_connected: bool,
    fake_reboot: bool,
    end: Option<End>,
    vcpu_threads: Vec<u32>,
    disks: BTreeMap<String, String>,
}

impl Guest {
    pub(crate) fn new(facts: Facts, process: Process, notices: Notices) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            facts,
            process,
            notices,
            me: me.clone(),
            state: Mutex::new(Changing {
                monitor: None,
                agent: None,
                agent_connected: false,
                fake_reboot: false,
                end: None,
                vcpu_threads: Vec::new(),
                disks: BTreeMap::new(),
            }),
            answering: AtomicBool::new(true),
            agent_patience: AtomicU32::new(0),
            unplugged: broadcast::channel(16).0,
            removed_vcpus: AtomicU32::new(0),
            locks: OnceLock::new(),
            consoles: Arc::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, Changing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How errors name it.
    pub(crate) fn subject(&self) -> String {
        subject(&self.facts.name)
    }

    /// Takes the guest's locks, as soon as its process is there to own them.
    pub(crate) fn set_locks(&self, locks: Locks) {
        // A guest gets its locks once.
        let _first = self.locks.set(locks);
    }

    /// What virtlockd holds for it.
    pub(crate) fn locks(&self) -> &Locks {
        self.locks.get_or_init(Locks::default)
    }

    /// Whether the last command that was sent was answered in time.
    pub(crate) fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Acquire)
    }

    /// Takes note of an answer, or of none, and tells the machine's actor when that changes.
    pub(crate) fn set_answering(&self, answering: bool) {
        if self.answering.swap(answering, Ordering::AcqRel) != answering {
            let name = &self.facts.name;
            if answering {
                tracing::info!("QEMU of domain '{name}' answers again");
            } else {
                tracing::warn!("QEMU of domain '{name}' does not answer its monitor");
            }
            // The actor has ended: then nobody needs to know.
            let _ = self.notices.send(Notice::Answering(answering));
        }
    }

    pub(crate) fn set_monitor(&self, monitor: Option<Monitor>) {
        self.state().monitor = monitor;
    }

    /// The monitor, if it is connected.
    pub(crate) fn monitor(&self) -> Result<Monitor> {
        self.state().monitor.clone().filter(Monitor::is_open).ok_or_else(|| {
            let text = format!("QEMU of {} does not answer its monitor", self.subject());
            Error::new(ErrorCode::OperationTimeout, text).in_domain(ErrorDomain::Qemu).hint(
                "the QEMU process is stopped or stuck: see its state in /proc and its log; \
                 'virsh destroy' ends it",
            )
        })
    }

    /// Runs one monitor command.
    pub(crate) async fn execute(
        &self,
        command: &str,
        arguments: impl Into<Option<Value>>,
        deadline: Duration,
    ) -> Result<Value> {
        Ok(self.try_execute(command, arguments, deadline).await??)
    }

    /// Runs one monitor command; the inner result is QEMU's own verdict, for callers that tell its
    /// refusals apart.
    pub(crate) async fn try_execute(
        &self,
        command: &str,
        arguments: impl Into<Option<Value>>,
        deadline: Duration,
    ) -> Result<Result<Value, CallError>> {
        let monitor = self.monitor()?;
        let result = monitor.execute(command, arguments, deadline).await;
        self.note(&monitor, &result);
        Ok(result)
    }

    /// Runs several monitor commands in one go.
    pub(crate) async fn execute_all(
        &self,
        commands: Vec<(&str, Option<Value>)>,
        deadline: Duration,
    ) -> Result<Vec<Result<Value, CallError>>> {
        let monitor = self.monitor()?;
        let results = monitor.execute_all(commands, deadline).await;
        for result in &results {
            self.note(&monitor, result);
        }
        Ok(results)
    }

    /// Learns from a result whether QEMU answers. One that did not is asked again in the background,
    /// so that the mark vanishes by itself.
    pub(crate) fn note<T>(&self, monitor: &Monitor, result: &Result<T, CallError>) {
        match result {
            Ok(_) | Err(CallError::Refused { .. }) => self.set_answering(true),
            Err(CallError::Timeout { .. }) if self.is_answering() => {
                self.set_answering(false);
                if let Some(me) = self.me.upgrade() {
                    tokio::spawn(ask_until_answered(me, monitor.clone()));
                }
            }
            Err(_) => {}
        }
    }

    /// Whether the guest's agent holds its end of the channel open.
    pub(crate) fn agent_connected(&self) -> bool {
        self.state().agent_connected
    }

    pub(crate) fn set_agent_connected(&self, connected: bool) {
        let mut state = self.state();
        state.agent_connected = connected;
        if !connected {
            state.agent = None;
        }
    }

    /// The agent, if one is configured and there.
    pub(crate) async fn agent(&self) -> Result<Arc<Agent>> {
        let Some(path) = &self.facts.agent_path else {
            return Err(Error::new(
                ErrorCode::ArgumentUnsupported,
                "QEMU guest agent is not configured",
            )
            .in_domain(ErrorDomain::Qemu)
            .hint("add a channel with the target name 'org.qemu.guest_agent.0' to the domain"));
        };
        if !self.agent_connected() {
            return Err(Error::new(
                ErrorCode::AgentUnresponsive,
                "QEMU guest agent is not connected",
            )
            .in_domain(ErrorDomain::Qemu)
            .hint("see in the guest that qemu-guest-agent is installed and running"));
        }
        if let Some(agent) = self.state().agent.clone() {
            return Ok(agent);
        }
        let agent = Arc::new(Agent::connect(path, &self.subject(), AGENT).await?);
        self.state().agent = Some(agent.clone());
        Ok(agent)
    }

    /// Waits so many seconds for the agent's answers; 0: as usual.
    pub(crate) fn set_agent_patience(&self, seconds: u32) {
        self.agent_patience.store(seconds, Ordering::Relaxed);
    }

    /// Runs one command of the agent.
    pub(crate) async fn agent_execute(
        &self,
        command: &str,
        arguments: impl Into<Option<Value>>,
        deadline: Duration,
    ) -> Result<Value> {
        let deadline = match self.agent_patience.load(Ordering::Relaxed) {
            0 => deadline,
            seconds => Duration::from_secs(seconds.into()),
        };
        let result = self.agent().await?.execute(command, arguments, deadline).await;
        self.drop_broken_agent(&result);
        result
    }

    /// An agent that does not answer is connected anew the next time.
    pub(crate) fn drop_broken_agent<T>(&self, result: &Result<T>) {
        if result.as_ref().is_err_and(|error| error.code() == ErrorCode::AgentUnresponsive) {
            self.state().agent = None;
        }
    }

    pub(crate) fn actions(&self) -> Actions {
        self.facts.actions
    }

    /// Whether the next power-off is half of a reboot that was asked for.
    pub(crate) fn set_fake_reboot(&self, fake: bool) {
        self.state().fake_reboot = fake;
    }

    /// Whether this power-off is half of a reboot; asked once for each power-off.
    pub(crate) fn take_fake_reboot(&self) -> bool {
        std::mem::take(&mut self.state().fake_reboot)
    }

    /// Why the process will end; the first cause that is known counts.
    pub(crate) fn set_end(&self, end: End) {
        self.state().end.get_or_insert(end);
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.state().end
    }

    /// The host's threads that run the vCPUs, by the number of the vCPU.
    pub(crate) fn vcpu_threads(&self) -> Vec<u32> {
        self.state().vcpu_threads.clone()
    }

    pub(crate) fn set_vcpu_threads(&self, threads: Vec<u32>) {
        self.state().vcpu_threads = threads;
    }

    /// The sources of the disks, by alias.
    pub(crate) fn set_disks(&self, disks: BTreeMap<String, String>) {
        self.state().disks = disks;
    }

    pub(crate) fn disk_source(&self, alias: &str) -> Option<String> {
        self.state().disks.get(alias).cloned()
    }

    /// Reads the threads of the vCPUs from the reply to `query-cpus-fast`.
    pub(crate) fn learn_vcpu_threads(&self, reply: &Value) {
        let mut threads: Vec<(u64, u32)> = reply
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|cpu| {
                let tid = cpu["thread-id"].as_u64().and_then(|tid| u32::try_from(tid).ok())?;
                Some((cpu["cpu-index"].as_u64()?, tid))
            })
            .collect();
        threads.sort_unstable();
        self.set_vcpu_threads(threads.into_iter().map(|(_, tid)| tid).collect());
    }

    pub(crate) fn monitor_path(&self) -> &Path {
        &self.facts.monitor_path
    }
}

/// How errors name a guest.
pub(crate) fn subject(name: &str) -> String {
    format!("domain '{name}'")
}

/// Asks at growing intervals until QEMU answers or the monitor is gone.
async fn ask_until_answered(guest: Arc<Guest>, monitor: Monitor) {
    // One query, with a long time to answer: asking again and again would only fill QEMU's queue.
    const PATIENCE: Duration = Duration::from_secs(3600);
    let answered = monitor.execute("query-status", None, PATIENCE).await;
    guest.note(&monitor, &answered);
}

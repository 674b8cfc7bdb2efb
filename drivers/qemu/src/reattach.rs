// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Takes over a guest that a former daemon left running, be it libvirt's or ours.
//!
//! The process is recognised by its number and by the guest's name in its arguments, and held by a
//! descriptor from then on. A QEMU that does not answer its monitor is kept: the guest is shown as it was,
//! calls to it fail at once with a clear text, and the monitor is connected as soon as it answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use virtus_api::{
    DomainCrashedReason, DomainPausedReason, DomainRunningReason, DomainShutdownReason, Error,
    ErrorCode, Result,
};
use virtus_core::events::Hub;
use virtus_domain::{Launched, Notices, State, Status};
use virtus_host::pidfile::PidFile;
use virtus_host::process::Process;

use crate::complete::{self, Defaults};
use crate::driver::Qemu;
use crate::events;
use crate::guest::{Facts, Guest, subject};
use crate::launch::{display, questions};
use crate::live;
use crate::log_keeper::LogKeeper;
use crate::paths::Places;
use crate::ports::Ports;
use crate::qmp::{CallError, Events, Monitor};

/// How long a monitor may take before the guest is shown without it.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long a new process may take from its PID file to QEMU's first instruction, on a busy host.
const BECOMES_QEMU: Duration = Duration::from_secs(2);

/// Takes the guest of a status file over.
pub(crate) async fn reattach(
    places: &Places,
    ports: &Ports,
    hub: &Arc<Hub>,
    keeper: LogKeeper,
    status: &Status,
    notices: Notices,
) -> Result<Launched<Qemu>> {
    let mut status = status.clone();
    let def = &mut status.def;
    let defaults = Defaults { dirs: places.dirs(), ..Defaults::default() };
    complete::take_over(&mut status.private.body, def, &defaults);
    let id = def.id.unwrap_or(-1);
    let process = find(places, status.pid, &def.name)?.ok_or_else(|| {
        let text = format!("QEMU of {} has ended", subject(&def.name));
        Error::new(ErrorCode::OperationFailed, text)
    })?;
    let path = status.monitor.clone().unwrap_or_else(|| places.monitor(id, &def.name));
    let facts = Facts::new(def, id, path, (places.log_file(&def.name), keeper));
    for graphics in &def.devices.graphics {
        display::in_use(graphics).into_iter().for_each(|port| ports.note(port));
    }
    let guest = Guest::new(facts, process, notices);
    guest.set_disks(live::disk_sources(def));
    let events = match timeout(PATIENCE, connect(&guest, &mut status)).await {
        Ok(Ok(events)) => Some(events),
        Ok(Err(error)) => {
            tracing::warn!("{error}");
            None
        }
        Err(_) => None,
    };
    if events.is_none() {
        guest.set_answering(false);
    }
    status.pid = Some(guest.process.pid());
    events::watch(guest.clone(), events, hub.clone());
    Ok(Launched { running: guest, status })
}

/// The guest's process, if it is still there: by the number in the status file or in the PID file.
fn find(places: &Places, pid: Option<u32>, name: &str) -> Result<Option<Process>> {
    let found = numbered(places, pid, name)?;
    Ok(found.filter(|process| is_of_guest(process.pid(), name)))
}

/// The guest's process by its PID file, also where its daemon was killed while it started: then it is for
/// a moment a copy of that daemon, which has not become QEMU yet.
pub(crate) async fn find_left_over(places: &Places, name: &str) -> Result<Option<Process>> {
    let Some(process) = numbered(places, None, name)? else { return Ok(None) };
    let end = Instant::now() + BECOMES_QEMU;
    while !is_of_guest(process.pid(), name) {
        if process.try_exited().is_some() || Instant::now() > end {
            return Ok(None);
        }
        sleep(BECOMES_QEMU / 100).await;
    }
    Ok(Some(process))
}

fn numbered(places: &Places, pid: Option<u32>, name: &str) -> Result<Option<Process>> {
    match pid.or_else(|| PidFile::read(&places.pid_file(name))) {
        Some(pid) => Process::open(pid, None),
        None => Ok(None),
    }
}

/// Whether the process was started for this guest: numbers are used again after a while.
fn is_of_guest(pid: u32, name: &str) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let wanted = format!("guest={}", name.replace(',', ",,"));
    line.split(|byte| *byte == 0).any(|word| {
        word.strip_prefix(wanted.as_bytes())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b","))
    })
}

/// Connects the monitor and learns what happened meanwhile.
async fn connect(guest: &Arc<Guest>, status: &mut Status) -> Result<Events, CallError> {
    let subject = guest.subject();
    let (monitor, events) =
        Monitor::connect(guest.monitor_path(), &subject, Duration::from_secs(60)).await?;
    let questions =
        vec![("query-status", None), ("query-cpus-fast", None), ("query-chardev", None)];
    let mut answers = monitor.execute_all(questions, Duration::from_secs(60)).await.into_iter();
    if let Some(answer) = answers.next() {
        status.state = state_now(status.state, answer?["status"].as_str().unwrap_or_default());
    }
    if let Some(Ok(cpus)) = answers.next() {
        guest.learn_vcpu_threads(&cpus);
    }
    if let Some(Ok(chardevs)) = answers.next() {
        questions::learn_ptys(&mut status.def, &chardevs);
        let open = live::agent_channel(&status.def)
            .and_then(|channel| channel.target.as_ref()?.state)
            .is_some_and(|state| state == events::channel_state(true));
        guest.set_agent_connected(open);
    }
    guest.set_monitor(Some(monitor));
    Ok(events)
}

/// The state by QEMU's word; what was known before is more exact where both agree.
fn state_now(before: State, word: &str) -> State {
    match (word, before) {
        ("running", State::Running(_)) => before,
        ("running", _) => State::Running(DomainRunningReason::Unknown),
        ("suspended", _) => State::Pmsuspended,
        ("shutdown", _) => State::Shutdown(DomainShutdownReason::Unknown),
        ("guest-panicked", _) => State::Crashed(DomainCrashedReason::Panicked),
        (_, State::Paused(_)) => before,
        ("io-error", _) => State::Paused(DomainPausedReason::Ioerror),
        ("watchdog", _) => State::Paused(DomainPausedReason::Watchdog),
        _ => State::Paused(DomainPausedReason::Unknown),
    }
}

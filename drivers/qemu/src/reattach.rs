// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Takes over a guest that a former daemon left running, be it libvirt's or ours.
//!
//! The process is recognised by its number and by the guest's name in its arguments, and held by a
//! descriptor from then on. A QEMU that does not answer its monitor is kept: the guest is shown as it was,
//! calls to it fail at once with a clear text, and the monitor is connected as soon as it answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use virtus_api::{
    DomainCrashedReason, DomainPausedReason, DomainRunningReason, DomainShutdownReason, Error,
    ErrorCode, Result,
};
use virtus_core::events::Hub;
use virtus_domain::{Launched, Notices, State, Status};
use virtus_host::process::Process;

use crate::driver::Qemu;
use crate::events;
use crate::guest::{Facts, Guest, subject};
use crate::launch::{display, questions};
use crate::live;
use crate::paths::Places;
use crate::ports::Ports;
use crate::qmp::{CallError, Events, Monitor};

/// How long a monitor may take before the guest is shown without it.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Takes the guest of a status file over.
pub(crate) async fn reattach(
    places: &Places,
    ports: &Ports,
    hub: &Arc<Hub>,
    status: &Status,
    notices: Notices,
) -> Result<Launched<Qemu>> {
    let mut status = status.clone();
    let def = &mut status.def;
    let id = def.id.unwrap_or(-1);
    let process = find(places, status.pid, &def.name)?.ok_or_else(|| {
        let text = format!("QEMU of {} has ended", subject(&def.name));
        Error::new(ErrorCode::OperationFailed, text)
    })?;
    let path = status.monitor.clone().unwrap_or_else(|| places.monitor(id, &def.name));
    let facts = Facts::new(def, id, path, places.log_file(&def.name));
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
pub(crate) fn find(places: &Places, pid: Option<u32>, name: &str) -> Result<Option<Process>> {
    let in_file = || {
        std::fs::read_to_string(places.pid_file(name))
            .ok()
            .and_then(|text| text.trim().parse().ok())
    };
    let pid = pid.or_else(in_file).or_else(|| {
        // A daemon that died between the fork and the PID file has left no number.
        if places.pid_file(name).exists() { None } else { pid_by_line(places, name) }
    });
    let Some(pid) = pid else { return Ok(None) };
    let Some(process) = Process::open(pid, None)? else { return Ok(None) };
    Ok(is_of_guest(pid, name).then_some(process))
}

/// The process whose command line names this guest and a folder of ours.
fn pid_by_line(places: &Places, name: &str) -> Option<u32> {
    let folder = places.lib.join("domain-");
    let folder = folder.as_os_str().as_encoded_bytes();
    let entries = std::fs::read_dir("/proc").ok()?;
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| is_of_guest(*pid, name))
        .find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.windows(folder.len()).any(|part| part == folder)
        })
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

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What QEMU reports, turned into news for the machine's actor and events for clients.
//!
//! One task for each guest reads its monitor's events until the process is gone; it is the only one that
//! says [`Notice::Ended`]. When the monitor is lost while the process lives, it connects again.
//!
//! ```text
//! SHUTDOWN --- reboot wanted? --yes--> system_reset, cont          (told as a reboot)
//!         \--- no -------------------> SIGTERM, later SIGKILL ---> process gone ---> Ended
//! GUEST_PANICKED --- on_crash: destroy -> as above; restart -> reset; preserve -> stays crashed
//! ```

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;
use virtus_api::{DomainRef, QemuDomainMonitorEvent};
use virtus_core::events::Hub;
use virtus_domain::{End, Notice, Pause, PowerOff};
use virtus_xml::domain::LifecycleAction;

use crate::guest::{Guest, WORK};
use crate::guest_log;
use crate::qmp::{Event, Events, Monitor};
use crate::stop;

mod graphics;
mod plain;

pub(crate) use plain::{AGENT_CHANNEL, channel_state};

/// How long to wait before a lost monitor is connected again.
const RETRY: Duration = Duration::from_secs(5);

/// Starts the task. Without `events` it first connects to the monitor.
pub(crate) fn watch(guest: Arc<Guest>, events: Option<Events>, hub: Arc<Hub>) {
    tokio::spawn(Pump { guest, hub, rebooting: false }.run(events));
}

struct Pump {
    guest: Arc<Guest>,
    hub: Arc<Hub>,
    /// Between a power-off that is half of a reboot and the guest running again: the stop and the
    /// resume that belong to it are not told.
    rebooting: bool,
}

impl Pump {
    async fn run(mut self, mut events: Option<Events>) {
        let guest = self.guest.clone();
        loop {
            let event = tokio::select! {
                biased;
                event = next(&mut events) => event,
                _ = guest.process.exited() => break,
            };
            match event {
                Some(event) => self.take(&event),
                None => {
                    guest.set_monitor(None);
                    tokio::select! {
                        _ = guest.process.exited() => break,
                        again = connect_again(&guest, events.is_some()) => events = Some(again),
                    }
                }
            }
        }
        // Events that were on their way when the process ended explain why it did.
        while let Some(event) = events.as_mut().and_then(Events::try_next) {
            self.take(&event);
        }
        guest.set_monitor(None);
        guest.set_agent_connected(false);
        let end = guest.end().unwrap_or(End::Failed);
        let (log, keeper) = (guest.facts.log.clone(), guest.facts.keeper.clone());
        tokio::spawn(guest_log::write_end(keeper, log, end.word()));
        self.tell(Notice::Ended(end));
    }

    fn tell(&self, notice: Notice) {
        // An actor that has ended needs no news.
        let _ = self.guest.notices.send(notice);
    }

    fn take(&mut self, event: &Event) {
        tracing::debug!(domain = self.guest.facts.name, event = event.name, "monitor event");
        self.pass_on(event);
        match event.name.as_str() {
            "SHUTDOWN" => self.powered_off(&event.data),
            "STOP" if !self.rebooting => self.tell(Notice::Paused(Pause::User)),
            "RESUME" => {
                if !std::mem::take(&mut self.rebooting) {
                    self.tell(Notice::Resumed);
                }
            }
            "RESET" => self.tell(Notice::Rebooted),
            "GUEST_PANICKED" => self.panicked(),
            "WATCHDOG" if event.data["action"] == "pause" => {
                self.tell(Notice::Paused(Pause::Watchdog));
                self.plain(event);
            }
            "BLOCK_IO_ERROR" if event.data["action"] == "stop" => {
                self.tell(Notice::Paused(Pause::IoError));
                self.plain(event);
            }
            "SUSPEND" => self.tell(Notice::Suspended),
            "SUSPEND_DISK" => self.tell(Notice::SuspendedToDisk),
            "WAKEUP" => self.tell(Notice::WokenUp),
            _ => self.plain(event),
        }
    }

    fn plain(&self, event: &Event) {
        for notice in plain::notices(&self.guest, event) {
            self.tell(notice);
        }
    }

    /// Passes the event on to those who asked for the monitor's own events.
    fn pass_on(&self, event: &Event) {
        let facts = &self.guest.facts;
        self.hub.emit(virtus_api::QemuEvent::from(QemuDomainMonitorEvent {
            dom: DomainRef { name: facts.name.clone(), uuid: facts.uuid, id: facts.id },
            event: event.name.clone(),
            seconds: event.seconds,
            micros: u32::try_from(event.micros).unwrap_or_default(),
            details: (!event.data.is_null()).then(|| event.data.to_string()),
        }));
    }

    fn powered_off(&mut self, data: &Value) {
        let guest = &self.guest;
        // The end of a guest that is being destroyed is told once, when it is gone.
        if guest.end().is_some() {
            return;
        }
        let restarts = guest.actions().on_poweroff == LifecycleAction::Restart
            && data["reason"] == "guest-shutdown";
        if guest.take_fake_reboot() || restarts {
            self.rebooting = true;
            tokio::spawn(restart(guest.clone()));
            return;
        }
        self.tell(Notice::PoweringOff(match data["guest"].as_bool() {
            Some(true) => PowerOff::Guest,
            Some(false) => PowerOff::Host,
            None => PowerOff::Unknown,
        }));
        if guest.actions().on_poweroff == LifecycleAction::Preserve {
            return;
        }
        guest.set_end(End::Shutdown);
        tokio::spawn(finish(guest.clone()));
    }

    fn panicked(&mut self) {
        let guest = &self.guest;
        self.tell(Notice::Crashed);
        match guest.actions().on_crash {
            LifecycleAction::Preserve => {}
            LifecycleAction::Restart
            | LifecycleAction::RenameRestart
            | LifecycleAction::CoredumpRestart => {
                tokio::spawn(restart(guest.clone()));
            }
            LifecycleAction::Destroy | LifecycleAction::CoredumpDestroy => {
                guest.set_end(End::Crashed);
                tokio::spawn(finish(guest.clone()));
            }
        }
    }
}

/// The next event; never, if there is no monitor.
async fn next(events: &mut Option<Events>) -> Option<Event> {
    match events {
        Some(events) => events.next().await,
        None => None,
    }
}

/// Ends a process whose guest is done. A failure has no one to tell it to but the log.
async fn finish(guest: Arc<Guest>) {
    if let Err(error) = stop::end_process(&guest.process, true).await {
        tracing::error!("cannot end {}: {error}", guest.subject());
    }
}

/// Makes a guest that has powered off or crashed boot again.
async fn restart(guest: Arc<Guest>) {
    let commands = vec![("system_reset", None), ("cont", None)];
    let done = guest.execute_all(commands, WORK).await.and_then(|results| {
        results.into_iter().try_for_each(|result| result.map(drop).map_err(Into::into))
    });
    if let Err(error) = done {
        tracing::error!("cannot reboot {}: {error}", guest.subject());
        guest.set_end(End::Shutdown);
        finish(guest).await;
    }
}

/// Connects to the monitor again and again until it answers. After a loss it waits first.
async fn connect_again(guest: &Arc<Guest>, lost: bool) -> Events {
    let mut wait = lost;
    loop {
        if wait {
            sleep(RETRY).await;
        }
        wait = true;
        let subject = guest.subject();
        match Monitor::connect(guest.monitor_path(), &subject, Duration::from_secs(3600)).await {
            Ok((monitor, events)) => {
                let cpus = monitor.execute("query-cpus-fast", None, WORK).await;
                let status = monitor.execute("query-status", None, WORK).await;
                if let Ok(cpus) = cpus {
                    guest.learn_vcpu_threads(&cpus);
                }
                if let Ok(status) = &status {
                    let news = if status["running"] == true {
                        Notice::Resumed
                    } else {
                        Notice::Paused(Pause::User)
                    };
                    // The state machine passes over what it knows already.
                    let _ = guest.notices.send(news);
                }
                guest.note(&monitor, &status);
                guest.set_monitor(Some(monitor));
                return events;
            }
            Err(error) => tracing::debug!("{subject}: {error}"),
        }
    }
}

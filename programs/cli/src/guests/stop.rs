// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The shutdown: every running guest is noted, then shut down or suspended.
#![expect(
    clippy::disallowed_methods,
    reason = "a tool without a runtime, that looks every now and then"
)]

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use virtus_client::api::{ConnectListAllDomainsFlags, DomainSaveRestoreFlags};
use virtus_client::blocking::Wait;
use virtus_client::{Domain, ErrorCode, Result};
use virtus_core::store;

use super::Tool;
use super::settings::OnShutdown;

/// How often guests that shut down are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How long a guest may take to be written to its file: its memory may be large, and its disk slow.
const SAVING: Duration = Duration::from_secs(24 * 3600);

impl Tool<'_> {
    /// Shuts guests down or suspends them, and notes which ran.
    pub(super) fn stop(&mut self) -> Result<()> {
        // Guests of the last stop wait for their start.
        if self.list.exists() {
            return Ok(());
        }
        let mut noted = String::new();
        let mut all = Vec::new();
        for uri in self.settings.uris.clone() {
            let guests = self.running(&uri);
            if !guests.is_empty() {
                let uuids: Vec<String> =
                    guests.iter().map(|guest| guest.uuid().to_string()).collect();
                noted.push_str(&format!("{uri} {}\n", uuids.join(" ")));
                all.push((uri, guests));
            }
        }
        if !noted.is_empty() {
            // Before anything ends: a host that loses its power meanwhile starts them again.
            store::write(&self.list, noted.as_bytes(), 0o600)?;
        }
        for (uri, guests) in all {
            match self.settings.on_shutdown {
                OnShutdown::Suspend => {
                    let left = self.suspend(&uri, guests);
                    if !left.is_empty() {
                        let text = "guests that cannot be suspended are shut down";
                        self.say(&format!("On {uri} URI {text}"));
                        self.shut_down(&uri, left);
                    }
                }
                OnShutdown::Shutdown => drop(self.shut_down(&uri, guests)),
                OnShutdown::ShutdownSuspend => {
                    let left = self.shut_down(&uri, guests);
                    for guest in self.suspend(&uri, left) {
                        let text = "cannot be suspended here, and ends with the host";
                        self.fail(&format!("Guest {}: {text}", guest.name()));
                    }
                }
            }
        }
        store::remove(&self.mark)
    }

    /// The running guests of a URI that the settings are about.
    fn running(&mut self, uri: &str) -> Vec<Domain> {
        let Some(connection) = self.connect(uri) else { return Vec::new() };
        let suspending = self.settings.on_shutdown == OnShutdown::Suspend;
        let mut flags = ConnectListAllDomainsFlags::ACTIVE;
        if self.settings.persistent_only.unwrap_or(suspending) {
            flags |= ConnectListAllDomainsFlags::PERSISTENT;
        }
        match connection.domains().flags(flags).wait() {
            // Xen's own domain is the host.
            Ok(guests) => guests.into_iter().filter(|guest| !guest.uuid().is_nil()).collect(),
            Err(error) => {
                self.fail(&format!("Cannot list the guests on {uri} URI: {error}"));
                Vec::new()
            }
        }
    }

    /// Suspends guests; answers those that their hypervisor cannot suspend.
    fn suspend(&mut self, uri: &str, guests: Vec<Domain>) -> Vec<Domain> {
        let mut left = Vec::new();
        if guests.is_empty() {
            return left;
        }
        self.say(&format!("Suspending guests on {uri} URI..."));
        let flags = match self.settings.bypass_cache {
            true => DomainSaveRestoreFlags::BYPASS_CACHE,
            false => DomainSaveRestoreFlags::empty(),
        };
        for guest in guests {
            match guest.managed_save().flags(flags).within(SAVING).wait() {
                Ok(()) => self.say(&format!("Guest {}: suspended", guest.name())),
                Err(error) if error.code() == ErrorCode::NoSupport => left.push(guest),
                Err(error) => self.fail(&format!("Guest {}: {error}", guest.name())),
            }
        }
        left
    }

    /// Shuts guests down, as many at a time as the settings say; answers those that did not end in time.
    fn shut_down(&mut self, uri: &str, guests: Vec<Domain>) -> Vec<Domain> {
        self.say(&format!("Shutting down guests on {uri} URI..."));
        let together = self.settings.parallel > 1;
        let begin = Instant::now();
        let mut waiting = VecDeque::from(guests);
        let mut ending: Vec<(Domain, Instant)> = Vec::new();
        let mut left = Vec::new();
        loop {
            while ending.len() < self.settings.parallel
                && let Some(guest) = waiting.pop_front()
            {
                self.say(&format!("Guest {}: shutting down", guest.name()));
                match guest.shutdown().wait() {
                    Ok(()) => ending.push((guest, Instant::now())),
                    Err(error) => {
                        self.fail(&format!("Guest {}: {error}", guest.name()));
                        left.push(guest);
                    }
                }
            }
            let mut still = Vec::new();
            for (guest, since) in ending {
                // A guest without a definition is gone when it has ended.
                let runs = guest.is_active().wait().is_ok_and(|active| active != 0);
                let since_when = if together { begin } else { since };
                let late = self.settings.timeout.is_some_and(|limit| since_when.elapsed() >= limit);
                match (runs, late) {
                    (false, _) => self.say(&format!("Guest {}: shut down", guest.name())),
                    (true, true) => {
                        self.fail(&format!("Guest {}: did not shut down in time", guest.name()));
                        left.push(guest);
                    }
                    (true, false) => still.push((guest, since)),
                }
            }
            ending = still;
            if ending.is_empty() && waiting.is_empty() {
                return left;
            }
            if !ending.is_empty() {
                thread::sleep(LOOK);
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `libvirt-guests`: shuts guests down or suspends them before the host shuts down, and starts them after it has booted.
//!
//! Verbs, settings, exit statuses and the list of guests between two boots are those of libvirt's script.
#![expect(
    clippy::disallowed_methods,
    reason = "a tool without a runtime, that pauses between starts"
)]

mod settings;
mod stop;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

use uuid::Uuid;
use virtus_client::api::{ConnectListAllDomainsFlags, DomainCreateFlags, DomainSetTimeFlags};
use virtus_client::blocking::Wait;
use virtus_client::{Connection, Domain, Error, ErrorCode, Result};
use virtus_core::store;

use settings::Settings;

/// Runs the tool on the host below `root`; `words` begin with its own name. Answers the exit status.
pub fn run(words: &[String], root: &Path, out: &mut dyn Write) -> u8 {
    let verb = match words {
        [_, verb] => verb.as_str(),
        _ => "",
    };
    let mut tool = match Tool::new(root, out) {
        Ok(tool) => tool,
        Err((text, out)) => {
            // Without a stream the status has to do.
            let _ = writeln!(out, "libvirt-guests: {text}");
            return 6;
        }
    };
    let done = match verb {
        "start" => tool.start(),
        "stop" => tool.stop(),
        "restart" => tool.stop().and_then(|()| tool.start()),
        "condrestart" | "try-restart" if tool.mark.exists() => {
            tool.stop().and_then(|()| tool.start())
        }
        // There is nothing to reload.
        "condrestart" | "try-restart" | "reload" | "force-reload" => Ok(()),
        "shutdown" => {
            tool.settings.on_shutdown = settings::OnShutdown::Shutdown;
            tool.stop()
        }
        "gueststatus" => tool.guests(),
        "status" => return tool.status(),
        _ => {
            let verbs = "start|stop|status|restart|condrestart|try-restart|reload|force-reload|gueststatus|shutdown";
            tool.say(&format!("Usage: libvirt-guests {{{verbs}}}"));
            return if matches!(verb, "--help" | "-h") { 0 } else { 2 };
        }
    };
    if let Err(cause) = done {
        tool.fail(&cause.to_string());
    }
    u8::from(tool.failed)
}

/// The tool at work.
struct Tool<'a> {
    settings: Settings,
    /// The guests that ran at the shutdown: a line for each URI, with their UUIDs.
    list: PathBuf,
    /// There between start and stop.
    mark: PathBuf,
    out: &'a mut dyn Write,
    failed: bool,
}

impl<'a> Tool<'a> {
    fn new(
        root: &Path,
        out: &'a mut dyn Write,
    ) -> std::result::Result<Self, (String, &'a mut dyn Write)> {
        let mut settings = Settings::default();
        for file in ["etc/sysconfig/libvirt-guests", "etc/default/libvirt-guests"] {
            let file = root.join(file);
            let read = match fs::read_to_string(&file) {
                Ok(text) => settings.read(&text),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(cause) => Err(cause.to_string()),
            };
            if let Err(cause) = read {
                return Err((format!("{}: {cause}", file.display()), out));
            }
        }
        Ok(Self {
            settings,
            list: root.join("var/lib/libvirt/libvirt-guests"),
            mark: root.join("run/lock/subsys/libvirt-guests"),
            out,
            failed: false,
        })
    }

    fn say(&mut self, text: &str) {
        // Nobody may be listening; the work is done all the same.
        let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
    }

    fn fail(&mut self, text: &str) {
        self.failed = true;
        self.say(text);
    }

    fn connect(&mut self, uri: &str) -> Option<Connection> {
        let name = if uri == "default" { "" } else { uri };
        match Connection::open(name).wait() {
            Ok(connection) => Some(connection),
            Err(error) => {
                self.say(&format!("Cannot connect to {uri}, which is left out: {error}"));
                None
            }
        }
    }

    /// Starts the guests that ran when the host shut down.
    fn start(&mut self) -> Result<()> {
        let listed = match fs::read_to_string(&self.list) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return self.started(),
            listed => listed.map_err(|cause| unreadable(&self.list, &cause))?,
        };
        if self.settings.start_on_boot {
            for line in listed.lines() {
                let mut words = line.split_whitespace();
                let Some(uri) = words.next() else { continue };
                if self.settings.uris.iter().any(|known| known == uri) {
                    self.start_on(uri, words);
                } else {
                    self.say(&format!("Ignoring guests on {uri} URI"));
                }
            }
        } else {
            self.say("No guest is started: ON_BOOT is not 'start'");
        }
        store::remove(&self.list)?;
        self.started()
    }

    /// Starts those of one URI.
    fn start_on<'u>(&mut self, uri: &str, uuids: impl Iterator<Item = &'u str>) {
        let Some(connection) = self.connect(uri) else { return };
        self.say(&format!("Starting guests on {uri} URI..."));
        let mut first = true;
        for uuid in uuids {
            let found = Uuid::parse_str(uuid).map(|uuid| connection.domain_by_uuid(uuid).wait());
            let Ok(Ok(guest)) = found else {
                self.fail(&format!("There is no guest {uuid} any more"));
                continue;
            };
            if guest.is_active().wait().is_ok_and(|active| active != 0) {
                self.say(&format!("Guest {}: already active", guest.name()));
                continue;
            }
            if !std::mem::take(&mut first) {
                thread::sleep(self.settings.start_delay);
            }
            match self.start_one(&guest) {
                Ok(()) => self.say(&format!("Guest {}: started", guest.name())),
                Err(error) => {
                    self.fail(&format!("Guest {}: {error}", guest.name()));
                    continue;
                }
            }
            if self.settings.sync_time
                && let Err(error) = guest.set_time(0, 0).flags(DomainSetTimeFlags::SYNC).wait()
            {
                self.say(&format!("Guest {}: its clock was not set: {error}", guest.name()));
            }
        }
    }

    fn start_one(&mut self, guest: &Domain) -> Result<()> {
        if self.settings.bypass_cache {
            let flags = DomainCreateFlags::START_BYPASS_CACHE;
            match guest.create_with_flags().flags(flags).wait() {
                // Not every hypervisor can; a guest through the cache is better than none.
                Err(error) if error.code() == ErrorCode::InvalidArg => {}
                done => return done.map(drop),
            }
        }
        guest.create_with_flags().wait().map(drop)
    }

    fn started(&self) -> Result<()> {
        store::write(&self.mark, b"", 0o644)
    }

    /// Says which guests run.
    fn guests(&mut self) -> Result<()> {
        for uri in self.settings.uris.clone() {
            self.say(&format!("* {uri} URI:"));
            let Some(connection) = self.connect(&uri) else {
                self.failed = true;
                continue;
            };
            match connection.domains().flags(ConnectListAllDomainsFlags::ACTIVE).wait() {
                Ok(guests) => {
                    guests.iter().for_each(|guest| self.say(&format!(" - {}", guest.name())))
                }
                Err(error) => self.fail(&error.to_string()),
            }
        }
        Ok(())
    }

    /// Says whether start or stop came last. The exit status is that of init scripts.
    fn status(&mut self) -> u8 {
        let (text, status) = match (self.list.exists(), self.mark.exists()) {
            (true, _) => ("stopped, with saved guests", 3),
            (false, true) => ("started", 0),
            (false, false) => ("stopped, with no saved guests", 3),
        };
        self.say(text);
        status
    }
}

fn unreadable(file: &Path, cause: &io::Error) -> Error {
    Error::system(format!("cannot read '{}'", file.display()), cause)
}

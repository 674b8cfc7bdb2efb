// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The places a line can go to. A place that fails loses the line and nothing else.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use virtus_api::{Error, Result};

use super::time::Stamp;
use super::{Level, Output, Target};

const JOURNAL: &str = "/run/systemd/journal/socket";
const SYSLOG: &str = "/dev/log";
/// The facility "daemon" of syslog, shifted to its place.
const FACILITY: u8 = 3 << 3;

/// What is known of one message.
pub(super) struct Record<'a> {
    pub(super) level: Level,
    /// Module and line; absent for what the log says of itself.
    pub(super) source: Option<(&'a str, u32)>,
    pub(super) file: Option<&'a str>,
    pub(super) text: &'a str,
}

/// An opened output.
pub(super) struct Sink {
    pub(super) level: Level,
    place: Place,
}

enum Place {
    Stderr,
    File(File),
    Syslog { service: Service, name: String },
    Journal { service: Service, ident: String },
}

/// Another program that keeps logs, which may come later than we, or go and come again.
struct Service {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Sink {
    pub(super) fn open(output: &Output, ident: &str) -> Result<Self> {
        let explain = |cause: io::Error| Error::system(format!("cannot log to '{output}'"), &cause);
        let place = match &output.target {
            Target::Stderr => Place::Stderr,
            Target::File(path) => Place::File(append(path).map_err(explain)?),
            Target::Syslog(name) => Place::Syslog {
                service: Service::at(SYSLOG.as_ref()).map_err(explain)?,
                name: name.clone(),
            },
            Target::Journald => Place::Journal {
                service: Service::at(JOURNAL.as_ref()).map_err(explain)?,
                ident: ident.to_owned(),
            },
        };
        Ok(Self { level: output.level, place })
    }

    /// Lines for people start with where they come from; libvirt says these two things first.
    pub(super) fn introduce(&self, hostname: &str) {
        if matches!(self.place, Place::Stderr | Place::File(_)) {
            for text in ["libvirt version: 11.3.0", &format!("hostname: {hostname}")] {
                self.write(&Record { level: Level::Info, source: None, file: None, text });
            }
        }
    }

    pub(super) fn write(&self, record: &Record<'_>) {
        // There is nowhere to report that the report was lost.
        let _lost = match &self.place {
            Place::Stderr => io::stderr().write_all(line(record).as_bytes()),
            Place::File(file) => { file }.write_all(line(record).as_bytes()),
            Place::Syslog { service, name } => {
                let priority = FACILITY | record.level.severity();
                let text = format!("<{priority}>{name}[{}]: {}", std::process::id(), record.text);
                service.send(text.as_bytes())
            }
            Place::Journal { service, ident } => service.send(&journal(record, ident)),
        };
    }
}

impl Service {
    /// Says on standard error if nobody is there, because what is logged until then is lost.
    fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        if !path.exists() {
            let text = format!("what is logged to '{}' is lost until it is there", path.display());
            let stderr = Sink { level: Level::Debug, place: Place::Stderr };
            stderr.write(&Record { level: Level::Warning, source: None, file: None, text: &text });
        }
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Sends a datagram to whoever is there now; drops it rather than wait.
    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send_to(datagram, &self.path).map(drop)
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn line(record: &Record<'_>) -> String {
    let (stamp, thread) = (Stamp::now(), rustix::thread::gettid().as_raw_nonzero());
    let (level, text) = (record.level.name(), record.text);
    match record.source {
        Some((module, line)) => format!("{stamp}: {thread}: {level} : {module}:{line} : {text}\n"),
        None => format!("{stamp}: {thread}: {level} : {text}\n"),
    }
}

/// The journal's own datagram: `NAME=value` lines; a value with line ends carries its length.
fn journal(record: &Record<'_>, ident: &str) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(256 + record.text.len());
    let mut field = |name: &str, value: &str| {
        datagram.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            datagram.push(b'\n');
            datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            datagram.push(b'=');
        }
        datagram.extend_from_slice(value.as_bytes());
        datagram.push(b'\n');
    };
    field("MESSAGE", record.text);
    field("PRIORITY", &record.level.severity().to_string());
    field("SYSLOG_FACILITY", &(FACILITY >> 3).to_string());
    field("SYSLOG_IDENTIFIER", ident);
    field("LIBVIRT_SOURCE", "file");
    if let Some((module, line)) = record.source {
        field("CODE_FUNC", module);
        field("CODE_LINE", &line.to_string());
    }
    if let Some(file) = record.file {
        field("CODE_FILE", file);
    }
    datagram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_gets_lengths_for_text_of_several_lines() {
        let record = Record {
            level: Level::Warning,
            source: Some(("rpc.client", 12)),
            file: None,
            text: "one\ntwo",
        };
        let datagram = journal(&record, "virtqemud");
        assert!(datagram.starts_with(b"MESSAGE\n\x07\0\0\0\0\0\0\0one\ntwo\nPRIORITY=4\n"));
        let rest = String::from_utf8_lossy(&datagram);
        assert!(
            rest.contains("\nSYSLOG_IDENTIFIER=virtqemud\n") && rest.ends_with("CODE_LINE=12\n")
        );
    }
    #[test]
    fn a_service_may_come_late_and_again_and_be_slow() {
        let path = std::env::temp_dir().join(format!("virtus-log-service-{}", std::process::id()));
        let service = Service::at(&path).unwrap();
        for _ in 0..2 {
            assert!(service.send(b"lost").is_err());
            let reader = UnixDatagram::bind(&path).unwrap();
            service.send(b"heard").unwrap();
            let mut heard = [0; 8];
            let length = reader.recv(&mut heard).unwrap();
            assert_eq!(&heard[..length], b"heard");
            // It is never waited for.
            while service.send(b"too much").is_ok() {}
            std::fs::remove_file(&path).unwrap();
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A client of QEMU's monitor protocol: commands in flight side by side, events as they come.
//!
//! ```text
//! execute() --(queue)--> writer task --> socket --> reader task --> the waiting execute()
//!                                                        \--------> Events
//! ```
//!
//! Invariants: every command has a deadline; one that misses it is forgotten, so that its late reply
//! harms nobody and the connection stays usable; a command still queued when its caller gave up is
//! never sent. A reply is bounded in size. When the connection ends, every waiting command is told so
//! and [`Events`] ends.

mod connection;
mod error;
mod lines;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use connection::Shared;
pub use error::CallError;
pub(crate) use lines::Lines;

/// Events wait here for the machine's actor; QEMU limits the rate of those that a guest can cause.
const EVENTS_KEPT: usize = 4096;

/// Something that QEMU reports by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Such as `SHUTDOWN`.
    pub name: String,
    /// Its details; `Null` where it has none.
    pub data: Value,
    /// Seconds since the epoch, by QEMU's clock; -1 where QEMU could not tell.
    pub seconds: i64,
    /// Microseconds beyond `seconds`.
    pub micros: i64,
}

/// The events of one monitor, in their order. Ends when the connection ends.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Event>);

impl Events {
    /// The next event; `None` once the connection has ended.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }

    /// An event that is here already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.0.try_recv().ok()
    }
}

/// QEMU's first words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Greeting {
    /// `major * 1_000_000 + minor * 1_000 + micro`.
    pub version: u32,
    /// What the distribution calls its build.
    pub package: String,
    /// What the protocol can do beyond the basics, such as `oob`.
    pub capabilities: Vec<String>,
}

/// A connection to one QEMU's monitor. Clones share it; it closes with the last one.
#[derive(Debug, Clone)]
pub struct Monitor {
    shared: Arc<Shared>,
    greeting: Arc<Greeting>,
}

impl Monitor {
    /// Connects to the monitor socket at `path` and greets. `subject` names the guest in errors, such
    /// as `domain 'vm1'`.
    ///
    /// # Errors
    /// Where nothing listens at `path`, or QEMU does not greet before the deadline.
    pub async fn connect(
        path: &Path,
        subject: &str,
        deadline: Duration,
    ) -> Result<(Self, Events), CallError> {
        let connected = timeout(deadline, UnixStream::connect(path)).await;
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(cause)) => {
                return Err(CallError::connect(subject, path, &cause));
            }
            Err(_) => return Err(CallError::timeout(subject, "connect", deadline)),
        };
        Self::from_stream(stream, subject, deadline).await
    }

    /// Greets on a stream that is connected already.
    ///
    /// # Errors
    /// Where QEMU does not greet before the deadline, or the other side is no QEMU.
    pub async fn from_stream(
        stream: UnixStream,
        subject: &str,
        deadline: Duration,
    ) -> Result<(Self, Events), CallError> {
        let (events_in, events_out) = mpsc::channel(EVENTS_KEPT);
        let (shared, greeting) = Shared::start(stream, subject.to_owned(), events_in);
        let greeting = match timeout(deadline, greeting).await {
            Ok(Ok(value)) => read_greeting(&value),
            Ok(Err(_)) => return Err(shared.closed_error("qmp_capabilities")),
            Err(_) => return Err(CallError::timeout(subject, "greeting", deadline)),
        };
        let monitor = Self { shared, greeting: Arc::new(greeting) };
        monitor.execute("qmp_capabilities", None, deadline).await?;
        Ok((monitor, Events(events_out)))
    }

    /// What QEMU said of itself.
    #[must_use]
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Runs one command and returns its `return` value.
    ///
    /// # Errors
    /// [`CallError::Refused`] with QEMU's own text, [`CallError::Timeout`], [`CallError::Closed`].
    pub async fn execute(
        &self,
        command: &str,
        arguments: impl Into<Option<Value>>,
        deadline: Duration,
    ) -> Result<Value, CallError> {
        self.execute_with_fds(command, arguments, Vec::new(), deadline).await
    }

    /// Runs one command that carries descriptors (`getfd`, `add-fd`).
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub async fn execute_with_fds(
        &self,
        command: &str,
        arguments: impl Into<Option<Value>>,
        fds: Vec<OwnedFd>,
        deadline: Duration,
    ) -> Result<Value, CallError> {
        let call = self.shared.call(command, arguments.into(), fds);
        match timeout(deadline, call).await {
            Ok(result) => result,
            Err(_) => Err(CallError::timeout(self.shared.subject(), command, deadline)),
        }
    }

    /// Runs commands one behind the other without waiting in between; replies are in the order of the
    /// commands. All of them together have one deadline.
    pub async fn execute_all(
        &self,
        commands: Vec<(&str, Option<Value>)>,
        deadline: Duration,
    ) -> Vec<Result<Value, CallError>> {
        let end = tokio::time::Instant::now() + deadline;
        let calls = commands.into_iter().map(|(command, arguments)| {
            let call = self.shared.call(command, arguments, Vec::new());
            async move {
                match tokio::time::timeout_at(end, call).await {
                    Ok(result) => result,
                    Err(_) => Err(CallError::timeout(self.shared.subject(), command, deadline)),
                }
            }
        });
        futures_util::future::join_all(calls).await
    }

    /// Hands a descriptor to QEMU under `name`, for `fd=name` of later commands.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub async fn send_fd(
        &self,
        name: &str,
        fd: OwnedFd,
        deadline: Duration,
    ) -> Result<(), CallError> {
        let arguments = json!({ "fdname": name });
        self.execute_with_fds("getfd", arguments, vec![fd], deadline).await.map(drop)
    }

    /// Adds a descriptor to a set of QEMU's (a new one without `set`) and returns the set's number.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub async fn add_fd(
        &self,
        set: Option<u32>,
        opaque: &str,
        fd: OwnedFd,
        deadline: Duration,
    ) -> Result<u32, CallError> {
        let mut arguments = Map::new();
        arguments.insert("opaque".into(), opaque.into());
        if let Some(set) = set {
            arguments.insert("fdset-id".into(), set.into());
        }
        let reply =
            self.execute_with_fds("add-fd", Value::Object(arguments), vec![fd], deadline).await?;
        reply["fdset-id"]
            .as_u64()
            .and_then(|id| u32::try_from(id).ok())
            .ok_or_else(|| self.shared.protocol_error("the reply to 'add-fd' lacks a set number"))
    }

    /// Runs a line of the human monitor and returns what it prints.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub async fn human(&self, line: &str, deadline: Duration) -> Result<String, CallError> {
        let arguments = json!({ "command-line": line });
        match self.execute("human-monitor-command", arguments, deadline).await? {
            Value::String(text) => Ok(text),
            _ => Err(self.shared.protocol_error("a human monitor command printed no text")),
        }
    }

    /// Passes a whole command object on as a user wrote it and returns the whole reply, errors
    /// included (`virsh qemu-monitor-command`).
    ///
    /// # Errors
    /// [`CallError::Timeout`], [`CallError::Closed`], [`CallError::Protocol`] where `command` is no
    /// object. What QEMU refuses is in the reply.
    pub async fn pass_through(
        &self,
        command: Value,
        deadline: Duration,
    ) -> Result<Value, CallError> {
        let Value::Object(command) = command else {
            return Err(self.shared.protocol_error("a monitor command must be a JSON object"));
        };
        let name = command.get("execute").and_then(Value::as_str).unwrap_or("?").to_owned();
        match timeout(deadline, self.shared.call_raw(&name, command, Vec::new())).await {
            Ok(result) => result,
            Err(_) => Err(CallError::timeout(self.shared.subject(), &name, deadline)),
        }
    }

    /// Whether the connection still stands.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.shared.is_open()
    }

    /// How many events were dropped because nobody took them.
    #[must_use]
    pub fn events_lost(&self) -> u64 {
        self.shared.events_lost()
    }
}

fn read_greeting(greeting: &Value) -> Greeting {
    let version = &greeting["version"];
    Greeting {
        version: version_number(&version["qemu"]),
        package: version["package"].as_str().unwrap_or_default().to_owned(),
        capabilities: greeting["capabilities"]
            .as_array()
            .map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default(),
    }
}

/// `{"major": 10, "minor": 0, "micro": 2}` as 10_000_002.
pub(crate) fn version_number(qemu: &Value) -> u32 {
    let part = |name: &str| {
        qemu[name]
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or_default()
            .min(999)
    };
    part("major") * 1_000_000 + part("minor") * 1_000 + part("micro")
}

#[cfg(test)]
mod tests;

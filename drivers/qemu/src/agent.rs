// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A client of the agent inside the guest.
//!
//! The agent is the guest's: it may be absent, slow, restarted in the middle of a reply, or hostile. So
//! one command at a time, each preceded by a synchronisation that throws away what is left of earlier
//! ones, each with a deadline, each reply bounded.
//!
//! ```text
//! 0xFF {"execute": "guest-sync-delimited", "arguments": {"id": N}}   ->
//!                                             <-  0xFF {"return": N}
//! {"execute": COMMAND, …}                                            ->
//!                                             <-  {"return": …} or {"error": …}
//! ```

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use crate::qmp::Lines;

/// What a guest may answer at most.
const MAX_REPLY: usize = 16 << 20;
/// How long the agent may take to synchronise, whatever the deadline of the command itself.
const SYNC: Duration = Duration::from_secs(5);
/// The byte that no JSON text contains; it resets the parser on either side.
const MARK: u8 = 0xff;

/// A connection to the agent of one guest.
#[derive(Debug)]
pub struct Agent {
    stream: UnixStream,
    /// Names the guest in errors, such as `domain 'vm1'`.
    subject: String,
    turn: Semaphore,
    /// What has come and was not used; touched only by who has the turn.
    lines: Mutex<Lines>,
    next_sync: AtomicU32,
}

impl Agent {
    /// Connects to QEMU's end of the agent's channel. That it connects says nothing about an agent
    /// being there: only a reply does.
    ///
    /// # Errors
    /// Where nothing listens at `path`.
    pub async fn connect(path: &Path, subject: &str, deadline: Duration) -> Result<Self> {
        let end = Instant::now() + deadline;
        let attempt = || {
            format!(
                "cannot connect to the guest agent channel of {subject} at '{}'",
                path.display()
            )
        };
        match timeout_at(end, UnixStream::connect(path)).await {
            Ok(Ok(stream)) => Ok(Self::from_stream(stream, subject)),
            Ok(Err(cause)) => Err(Error::system(attempt(), &cause).in_domain(ErrorDomain::Qemu)),
            Err(_) => Err(unresponsive(format!("{}: timed out", attempt()))),
        }
    }

    /// Uses a stream that is connected already.
    #[must_use]
    pub fn from_stream(stream: UnixStream, subject: &str) -> Self {
        Self {
            stream,
            subject: subject.to_owned(),
            turn: Semaphore::new(1),
            lines: Mutex::new(Lines::new(MAX_REPLY)),
            next_sync: AtomicU32::new(std::process::id()),
        }
    }

    /// Runs one command and returns its `return` value.
    ///
    /// # Errors
    /// `AgentUnresponsive` where no agent answers, `AgentCommandTimeout` where it answers but the command
    /// takes too long, `AgentCommandFailed` where it refuses.
    pub async fn execute(
        &self,
        command: &str,
        arguments: impl Into<Option<Value>>,
        deadline: Duration,
    ) -> Result<Value> {
        let message = match arguments.into() {
            Some(arguments) => json!({ "execute": command, "arguments": arguments }),
            None => json!({ "execute": command }),
        };
        let reply = self.pass_through(&message, deadline).await?;
        self.take_apart(command, reply)
    }

    /// Runs a command that may never be answered because the guest goes away (`guest-shutdown`,
    /// `guest-suspend-ram`): done when it is answered or when `gone` is, whichever is first.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub async fn execute_until(
        &self,
        command: &str,
        arguments: impl Into<Option<Value>>,
        deadline: Duration,
        gone: impl Future<Output = ()>,
    ) -> Result<()> {
        tokio::select! {
            biased;
            () = gone => Ok(()),
            reply = self.execute(command, arguments, deadline) => reply.map(drop),
        }
    }

    /// Sends a command object as a user wrote it and returns the whole reply, errors included
    /// (`virsh qemu-agent-command`).
    ///
    /// # Errors
    /// As [`Self::execute`], except that what the agent refuses is in the reply.
    pub async fn pass_through(&self, command: &Value, deadline: Duration) -> Result<Value> {
        let name = command["execute"].as_str().unwrap_or("?").to_owned();
        let end = Instant::now() + deadline;
        let _turn = match timeout_at(end, self.turn.acquire()).await {
            Ok(turn) => turn,
            Err(_) => return Err(self.timed_out(&name, deadline, "another command is running")),
        };
        let synced = timeout_at((Instant::now() + SYNC).min(end), self.synchronise()).await;
        match synced {
            Ok(result) => result?,
            Err(_) => {
                return Err(unresponsive(format!(
                    "guest agent of {} is not responding: it did not answer within {:.0} s",
                    self.subject,
                    SYNC.min(deadline).as_secs_f64()
                ))
                .hint("see in the guest that qemu-guest-agent is installed and running"));
            }
        }
        let exchange = async {
            self.write(format!("{command}\n").as_bytes()).await?;
            self.read_reply().await
        };
        match timeout_at(end, exchange).await {
            Ok(reply) => reply,
            Err(_) => Err(self.timed_out(&name, deadline, "the agent is still busy with it")),
        }
    }

    fn take_apart(&self, command: &str, mut reply: Value) -> Result<Value> {
        if let Some(value) = reply.get_mut("return") {
            return Ok(value.take());
        }
        let error = &reply["error"];
        let desc = error["desc"].as_str().unwrap_or("unknown cause");
        let text = format!("unable to execute QEMU agent command '{command}': {desc}");
        let failed = if error["class"] == "CommandNotFound" || error["class"] == "CommandDisabled" {
            Error::new(ErrorCode::OperationUnsupported, text).hint(
                "the agent in the guest is too old, or its configuration forbids this command",
            )
        } else {
            Error::new(ErrorCode::AgentCommandFailed, text).context(&self.subject)
        };
        Err(failed.in_domain(ErrorDomain::Qemu))
    }

    /// Throws away what is left of earlier commands; done when the agent echoes our number.
    async fn synchronise(&self) -> Result<()> {
        let id = self.next_sync.fetch_add(1, Ordering::Relaxed);
        self.lines(Lines::clear);
        let mut message = vec![MARK];
        let sync = json!({ "execute": "guest-sync-delimited", "arguments": { "id": id } });
        message.extend_from_slice(format!("{sync}\n").as_bytes());
        self.write(&message).await?;
        loop {
            while !self.lines(|lines| lines.skip_past(MARK)) {
                // What stands before the mark is of no use: do not let it pile up.
                self.lines(Lines::clear);
                self.read_more().await?;
            }
            let line = self.read_line().await?;
            if serde_json::from_slice::<Value>(&line).is_ok_and(|reply| reply["return"] == id) {
                return Ok(());
            }
        }
    }

    async fn read_reply(&self) -> Result<Value> {
        let line = self.read_line().await?;
        serde_json::from_slice::<Value>(&line).ok().filter(Value::is_object).ok_or_else(|| {
            unresponsive(format!("guest agent of {} sent a reply that is no JSON", self.subject))
        })
    }

    async fn read_line(&self) -> Result<Vec<u8>> {
        loop {
            match self.lines(Lines::next) {
                Some(line) if line.iter().all(u8::is_ascii_whitespace) => {}
                Some(line) => return Ok(line),
                None => self.read_more().await?,
            }
        }
    }

    async fn read_more(&self) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            self.stream.readable().await.map_err(|cause| self.gone(&cause.to_string()))?;
            let count = match self.stream.try_read(&mut buffer) {
                Ok(0) => return Err(self.gone("the channel was closed")),
                Ok(count) => count,
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => continue,
                Err(cause) => return Err(self.gone(&cause.to_string())),
            };
            return self.lines(|lines| lines.push(&buffer[..count])).map_err(|_| {
                self.lines(Lines::clear);
                self.gone(&format!("its reply is larger than {MAX_REPLY} bytes"))
            });
        }
    }

    async fn write(&self, bytes: &[u8]) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            self.stream.writable().await.map_err(|cause| self.gone(&cause.to_string()))?;
            match self.stream.try_write(&bytes[done..]) {
                Ok(count) => done += count,
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                Err(cause) => return Err(self.gone(&cause.to_string())),
            }
        }
        Ok(())
    }

    fn lines<T>(&self, act: impl FnOnce(&mut Lines) -> T) -> T {
        act(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn gone(&self, cause: &str) -> Error {
        unresponsive(format!("guest agent of {} is not available: {cause}", self.subject))
    }

    fn timed_out(&self, command: &str, deadline: Duration, why: &str) -> Error {
        let text = format!(
            "guest agent of {} did not finish '{command}' within {:.1} s: {why}",
            self.subject,
            deadline.as_secs_f64()
        );
        Error::new(ErrorCode::AgentCommandTimeout, text).in_domain(ErrorDomain::Qemu)
    }
}

fn unresponsive(text: String) -> Error {
    Error::new(ErrorCode::AgentUnresponsive, text).in_domain(ErrorDomain::Qemu)
}

#[cfg(test)]
mod tests;

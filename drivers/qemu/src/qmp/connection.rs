// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The two tasks behind a [`Monitor`](super::Monitor) and what they share with callers.
//!
//! Invariant: the lock is held for a few instructions only, never across an await.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Map, Value};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{CallError, Event, Lines};

/// Larger than any reply of a real QEMU; a schema is about 1 MB.
const MAX_REPLY: usize = 64 << 20;
/// Commands that wait to be written; more callers than this wait for room, each with its deadline.
const QUEUE: usize = 64;
/// What Linux takes in one message.
const MAX_FDS: usize = 32;

struct Outgoing {
    id: u64,
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

/// What the tasks and the callers share.
#[derive(Debug)]
pub(super) struct Shared {
    subject: String,
    queue: mpsc::Sender<Outgoing>,
    state: Arc<State>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug, Default)]
struct State {
    next_id: AtomicU64,
    open: AtomicBool,
    events_lost: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By id, so that the first entry is the oldest.
    replies: BTreeMap<u64, oneshot::Sender<Map<String, Value>>>,
    /// Why the connection ended.
    end: Option<String>,
}

impl State {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, cause: &str) {
        self.open.store(false, Ordering::Release);
        let mut waiting = self.waiting();
        waiting.end.get_or_insert_with(|| cause.to_owned());
        waiting.replies.clear();
    }
}

/// Forgets a command whose caller has gone.
struct Forget {
    state: Weak<State>,
    id: u64,
}

impl Drop for Forget {
    fn drop(&mut self) {
        if let Some(state) = self.state.upgrade() {
            state.waiting().replies.remove(&self.id);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    /// Starts the tasks. The receiver gets the greeting.
    pub(super) fn start(
        stream: UnixStream,
        subject: String,
        events: mpsc::Sender<Event>,
    ) -> (Arc<Self>, oneshot::Receiver<Value>) {
        let stream = Arc::new(stream);
        let state = Arc::new(State { open: AtomicBool::new(true), ..State::default() });
        let (queue, queued) = mpsc::channel(QUEUE);
        let (greeting, greeted) = oneshot::channel();
        let reader = Reader {
            stream: Arc::clone(&stream),
            state: Arc::clone(&state),
            events,
            greeting: Some(greeting),
        };
        let tasks = [
            tokio::spawn(reader.run()),
            tokio::spawn(write_all(stream, queued, Arc::clone(&state))),
        ];
        (Arc::new(Self { subject, queue, state, tasks }), greeted)
    }

    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.open.load(Ordering::Acquire)
    }

    pub(super) fn events_lost(&self) -> u64 {
        self.state.events_lost.load(Ordering::Relaxed)
    }

    pub(super) fn closed_error(&self, command: &str) -> CallError {
        let cause = self.state.waiting().end.clone();
        CallError::Closed {
            subject: self.subject.clone(),
            command: command.to_owned(),
            cause: cause.unwrap_or_else(|| "the monitor is closed".to_owned()),
        }
    }

    pub(super) fn protocol_error(&self, cause: &str) -> CallError {
        CallError::Protocol { subject: self.subject.clone(), cause: cause.to_owned() }
    }

    /// Runs a command and takes its reply apart. Dropping the future forgets the command.
    pub(super) async fn call(
        &self,
        command: &str,
        arguments: Option<Value>,
        fds: Vec<OwnedFd>,
    ) -> Result<Value, CallError> {
        let mut message = Map::new();
        message.insert("execute".into(), command.into());
        if let Some(arguments) = arguments {
            message.insert("arguments".into(), arguments);
        }
        let Value::Object(mut reply) = self.call_raw(command, message, fds).await? else {
            return Err(self.protocol_error("a reply is no object"));
        };
        if let Some(value) = reply.remove("return") {
            return Ok(value);
        }
        let error = reply.remove("error").unwrap_or_default();
        let word = |name: &str| error[name].as_str().unwrap_or("unknown").to_owned();
        Err(CallError::Refused {
            command: command.to_owned(),
            class: word("class"),
            desc: word("desc"),
        })
    }

    /// Runs a command object; the reply is whole, its `id` being the caller's own.
    pub(super) async fn call_raw(
        &self,
        command: &str,
        mut message: Map<String, Value>,
        fds: Vec<OwnedFd>,
    ) -> Result<Value, CallError> {
        if fds.len() > MAX_FDS {
            return Err(self.protocol_error("too many descriptors for one command"));
        }
        let id = self.state.next_id.fetch_add(1, Ordering::Relaxed) + 1;
        let own_id = message.insert("id".into(), id.into());
        let mut bytes = serde_json::to_vec(&message)
            .map_err(|e| self.protocol_error(&format!("cannot encode '{command}': {e}")))?;
        bytes.extend_from_slice(b"\r\n");
        tracing::trace!(subject = self.subject, command, id, "monitor command");

        let (reply_in, reply_out) = oneshot::channel();
        let registered = {
            let mut waiting = self.state.waiting();
            if waiting.end.is_none() {
                waiting.replies.insert(id, reply_in);
            }
            waiting.end.is_none()
        };
        if !registered {
            return Err(self.closed_error(command));
        }
        let _forget = Forget { state: Arc::downgrade(&self.state), id };
        if self.queue.send(Outgoing { id, bytes, fds }).await.is_err() {
            return Err(self.closed_error(command));
        }
        let mut reply = reply_out.await.map_err(|_| self.closed_error(command))?;
        reply.remove("id");
        if let Some(own_id) = own_id {
            reply.insert("id".into(), own_id);
        }
        Ok(Value::Object(reply))
    }
}

struct Reader {
    stream: Arc<UnixStream>,
    state: Arc<State>,
    events: mpsc::Sender<Event>,
    greeting: Option<oneshot::Sender<Value>>,
}

impl Reader {
    async fn run(mut self) {
        let cause = self.read_all().await;
        tracing::debug!(cause, "monitor closed");
        self.state.close(&cause);
    }

    /// Reads until the connection ends, and says why it did.
    async fn read_all(&mut self) -> String {
        let mut lines = Lines::new(MAX_REPLY);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Err(cause) = self.stream.readable().await {
                return format!("cannot read from the monitor: {cause}");
            }
            let count = match self.stream.try_read(&mut buffer) {
                Ok(0) => return "QEMU closed the monitor".to_owned(),
                Ok(count) => count,
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => continue,
                Err(cause) => return format!("cannot read from the monitor: {cause}"),
            };
            if lines.push(&buffer[..count]).is_err() {
                return format!("QEMU sent more than {MAX_REPLY} bytes in one line");
            }
            while let Some(line) = lines.next() {
                if let Err(cause) = self.take(&line) {
                    return cause;
                }
            }
        }
    }

    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let mut message: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|cause| format!("QEMU sent what is no JSON object: {cause}"))?;
        if let Some(greeting) = message.remove("QMP") {
            if let Some(waiting) = self.greeting.take() {
                // Who connects may have given up already.
                let _ = waiting.send(greeting);
            }
        } else if message.contains_key("event") {
            self.event(message);
        } else if message.contains_key("return") || message.contains_key("error") {
            self.reply(message);
        } else {
            return Err("QEMU sent an object that is neither reply nor event".to_owned());
        }
        Ok(())
    }

    fn reply(&self, message: Map<String, Value>) {
        let id = message.get("id").and_then(Value::as_u64);
        let mut waiting = self.state.waiting();
        let sender = match id {
            Some(id) => waiting.replies.remove(&id),
            // A command that QEMU cannot parse is answered without an id: it was the oldest one.
            None => waiting.replies.pop_first().map(|(_, sender)| sender),
        };
        drop(waiting);
        match sender {
            Some(sender) => drop(sender.send(message)),
            None => tracing::debug!(id, "late reply to a command that nobody waits for"),
        }
    }

    fn event(&self, mut message: Map<String, Value>) {
        let stamp = message.remove("timestamp").unwrap_or_default();
        let event = Event {
            name: message["event"].as_str().unwrap_or_default().to_owned(),
            data: message.remove("data").unwrap_or_default(),
            seconds: stamp["seconds"].as_i64().unwrap_or(-1),
            micros: stamp["microseconds"].as_i64().unwrap_or(0),
        };
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            let lost = self.state.events_lost.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::warn!(event = event.name, lost, "monitor event dropped: nobody takes them");
        }
    }
}

async fn write_all(
    stream: Arc<UnixStream>,
    mut queue: mpsc::Receiver<Outgoing>,
    state: Arc<State>,
) {
    while let Some(message) = queue.recv().await {
        if !state.waiting().replies.contains_key(&message.id) {
            continue;
        }
        if let Err(cause) = write_message(&stream, &message).await {
            tracing::debug!(%cause, "cannot write to the monitor");
            state.close(&format!("cannot write to the monitor: {cause}"));
            return;
        }
    }
}

async fn write_message(stream: &UnixStream, message: &Outgoing) -> io::Result<()> {
    let fds: Vec<BorrowedFd<'_>> = message.fds.iter().map(AsFd::as_fd).collect();
    let mut done = 0;
    while done < message.bytes.len() {
        // Descriptors travel with the first byte only.
        let fds = if done == 0 { fds.as_slice() } else { &[] };
        let rest = &message.bytes[done..];
        done += stream.async_io(Interest::WRITABLE, || send(stream, rest, fds)).await?;
    }
    Ok(())
}

fn send(stream: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    Ok(sendmsg(stream, &[IoSlice::new(bytes)], &mut control, flags)?)
}

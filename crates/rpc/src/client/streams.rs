// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The open streams of one client, and the frames that are theirs.
//!
//! ```text
//!            driver finishes                client sends OK
//!  running ──────────────────▶ draining ───────────────────▶ confirmed with OK
//!     │   (empty CONTINUE out)                                      ▲
//!     ├── client sends OK: an upload waits for the driver's finish ─┘ others are done at once
//!     ├── client sends ERROR ─▶ confirmed with OK, driver's end is dropped
//!     └── driver fails or lets go ─▶ ERROR out, nothing follows
//! ```
//! Each stream has a task that moves packets both ways at once, so a console whose guest does not
//! read still prints. What the client sends is counted against one window for all its streams;
//! beyond it the client is not read. Packets for a stream that is no more are dropped, and those that come before the
//! call that opens theirs is answered.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use virtus_api::{StreamHole, StreamKind};
use virtus_core::stream::{Buffers, Packet, Receiver, Sender, Stream};
use virtus_wire::frame::{
    Header, MessageKind, STREAM_CHUNK, Status, decode_hole, encode_frame, encode_head, encode_hole,
};

use super::outbox::{Outbox, Outgoing};
use super::{End, send, send_error};
use crate::errors;

/// Streams that one client may have open.
pub(super) const MAX_STREAMS: usize = 64;

/// Stream data of one client that drivers have not taken yet, in KiB.
const WINDOW: u32 = 1024;

pub(super) struct Streams {
    open: HashMap<u32, Entry>,
    window: Budget,
    outbox: Arc<Outbox>,
    /// Memory of large frames; given back when a stream ends.
    spare: Arc<Mutex<Buffers>>,
    /// The share of the window that the next packet waits for.
    stalled: Option<u32>,
}

/// The window; clones are the same one.
#[derive(Clone)]
pub(super) struct Budget(Arc<Semaphore>);

impl Budget {
    /// Resolves when so much of the window is free.
    pub(super) async fn available(&self, share: u32) {
        // Never closed; the permits go back at once.
        let _free = self.0.acquire_many(share).await;
    }
}

struct Entry {
    header: Header,
    kind: StreamKind,
    sparse: bool,
    /// The client has said that nothing more comes.
    finished: bool,
    inbox: mpsc::UnboundedSender<Inbound>,
    /// Sent: end with a confirmation. Dropped: end without a word.
    abort: Option<oneshot::Sender<()>>,
}

/// A packet from the client, and its share of the window.
struct Inbound {
    packet: Packet,
    _share: Option<OwnedSemaphorePermit>,
}

impl Streams {
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        let window = Budget(Arc::new(Semaphore::new(WINDOW as usize)));
        Self { open: HashMap::new(), window, outbox, spare: Arc::default(), stalled: None }
    }

    pub(super) fn budget(&self) -> Budget {
        self.window.clone()
    }

    /// The share of the window that a packet waits for, if one does.
    pub(super) fn stalled(&self) -> Option<u32> {
        self.stalled
    }

    pub(super) fn resume(&mut self) {
        self.stalled = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn may_open(&mut self) -> bool {
        self.open.retain(|_, entry| !entry.inbox.is_closed());
        self.open.len() < MAX_STREAMS
    }

    /// Begins to move packets of `stream`, which the call in `header` has opened.
    pub(super) fn open(&mut self, header: Header, kind: StreamKind, sparse: bool, stream: Stream) {
        let (inbox, packets) = mpsc::unbounded_channel();
        let (abort, aborted) = oneshot::channel();
        let entry = Entry { header, kind, sparse, finished: false, inbox, abort: Some(abort) };
        self.open.insert(header.serial, entry);
        let (outbox, spare) = (self.outbox.clone(), self.spare.clone());
        tokio::spawn(async move {
            run(outbox, header, kind, stream, packets, aborted).await;
            lock(&spare).clear();
        });
    }

    /// Memory for a frame of `size` bytes, full of old content or zeroes.
    pub(super) fn memory(&self, size: usize) -> Vec<u8> {
        let mut memory = lock(&self.spare).take().map_or_else(Vec::new, Vec::from);
        memory.reserve_exact(size.saturating_sub(memory.len()));
        memory.resize(size, 0);
        memory
    }

    /// Takes memory back that was not needed after all.
    pub(super) fn keep_unused(&self, memory: Vec<u8>) {
        lock(&self.spare).put_back(memory.into());
    }

    /// Uses the memory of a frame again, as long as more like it may come.
    pub(super) fn keep_memory(&self, header: &Header, frame: &Bytes) {
        if self.open.get(&header.serial).is_some_and(|entry| !entry.inbox.is_closed()) {
            lock(&self.spare).keep(frame);
        }
    }

    pub(super) fn abort_all(&mut self) {
        self.open.clear();
    }

    /// Hands a packet to its stream. `false`: the window is full, the packet stays for later.
    pub(super) fn packet(&mut self, header: Header, body: Bytes) -> Result<bool, End> {
        let Some(entry) = self.open.get_mut(&header.serial).filter(|entry| {
            !entry.inbox.is_closed()
                && entry.header.program == header.program
                && entry.header.procedure == header.procedure
        }) else {
            self.open.remove(&header.serial);
            return Ok(true);
        };
        let length = body.len();
        let packet = match (header.kind, header.status) {
            (_, Status::Error) => {
                let entry = self.open.remove(&header.serial);
                if let Some(abort) = entry.and_then(|entry| entry.abort) {
                    // A stream that has just ended by itself needs no abort.
                    let _ended = abort.send(());
                }
                return Ok(true);
            }
            _ if entry.finished => return Ok(true),
            (MessageKind::StreamHole, _) => {
                let hole = decode_hole(&body).ok().and_then(|hole| hole.length.try_into().ok());
                match hole.filter(|_| entry.sparse) {
                    Some(length) => Packet::Hole(length),
                    None => return Err(End::StrayHole),
                }
            }
            (_, Status::Ok) => Packet::Finish,
            (_, Status::Continue) if body.is_empty() => return Ok(true),
            (_, Status::Continue) => Packet::Data(body),
        };
        let share = match &packet {
            Packet::Finish => {
                entry.finished = true;
                None
            }
            _ if entry.kind == StreamKind::Out => {
                let error = errors::stream_one_way();
                send_error(&self.outbox, &entry.header, MessageKind::Stream, &error);
                self.open.remove(&header.serial);
                return Ok(true);
            }
            _ => match self.window.0.clone().try_acquire_many_owned(cost(length)) {
                Ok(share) => Some(share),
                Err(_) => {
                    self.stalled = Some(cost(length));
                    return Ok(false);
                }
            },
        };
        // A stream that ended between the check and here drops it, as it should.
        let _ended = entry.inbox.send(Inbound { packet, _share: share });
        Ok(true)
    }
}

fn lock(spare: &Mutex<Buffers>) -> MutexGuard<'_, Buffers> {
    spare.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The share of the window that a body takes.
fn cost(length: usize) -> u32 {
    u32::try_from(length / 1024 + 1).unwrap_or(WINDOW).min(WINDOW)
}

/// How the driver's side of a stream ended.
enum Down {
    Finished,
    Failed,
}

async fn run(
    outbox: Arc<Outbox>,
    header: Header,
    kind: StreamKind,
    stream: Stream,
    packets: mpsc::UnboundedReceiver<Inbound>,
    aborted: oneshot::Receiver<()>,
) {
    tokio::select! {
        biased;
        confirm = aborted => if confirm.is_ok() {
            confirm_end(&outbox, &header);
        },
        () = both_ways(&outbox, &header, kind, stream, packets) => {}
    }
}

fn confirm_end(outbox: &Outbox, header: &Header) {
    send(outbox, &header.answer(MessageKind::Stream, Status::Ok), &[]);
}

async fn both_ways(
    outbox: &Outbox,
    header: &Header,
    kind: StreamKind,
    stream: Stream,
    packets: mpsc::UnboundedReceiver<Inbound>,
) {
    let mut down = pin!(down(outbox, header, stream.receiver));
    let mut up = pin!(up(stream.sender, packets));
    let (mut driver_done, mut client_done) = (false, false);
    let upload = kind == StreamKind::In;
    loop {
        tokio::select! {
            end = &mut down, if !driver_done => match end {
                Down::Failed => return,
                Down::Finished => {
                    driver_done = true;
                    if !upload {
                        send(outbox, &header.answer(MessageKind::Stream, Status::Continue), &[]);
                    }
                }
            },
            () = &mut up, if !client_done => client_done = true,
        }
        if client_done && (driver_done || !upload) {
            return confirm_end(outbox, header);
        }
    }
}

/// From the client to the driver, until the client has finished.
async fn up(sender: Sender, mut packets: mpsc::UnboundedReceiver<Inbound>) {
    while let Some(inbound) = packets.recv().await {
        let finish = matches!(inbound.packet, Packet::Finish);
        // A driver that is gone says why on the other way.
        let _gone = sender.send(inbound.packet).await;
        if finish {
            return;
        }
    }
    // The client is gone; the task is about to be dropped.
    std::future::pending::<()>().await;
}

/// From the driver to the client, until the driver has finished.
async fn down(outbox: &Outbox, header: &Header, mut receiver: Receiver) -> Down {
    loop {
        match receiver.recv().await {
            Packet::Data(mut data) => {
                while !data.is_empty() {
                    if !outbox.room().await {
                        return Down::Failed;
                    }
                    send_data(outbox, header, data.split_to(data.len().min(STREAM_CHUNK)));
                }
            }
            Packet::Hole(length) => {
                if !outbox.room().await {
                    return Down::Failed;
                }
                send_hole(outbox, header, length);
            }
            Packet::Finish => return Down::Finished,
            Packet::Abort(error) => {
                let error = error.unwrap_or_else(errors::stream_broken);
                send_error(outbox, header, MessageKind::Stream, &error);
                return Down::Failed;
            }
        }
    }
}

fn send_data(outbox: &Outbox, header: &Header, body: Bytes) {
    let header = header.answer(MessageKind::Stream, Status::Continue);
    let mut bytes = Vec::new();
    // A chunk always fits into a frame.
    if encode_head(&header, body.len(), &mut bytes).is_ok() {
        outbox.push(Outgoing::with_body(bytes, body));
    }
}

fn send_hole(outbox: &Outbox, header: &Header, length: u64) {
    let hole = StreamHole { length: i64::try_from(length).unwrap_or(i64::MAX), flags: 0 };
    let header = header.answer(MessageKind::StreamHole, Status::Continue);
    let mut bytes = Vec::new();
    // A hole always fits into a frame.
    if encode_frame(&header, 0, &mut bytes, |out| encode_hole(&hole, out)).is_ok() {
        outbox.push(Outgoing::frame(bytes));
    }
}

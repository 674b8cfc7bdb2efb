// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The streams of a connection to a daemon: packets between the task and whoever uses the stream.
//!
//! Each stream has a task that moves packets both ways at once. What has come and is not taken yet
//! counts against one window for all streams; while a packet waits for room in it, the daemon is not
//! read.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;
use virtus_api::Error;
use virtus_core::stream::{Packet, Receiver, Sender, Stream};

use super::Order;

/// Stream data that has come and is not taken, in KiB.
const WINDOW: u32 = 4096;

pub(super) struct Streams {
    open: HashMap<u32, Moving>,
    window: Window,
    /// The packet that waits for room.
    held: Option<(u32, Packet)>,
    orders: mpsc::WeakSender<Order>,
}

/// The room for stream data; clones are the same one.
#[derive(Clone)]
pub(super) struct Window(Arc<Semaphore>);

/// The two ways of a stream.
struct Moving {
    inbox: mpsc::UnboundedSender<Inbound>,
    up: AbortHandle,
}

impl Moving {
    /// The stream has ended badly: who sends learns that, who receives learns why.
    fn abort(self, packet: Packet) {
        let _gone = self.inbox.send(Inbound { packet, _share: None });
        self.up.abort();
    }
}

/// A packet from the daemon, and its share of the window.
struct Inbound {
    packet: Packet,
    _share: Option<OwnedSemaphorePermit>,
}

impl Window {
    /// Resolves when so much of it is free.
    pub(super) async fn available(&self, share: u32) {
        // Never closed; the permits go back at once.
        let _free = self.0.acquire_many(share).await;
    }
}

impl Streams {
    pub(super) fn new(orders: mpsc::WeakSender<Order>) -> Self {
        let window = Window(Arc::new(Semaphore::new(WINDOW as usize)));
        Self { open: HashMap::new(), window, held: None, orders }
    }

    pub(super) fn window(&self) -> Window {
        self.window.clone()
    }

    /// The share of the window that a packet waits for, if one does.
    pub(super) fn stalled(&self) -> Option<u32> {
        self.held.as_ref().map(|(_, packet)| cost(packet))
    }

    /// Begins to move packets of `stream`, which the call of this serial opens.
    pub(super) fn open(&mut self, serial: u32, stream: Stream) {
        self.open.retain(|_, moving| !moving.inbox.is_closed());
        // Whoever has made the call holds a sender; without one there is nobody to serve.
        let Some(orders) = self.orders.upgrade() else { return };
        let (inbox, packets) = mpsc::unbounded_channel();
        let Stream { sender, receiver } = stream;
        tokio::spawn(down(sender, packets));
        let up = tokio::spawn(up(serial, receiver, orders)).abort_handle();
        self.open.insert(serial, Moving { inbox, up });
    }

    /// The call was refused.
    pub(super) fn forget(&mut self, serial: u32) {
        self.open.remove(&serial);
    }

    /// Hands a packet to its stream, or holds it until there is room.
    pub(super) fn packet(&mut self, serial: u32, packet: Packet) {
        if matches!(packet, Packet::Abort(_)) {
            if let Some(moving) = self.open.remove(&serial) {
                moving.abort(packet);
            }
            return;
        }
        let Some(Moving { inbox, .. }) = self.open.get(&serial) else { return };
        let share = match cost(&packet) {
            0 => None,
            cost => match self.window.0.clone().try_acquire_many_owned(cost) {
                Ok(share) => Some(share),
                Err(_) => {
                    self.held = Some((serial, packet));
                    return;
                }
            },
        };
        // A stream whose user is gone drops it, as it should.
        let _gone = inbox.send(Inbound { packet, _share: share });
    }

    /// Tries the held packet again; whether none is held any more.
    pub(super) fn resume(&mut self) -> bool {
        if let Some((serial, packet)) = self.held.take() {
            self.packet(serial, packet);
        }
        self.held.is_none()
    }

    /// The connection is over.
    pub(super) fn fail_all(&mut self, reason: &Error) {
        for (_, moving) in self.open.drain() {
            moving.abort(Packet::Abort(Some(reason.clone())));
        }
    }
}

/// The share of the window that a packet takes.
fn cost(packet: &Packet) -> u32 {
    match packet {
        Packet::Data(data) => u32::try_from(data.len() / 1024 + 1).unwrap_or(WINDOW).min(WINDOW),
        Packet::Hole(_) => 1,
        Packet::Finish | Packet::Abort(_) => 0,
    }
}

/// From the daemon to the user of the stream.
async fn down(sender: Sender, mut packets: mpsc::UnboundedReceiver<Inbound>) {
    while let Some(inbound) = packets.recv().await {
        // Once the user is gone the rest is dropped, so that others have the window.
        let _gone = sender.send(inbound.packet).await;
    }
}

/// From the user of the stream to the daemon, until the user has ended it.
async fn up(serial: u32, mut receiver: Receiver, orders: mpsc::Sender<Order>) {
    loop {
        let packet = receiver.recv().await;
        let end = matches!(packet, Packet::Finish | Packet::Abort(_));
        if orders.send(Order::Packet { serial, packet }).await.is_err() || end {
            return;
        }
    }
}

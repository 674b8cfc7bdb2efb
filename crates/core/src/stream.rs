// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Data streams between a client and a driver (console, upload, download, screenshot).
//!
//! A stream is a pair of bounded queues. Whoever is slow makes the other side wait, end to end;
//! nothing grows. Dropping an end without [`Stream::finish`] or [`Stream::fail`] aborts it.

mod buffers;
pub mod file;

pub use buffers::Buffers;

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;
use virtus_api::Error;

/// Packets a queue holds before its sender waits: few enough that large ones are still in the processor's cache.
const QUEUE: usize = 4;

/// What travels on a stream, in either direction.
#[derive(Debug)]
pub enum Packet {
    /// Bytes.
    Data(Bytes),
    /// A run of zeroes (bytes) that is not sent; only on streams opened as sparse.
    Hole(u64),
    /// The sender has nothing more; the stream ended well.
    Finish,
    /// The stream ended badly; a driver says why, a client does not.
    Abort(Option<Error>),
}

/// One end of a stream.
#[derive(Debug)]
pub struct Stream {
    /// The sending half.
    pub sender: Sender,
    /// The receiving half.
    pub receiver: Receiver,
}

/// The sending half of a stream's end.
#[derive(Debug, Clone)]
pub struct Sender(mpsc::Sender<Packet>);

/// The receiving half of a stream's end.
#[derive(Debug)]
pub struct Receiver(mpsc::Receiver<Packet>);

/// The other end is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// A new stream: the driver's end and the transport's end.
#[must_use]
pub fn pair() -> (Stream, Stream) {
    let (left_tx, right_rx) = mpsc::channel(QUEUE);
    let (right_tx, left_rx) = mpsc::channel(QUEUE);
    (
        Stream { sender: Sender(left_tx), receiver: Receiver(left_rx) },
        Stream { sender: Sender(right_tx), receiver: Receiver(right_rx) },
    )
}

impl Sender {
    /// Queues a packet; waits while the other end is behind.
    pub async fn send(&self, packet: Packet) -> Result<(), Gone> {
        self.0.send(packet).await.map_err(|_| Gone)
    }

    /// Ends the stream well.
    pub async fn finish(&self) {
        // A peer that is gone needs no end mark.
        let _gone = self.send(Packet::Finish).await;
    }

    /// Ends the stream with an error for the client.
    pub async fn fail(&self, error: Error) {
        let _gone = self.send(Packet::Abort(Some(error))).await;
    }

    /// Whether the other end is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Resolves when the other end is gone.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

impl Receiver {
    /// The next packet; an end that was dropped reads as an abort.
    pub async fn recv(&mut self) -> Packet {
        self.0.recv().await.unwrap_or(Packet::Abort(None))
    }

    /// [`Receiver::recv`] for those who poll.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Packet> {
        self.0.poll_recv(context).map(|packet| packet.unwrap_or(Packet::Abort(None)))
    }

    /// The next packet if it is there already.
    pub fn try_recv(&mut self) -> Option<Packet> {
        self.0.try_recv().ok()
    }

    /// The next packet if it comes within `limit`. Blocks the thread.
    pub fn recv_blocking(&mut self, limit: Duration) -> Option<Packet> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let end = Instant::now() + limit;
        loop {
            if let Poll::Ready(packet) = self.poll_recv(&mut Context::from_waker(&waker)) {
                return Some(packet);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::park_timeout(left);
        }
    }
}

/// Wakes a thread that waits by parking.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Stream {
    /// Ends the stream well.
    pub async fn finish(self) {
        self.sender.finish().await;
    }

    /// Ends the stream with an error for the client.
    pub async fn fail(self, error: Error) {
        self.sender.fail(error).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_end_reads_as_an_abort() {
        let (driver, mut client) = pair();
        driver.sender.send(Packet::Data(Bytes::from_static(b"x"))).await.unwrap();
        drop(driver);
        assert!(matches!(client.receiver.recv().await, Packet::Data(_)));
        assert!(matches!(client.receiver.recv().await, Packet::Abort(None)));
        assert_eq!(client.sender.send(Packet::Finish).await, Err(Gone));
    }

    #[tokio::test]
    async fn a_thread_waits_as_long_as_it_likes() {
        let (driver, mut client) = pair();
        let (say, said) = tokio::sync::oneshot::channel();
        let thread = tokio::task::spawn_blocking(move || {
            assert!(client.receiver.recv_blocking(Duration::from_millis(1)).is_none());
            say.send(()).unwrap();
            [(); 2].map(|()| client.receiver.recv_blocking(Duration::from_secs(600)))
        });
        said.await.unwrap();
        driver.sender.send(Packet::Hole(1)).await.unwrap();
        drop(driver);
        let came = thread.await.unwrap();
        assert!(matches!(came, [Some(Packet::Hole(1)), Some(Packet::Abort(None))]));
    }

    #[tokio::test]
    async fn a_full_queue_makes_the_sender_wait() {
        let (driver, mut client) = pair();
        for _ in 0..QUEUE {
            driver.sender.send(Packet::Hole(1)).await.unwrap();
        }
        let ninth = driver.sender.send(Packet::Hole(1));
        tokio::pin!(ninth);
        let waited = tokio::time::timeout(Duration::ZERO, ninth.as_mut()).await;
        assert!(waited.is_err());
        client.receiver.recv().await;
        ninth.await.unwrap();
    }
}

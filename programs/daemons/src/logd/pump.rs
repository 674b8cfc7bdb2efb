// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One open log: what a guest writes into a pipe goes into its file.
//!
//! A task of its own reads the pipe and lets the blocking pool write, one piece at a time, so that a disk that is slow
//! or stuck holds up its own guest and nobody else. What a disk refuses (it is full) is lost, and said once: a guest
//! must not stop because of its log.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::buffer::spare_capacity;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tracing::{info, warn};
use virtus_api::{Error, LogFilePosition, Result};

use super::rotating::Rotating;
use super::rules::Shared;

/// Bytes that are read at a time: what a pipe holds.
const PIECE: usize = 64 * 1024;

/// What the task is asked for beside its work. What is in the pipe by then is written first.
#[derive(Debug)]
pub(super) enum Order {
    /// Where the next byte will stand.
    Position(oneshot::Sender<Result<LogFilePosition>>),
    /// To write this.
    Append(String, oneshot::Sender<Result<()>>),
    /// To leave the pipe alone from now on, or to read it again.
    Rest(bool, oneshot::Sender<()>),
}

/// What the task works with.
pub(super) struct Pump {
    path: PathBuf,
    pipe: Arc<AsyncFd<OwnedFd>>,
    file: Arc<Mutex<Rotating>>,
    rules: Shared,
    /// Bytes that the disk has refused since it last took some.
    lost: usize,
    /// The pipe is left to whoever follows.
    resting: bool,
}

/// Everybody has closed the other end of the pipe.
struct Ended;

impl Pump {
    pub(super) fn new(
        path: PathBuf,
        pipe: Arc<AsyncFd<OwnedFd>>,
        file: Rotating,
        rules: Shared,
    ) -> Self {
        Self { path, pipe, file: Arc::new(Mutex::new(file)), rules, lost: 0, resting: false }
    }

    /// Leaves the pipe alone until it is told to read it.
    pub(super) fn at_rest(self, resting: bool) -> Self {
        Self { resting, ..self }
    }

    /// Works until nobody can write into the pipe any more.
    pub(super) async fn run(mut self, orders: &mut mpsc::Receiver<Order>) {
        let pipe = self.pipe.clone();
        loop {
            // Only the waiting may be given up half way: what was read is always written.
            let flow = tokio::select! {
                Some(order) = orders.recv() => self.obey(order).await,
                ready = pipe.readable(), if !self.resting => match ready {
                    Ok(mut ready) => {
                        // Looked at once more after it is said that nothing is there.
                        ready.clear_ready();
                        self.empty_pipe().await
                    }
                    Err(cause) => self.unreadable(&cause),
                },
            };
            if flow.is_err() {
                return;
            }
        }
    }

    async fn obey(&mut self, order: Order) -> std::result::Result<(), Ended> {
        let flow = if self.resting { Ok(()) } else { self.empty_pipe().await };
        // Whoever does not wait any more has given up.
        match order {
            Order::Position(answer) => {
                let position = self.with_file(|file| file.position()).await;
                drop(answer.send(position.map_err(|cause| self.broken_off(&cause)).flatten()));
            }
            Order::Rest(resting, answer) => {
                self.resting = resting;
                let _gone = answer.send(());
            }
            Order::Append(text, answer) => {
                let written = self.write(text.into_bytes()).await;
                drop(answer.send(written.map_err(|cause| self.broken_off(&cause))));
            }
        }
        flow
    }

    fn broken_off(&self, cause: &io::Error) -> Error {
        Error::system(format!("Unable to write to file: {}", self.path.display()), cause)
    }

    /// Writes what is in the pipe, until there is nothing.
    async fn empty_pipe(&mut self) -> std::result::Result<(), Ended> {
        loop {
            let mut data = Vec::with_capacity(PIECE);
            match rustix::io::read(&self.pipe, spare_capacity(&mut data)) {
                Ok(0) => return Err(Ended),
                Ok(length) => {
                    let written = self.write(data).await;
                    self.note(length, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(errno) => return self.unreadable(&errno.into()),
            }
        }
    }

    fn unreadable(&self, cause: &io::Error) -> std::result::Result<(), Ended> {
        warn!("cannot read what is meant for '{}': {cause}", self.path.display());
        Err(Ended)
    }

    /// Says once that data is lost, and once that it is not any more.
    fn note(&mut self, length: usize, written: io::Result<()>) {
        let path = self.path.display();
        match written {
            Ok(()) if self.lost == 0 => {}
            Ok(()) => {
                info!("'{path}' takes data again; up to {} bytes are lost", self.lost);
                self.lost = 0;
            }
            Err(cause) => {
                if self.lost == 0 {
                    warn!("cannot write '{path}', what is meant for it is lost: {cause}");
                }
                self.lost += length;
            }
        }
    }

    async fn write(&self, data: Vec<u8>) -> io::Result<()> {
        let rules = self.rules.now();
        self.with_file(move |file| file.append(&data, &rules)).await.flatten()
    }

    /// Works on the file where that may block.
    async fn with_file<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Rotating) -> T + Send + 'static,
    ) -> io::Result<T> {
        let file = self.file.clone();
        let worked =
            spawn_blocking(move || work(&mut file.lock().unwrap_or_else(PoisonError::into_inner)));
        worked.await.map_err(io::Error::other)
    }
}

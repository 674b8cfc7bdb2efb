// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A machine's way to the disk: writes happen off the actor's task, one at a time, in order.
//!
//! Invariant: two writes of one machine never overlap, so the last one asked for is what stays.

use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use virtus_api::{Error, ErrorCode, Result};

use crate::records::Records;

type Write = Box<dyn FnOnce() -> Result<()> + Send>;

/// Takes writes; cheap to clone. The pump behind it ends when the last clone is dropped and
/// everything is written. Machines that are recorded nowhere have none: theirs cost no task and no thread.
#[derive(Clone)]
pub(crate) struct Ink(Option<mpsc::UnboundedSender<(Write, oneshot::Sender<Result<()>>)>>);

/// The outcome of a write that was asked for; none if there was nothing to write to.
pub(crate) struct Written(Option<oneshot::Receiver<Result<()>>>);

impl Ink {
    pub(crate) fn new(records: &Records) -> Self {
        if records.places().is_none() {
            return Self(None);
        }
        let (sender, mut writes) =
            mpsc::unbounded_channel::<(Write, oneshot::Sender<Result<()>>)>();
        tokio::spawn(async move {
            while let Some((write, done)) = writes.recv().await {
                let outcome = spawn_blocking(write).await.unwrap_or_else(|_| Err(lost()));
                if let Err(Err(error)) = done.send(outcome) {
                    tracing::error!("{error}");
                }
            }
        });
        Self(Some(sender))
    }

    /// Queues a write. If nobody waits for its outcome, a failure is logged.
    pub(crate) fn put(&self, write: impl FnOnce() -> Result<()> + Send + 'static) -> Written {
        Written(self.0.as_ref().map(|pump| {
            let (done, outcome) = oneshot::channel();
            // A pump that is gone drops `done`, which `wait` reports.
            let _pump_gone = pump.send((Box::new(write), done));
            outcome
        }))
    }
}

impl Written {
    /// Waits until it is on disk.
    pub(crate) async fn wait(self) -> Result<()> {
        match self.0 {
            Some(outcome) => outcome.await.unwrap_or_else(|_| Err(lost())),
            None => Ok(()),
        }
    }
}

fn lost() -> Error {
    Error::new(ErrorCode::InternalError, "a write to disk was lost: its task ended early")
}

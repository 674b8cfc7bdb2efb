// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A machine as everybody else holds it: its snapshot to read, its queue to ask.
//!
//! The actor exists only while there is something to do: it is started by the first job and ends
//! when the machine is off and its queue is empty, so that thousands of defined machines cost no
//! task. Sending and ending are ordered by the mailbox's lock: no job is ever lost between them.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use uuid::Uuid;
use virtus_api::{Error, ErrorCode, Result};
use virtus_core::BoxFuture;

use crate::actor::{Actor, Command, Queued};
use crate::context::Context;
use crate::core::Core;
use crate::jobs::{self, Job};
use crate::machine::{Machine, Stop};
use crate::machines::Machines;
use crate::notice::End;
use crate::snapshot::Snapshot;

/// A machine. Held by [`Machines`] and by whoever asks it something.
pub struct Handle<M: Machine> {
    uuid: Uuid,
    set: Arc<Machines<M>>,
    published: RwLock<Published<M>>,
    busy: Mutex<jobs::Running>,
    mailbox: Mutex<Option<mpsc::UnboundedSender<Command<M>>>>,
    core: Mutex<Core<M>>,
}

struct Published<M: Machine> {
    snapshot: Arc<Snapshot>,
    running: Option<Arc<M::Running>>,
}

impl<M: Machine> Handle<M> {
    /// A machine whose facts are in `core`.
    pub(crate) fn new(set: Arc<Machines<M>>, uuid: Uuid, core: Core<M>) -> Arc<Self> {
        let published =
            Published { snapshot: Arc::new(core.snapshot(uuid)), running: core.running() };
        Arc::new(Self {
            uuid,
            set,
            published: RwLock::new(published),
            busy: Mutex::default(),
            mailbox: Mutex::new(None),
            core: Mutex::new(core),
        })
    }

    /// The machine's UUID.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// The set that it belongs to.
    #[must_use]
    pub fn set(&self) -> &Arc<Machines<M>> {
        &self.set
    }

    /// What is known of it. Never waits.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.read().unwrap_or_else(PoisonError::into_inner).snapshot.clone()
    }

    /// The running machine, for reading beside jobs (statistics). Never waits.
    #[must_use]
    pub fn running(&self) -> Option<Arc<M::Running>> {
        self.published.read().unwrap_or_else(PoisonError::into_inner).running.clone()
    }

    /// Which jobs run. Never waits.
    #[must_use]
    pub fn busy(&self) -> jobs::Running {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` as a job of this machine, when its turn comes. The work goes on even if the
    /// caller goes away; a destroy cancels it.
    ///
    /// # Errors
    /// That of the work; `VIR_ERR_OPERATION_TIMEOUT` if its turn does not come or it takes too long;
    /// `VIR_ERR_OPERATION_ABORTED` if the machine was ended meanwhile.
    pub async fn job<T, F, Fut>(self: &Arc<Self>, job: Job, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Context<M>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let run = move |turn: Result<Context<M>>| -> BoxFuture<()> {
            Box::pin(async move {
                let result = match turn {
                    Ok(context) => perform(job, context, work).await,
                    Err(error) => Err(error),
                };
                // A caller that went away does not need the answer.
                let _caller_gone = reply.send(result);
            })
        };
        let deadline = Instant::now() + job.wait;
        self.send(Command::Job(Queued { job, deadline, run: Box::new(run) }));
        let result = match answer.await {
            Ok(result) => result,
            Err(_) => Err(self.cancelled(job.name)),
        };
        result.map_err(|error| error.or_domain(M::ERROR_DOMAIN))
    }

    /// Ends the machine. Does not wait for jobs; they are cancelled.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if it does not run; the driver's error if it cannot be ended.
    pub async fn destroy(self: &Arc<Self>, how: Stop) -> Result<()> {
        self.end(how, End::Destroyed).await
    }

    /// Ends the machine for the reason that `end` names. Does not wait for jobs; they are cancelled.
    ///
    /// # Errors
    /// As [`Handle::destroy`].
    pub async fn end(self: &Arc<Self>, how: Stop, end: End) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Destroy { how, end, owner: None, reply });
        let result = match answer.await {
            Ok(result) => result,
            Err(_) => Err(self.cancelled("virDomainDestroy")),
        };
        result.map_err(|error| error.or_domain(M::ERROR_DOMAIN))
    }

    /// Hands a command to the actor, starting one if there is none.
    pub(crate) fn send(self: &Arc<Self>, command: Command<M>) {
        let mut mailbox = self.mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        let command = match &*mailbox {
            Some(sender) => match sender.send(command) {
                Ok(()) => return,
                // The actor's task was ended from outside; a new one takes over.
                Err(mpsc::error::SendError(command)) => command,
            },
            None => command,
        };
        let (sender, commands) = mpsc::unbounded_channel();
        // The receiver is in scope: this cannot fail.
        let _open = sender.send(command);
        *mailbox = Some(sender);
        tokio::spawn(Actor::new(self.clone(), commands).run());
    }

    /// Called by an actor that has nothing to do: whether it may end.
    pub(crate) fn retire(&self, commands: &mpsc::UnboundedReceiver<Command<M>>) -> bool {
        let mut mailbox = self.mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = commands.is_empty();
        if idle {
            *mailbox = None;
        }
        idle
    }

    /// As after a kill -9: the actor ends where it is.
    #[cfg(test)]
    pub(crate) fn abandon(&self) {
        *self.mailbox.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether no task serves the machine: it is off and nothing is asked of it.
    pub(crate) fn is_asleep(&self) -> bool {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The machine's facts. Only the actor and its jobs change them, then publish.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core<M>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the facts to everybody.
    pub(crate) fn publish(&self, core: &Core<M>) {
        let next =
            Published { snapshot: Arc::new(core.snapshot(self.uuid)), running: core.running() };
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    pub(crate) fn set_busy(&self, running: jobs::Running) {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }

    fn cancelled(&self, name: &str) -> Error {
        let shown = self.snapshot();
        Error::new(
            ErrorCode::OperationAborted,
            format!("{name} on domain '{}': the domain ended meanwhile", shown.name),
        )
        .in_domain(M::ERROR_DOMAIN)
    }
}

/// Runs a job's work with its limit; a panic in it is an error of this job only.
async fn perform<M, T, F, Fut>(job: Job, context: Context<M>, work: F) -> Result<T>
where
    M: Machine,
    F: FnOnce(Context<M>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T>> + Send + 'static,
{
    let name = context.snapshot().name.clone();
    let work = AssertUnwindSafe(work(context.clone())).catch_unwind();
    let outcome = match job.limit {
        Some(limit) => timeout(limit, work).await.map_err(|_| {
            Error::new(
                ErrorCode::OperationTimeout,
                format!("{} on domain '{name}' took longer than {} s", job.name, limit.as_secs()),
            )
        })?,
        None => work.await,
    };
    let value = outcome.unwrap_or_else(|_| {
        Err(Error::new(ErrorCode::InternalError, format!("{} on '{name}' panicked", job.name)))
    })?;
    context.settle().await?;
    Ok(value)
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The actor: the one task that owns a machine.
//!
//! It starts jobs as the job table ([`crate::jobs`]) permits and polls them itself, hears the
//! machine's notices beside them, and ends the machine. It never awaits anything but "what happens
//! next": a job that hangs keeps neither notices nor a destroy waiting.
//!
//! ```text
//!            jobs, destroy               notices of the VMM
//!                  |                            |
//!                  v                            v
//!        queue -> short / long / define     state, events, status file
//!                  |
//!                  +--- destroy: stop the machine, drop what runs, unwind a start, clean up
//! ```

use std::collections::VecDeque;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use virtus_api::{
    DomainEventPmsuspend, DomainEventPmsuspendDisk, DomainEventPmwakeup, DomainEventReboot, Error,
    ErrorCode, ErrorDomain, Result,
};
use virtus_core::BoxFuture;

use crate::context::{Context, save_status};
use crate::handle::Handle;
use crate::ink::Ink;
use crate::jobs::{self, Busy, Job, Kind, may_start, not_in_time};
use crate::machine::{Machine, Stop};
use crate::notice::{End, Notice};
use crate::state::Change;
use crate::undo::Undo;

/// How long the traces of a machine that has ended may take to be removed.
const CLEAN_UP: Duration = Duration::from_secs(60);

/// What the actor is asked for.
pub(crate) enum Command<M: Machine> {
    Job(Queued<M>),
    /// End the machine, for the reason that `end` names; with `owner`, only if that session owns it.
    Destroy {
        how: Stop,
        end: End,
        owner: Option<u64>,
        reply: oneshot::Sender<Result<()>>,
    },
    /// The daemon ends: let the machine run on without us.
    LetGo(oneshot::Sender<()>),
}

/// A job that waits for its turn.
pub(crate) struct Queued<M: Machine> {
    pub(crate) job: Job,
    pub(crate) deadline: Instant,
    /// Starts it, or tells its caller why it did not get its turn.
    pub(crate) run: Box<dyn FnOnce(Result<Context<M>>) -> BoxFuture<()> + Send>,
}

/// The end of a machine under way.
struct Ending {
    end: End,
    /// It asks the machine to go and may fail; something stronger may take its place.
    gentle: bool,
    work: BoxFuture<Result<()>>,
    waiters: Vec<oneshot::Sender<Result<()>>>,
}

pub(crate) struct Actor<M: Machine> {
    handle: Arc<Handle<M>>,
    commands: mpsc::UnboundedReceiver<Command<M>>,
    ink: Ink,
    queue: VecDeque<Queued<M>>,
    running: jobs::Running,
    short: Option<BoxFuture<()>>,
    long: Option<BoxFuture<()>>,
    define: Option<BoxFuture<()>>,
    ending: Option<Ending>,
    /// Where a start that is dropped leaves its undo.
    undo: Arc<Mutex<Option<Undo>>>,
    notices: Option<mpsc::UnboundedReceiver<Notice>>,
    /// The process went while `ending` was under way.
    gone: Option<End>,
}

impl<M: Machine> Actor<M> {
    pub(crate) fn new(
        handle: Arc<Handle<M>>,
        commands: mpsc::UnboundedReceiver<Command<M>>,
    ) -> Self {
        Self {
            ink: Ink::new(handle.set().records()),
            handle,
            commands,
            queue: VecDeque::new(),
            running: jobs::Running::default(),
            short: None,
            long: None,
            define: None,
            ending: None,
            undo: Arc::default(),
            notices: None,
            gone: None,
        }
    }

    pub(crate) async fn run(mut self) {
        loop {
            self.start_what_may();
            self.listen();
            if self.is_idle() {
                // A later actor of this machine must not write beside this one.
                let flushed = self.ink.put(|| Ok(())).wait().await;
                if flushed.is_ok() && self.handle.retire(&self.commands) {
                    return;
                }
            }
            let next_deadline = self.queue.iter().map(|queued| queued.deadline).min();
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(Command::Job(queued)) => self.queue.push_back(queued),
                    Some(Command::Destroy { how, end, owner, reply }) => self.destroy(how, end, owner, reply),
                    Some(Command::LetGo(reply)) => {
                        self.let_go().await;
                        // Nobody waits for a daemon that is already gone.
                        let _gone = reply.send(());
                        return;
                    }
                    None => return,
                },
                notice = heard(&mut self.notices) => self.hear_safely(notice),
                () = finished(&mut self.short) => self.set_running(|r| r.short = None),
                () = finished(&mut self.long) => self.set_running(|r| r.long = None),
                () = finished(&mut self.define) => self.set_running(|r| r.define = None),
                outcome = ended(&mut self.ending) => self.finish_end(outcome),
                () = reached(next_deadline) => self.expire(),
            }
        }
    }

    fn is_idle(&self) -> bool {
        let busy = self.short.is_some()
            || self.long.is_some()
            || self.define.is_some()
            || self.ending.is_some();
        !busy && self.queue.is_empty() && self.handle.core().live.is_none()
    }

    fn set_running(&mut self, change: impl FnOnce(&mut jobs::Running)) {
        change(&mut self.running);
        self.handle.set_busy(self.running);
    }

    fn context(&self) -> Context<M> {
        Context::new(self.handle.clone(), self.ink.clone(), self.undo.clone())
    }

    /// Starts queued jobs, in their order as far as the job table permits.
    fn start_what_may(&mut self) {
        while self.ending.is_none() {
            let next = self.queue.iter().position(|q| may_start(q.job.kind, &self.running).is_ok());
            let Some(queued) = next.and_then(|next| self.queue.remove(next)) else { return };
            let job = queued.job;
            let work = (queued.run)(Ok(self.context()));
            let busy = Some(Busy { kind: job.kind, name: job.name, since: Instant::now().into() });
            match job.kind {
                Kind::Long(_) => {
                    self.long = Some(work);
                    self.set_running(|running| running.long = busy);
                }
                Kind::Define => {
                    self.define = Some(work);
                    self.set_running(|running| running.define = busy);
                }
                Kind::Query | Kind::Modify | Kind::Suspend | Kind::Whole => {
                    self.short = Some(work);
                    self.set_running(|running| running.short = busy);
                }
            }
        }
    }

    /// Tells those whose time is over what stood in their way.
    fn expire(&mut self) {
        let now = Instant::now();
        let (late, rest): (Vec<_>, Vec<_>) =
            self.queue.drain(..).partition(|queued| queued.deadline <= now);
        self.queue = rest.into();
        let name = self.handle.snapshot().name.clone();
        for queued in late {
            let holder = may_start(queued.job.kind, &self.running).err().map(|denied| denied.0);
            let refusal = (queued.run)(Err(not_in_time(&queued.job, holder, &name)));
            tokio::spawn(refusal);
        }
    }

    /// Takes the machine's notices as soon as it has started: what it told meanwhile is heard then.
    fn listen(&mut self) {
        let mut core = self.handle.core();
        let started = core.live.as_mut().filter(|live| live.running.is_some());
        // Those of a machine that a job has ended meanwhile go with it.
        if let Some(notices) = started.and_then(|live| live.notices.take()) {
            self.notices = Some(notices);
        }
    }

    /// A notice carries code of the driver: a fault in it costs that notice, not the machine.
    fn hear_safely(&mut self, notice: Notice) {
        if catch_unwind(AssertUnwindSafe(|| self.hear(notice))).is_err() {
            tracing::error!("domain '{}': a notice was lost", self.handle.snapshot().name);
        }
    }

    fn hear(&mut self, notice: Notice) {
        let context = self.context();
        let handle = &self.handle;
        // Those of the machine that there is are not listened to yet: this is one of the machine before it, which
        // a job has ended and replaced.
        if handle.core().live.as_ref().is_some_and(|live| live.notices.is_some()) {
            return;
        }
        match notice {
            Notice::Paused(why) => context.apply(Change::Paused(why)),
            Notice::Resumed => context.apply(Change::Resumed),
            Notice::PoweringOff(by) => context.apply(Change::PoweringOff(by)),
            Notice::Rebooted => handle.emit(|dom| DomainEventReboot { dom }.into()),
            Notice::Suspended => {
                handle.emit(|dom| DomainEventPmsuspend { reason: 0, dom }.into());
                context.apply(Change::Slept { disk: false });
            }
            Notice::SuspendedToDisk => {
                handle.emit(|dom| DomainEventPmsuspendDisk { reason: 0, dom }.into());
                context.apply(Change::Slept { disk: true });
            }
            Notice::WokenUp => {
                handle.emit(|dom| DomainEventPmwakeup { reason: 0, dom }.into());
                context.apply(Change::Woken);
            }
            Notice::Crashed => context.apply(Change::Crashed),
            Notice::Answering(answering) => {
                let mut core = handle.core();
                if let Some(live) = core.live.as_mut() {
                    live.answering = answering;
                    handle.publish(&core);
                }
            }
            Notice::Changed(change) => {
                // A machine that is gone has no live definition to change.
                let _gone = context.change_live(change);
            }
            Notice::Renumbered(new) => {
                let set = handle.set();
                let _gone = context.change_live(|def| {
                    def.id = def.id.map(|old| set.renumber(handle, old, new));
                });
            }
            Notice::Event(event) => handle.emit(event),
            Notice::Ended(end) if self.ending.is_some() => self.gone = Some(end),
            // A job is ending it, and does the rest.
            Notice::Ended(_) if handle.core().live.as_ref().is_none_or(|live| live.leaving) => {}
            Notice::Ended(end) => self.begin_end(end),
        }
    }

    /// The process is gone: remove what it left.
    fn begin_end(&mut self, end: End) {
        let removal = clean_up(self.handle.clone(), self.ink.clone(), None, end);
        let work = async move {
            removal.await;
            Ok(())
        };
        let waiters = Vec::new();
        self.ending = Some(Ending { end, gentle: false, work: Box::pin(work), waiters });
    }

    fn destroy(
        &mut self,
        how: Stop,
        end: End,
        owner: Option<u64>,
        reply: oneshot::Sender<Result<()>>,
    ) {
        let running = {
            let core = self.handle.core();
            let Some(live) = core.live.as_ref() else {
                // A caller that went away does not need the answer; so below.
                let error = Error::new(ErrorCode::OperationInvalid, "domain is not running");
                let _gone = reply.send(Err(error.in_domain(ErrorDomain::Domain)));
                return;
            };
            if owner.is_some() && live.owner != owner {
                let _gone = reply.send(Ok(()));
                return;
            }
            live.running.clone()
        };
        let mut waiters = vec![reply];
        match self.ending.take() {
            Some(gentle) if gentle.gentle && how == Stop::Destroy => waiters.extend(gentle.waiters),
            Some(mut ending) => {
                ending.waiters.append(&mut waiters);
                self.ending = Some(ending);
                return;
            }
            None => {}
        }
        if how == Stop::Destroy || running.is_none() {
            self.drop_jobs();
        }
        let undo = self.undo.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (handle, ink) = (self.handle.clone(), self.ink.clone());
        let gentle = how == Stop::DestroyGracefully;
        let work = async move {
            if let Some(running) = running {
                handle.set().machine().clone().stop(&running, how).await?;
            }
            clean_up(handle, ink, undo, end).await;
            Ok(())
        };
        self.ending = Some(Ending { end, gentle, work: Box::pin(work), waiters });
    }

    /// Cancels what works on the machine; callers learn that it was ended. Definitions stay usable.
    fn drop_jobs(&mut self) {
        self.short = None;
        self.long = None;
        self.set_running(|running| {
            running.short = None;
            running.long = None;
        });
    }

    fn finish_end(&mut self, outcome: Result<()>) {
        let Some(ending) = self.ending.take() else { return };
        if let Err(error) = outcome {
            tracing::warn!("domain '{}' did not end: {error}", self.handle.snapshot().name);
            for waiter in ending.waiters {
                let _gone = waiter.send(Err(error.clone()));
            }
            if let Some(end) = self.gone.take() {
                self.begin_end(end);
            }
            return;
        }
        self.drop_jobs();
        self.notices = None;
        self.gone = None;
        self.handle.forget_live(ending.end);
        for waiter in ending.waiters {
            let _gone = waiter.send(Ok(()));
        }
    }

    /// The daemon ends. What runs goes on without us; a start that is under way is undone.
    async fn let_go(&mut self) {
        let starting = self.handle.core().live.as_ref().is_some_and(|live| live.running.is_none());
        self.drop_jobs();
        self.define = None;
        self.queue.clear();
        let undo = self.undo.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (true, Some(undo)) = (starting, undo) {
            let (handle, ink) = (self.handle.clone(), self.ink.clone());
            clean_up(handle, ink, Some(undo), End::Failed).await;
        }
        if let Err(error) = self.ink.put(|| Ok(())).wait().await {
            tracing::warn!("{error}");
        }
        let mut core = self.handle.core();
        if let Some(live) = core.live.as_mut() {
            live.running = None;
        }
        self.handle.publish(&core);
    }
}

/// Removes what a machine left on the host, its status file last: as long as that is there, the next
/// daemon would clean up again.
pub(crate) async fn clean_up<M: Machine>(
    handle: Arc<Handle<M>>,
    ink: Ink,
    undo: Option<Undo>,
    end: End,
) {
    let left = {
        let mut core = handle.core();
        core.live.as_mut().map(|live| {
            live.leaving = true;
            (live.def.clone(), live.status.private.clone(), live.hooked)
        })
    };
    let machine = handle.set().machine().clone();
    let name = handle.snapshot().name.clone();
    if let Some(undo) = undo {
        in_time(&name, undo.unwind()).await;
    }
    if let Some((def, private, hooked)) = left {
        let hooks = machine.hooks().filter(|_| hooked);
        if let Some(hooks) = hooks {
            hooks.stopped(&def).await;
        }
        in_time(&name, machine.clean_up(&def, &private)).await;
        if let Some(hooks) = hooks {
            hooks.released(&def, end).await;
        }
    }
    // A status file that stays is found by the next daemon, which cleans up again.
    if let Err(error) = save_status(&handle, &ink).wait().await {
        tracing::warn!("{error}");
    }
}

async fn in_time(name: &str, removal: impl Future<Output = ()>) {
    if timeout(CLEAN_UP, removal).await.is_err() {
        tracing::warn!("domain '{name}': not all it left could be removed in {CLEAN_UP:?}");
    }
}

async fn finished(work: &mut Option<BoxFuture<()>>) {
    match work {
        Some(running) => {
            running.await;
            *work = None;
        }
        None => pending().await,
    }
}

async fn ended(ending: &mut Option<Ending>) -> Result<()> {
    match ending {
        Some(ending) => (&mut ending.work).await,
        None => pending().await,
    }
}

/// The next notice. A driver that lets its end go without a word has lost the machine.
async fn heard(notices: &mut Option<mpsc::UnboundedReceiver<Notice>>) -> Notice {
    match notices {
        Some(open) => match open.recv().await {
            Some(notice) => notice,
            None => {
                *notices = None;
                Notice::Ended(End::Failed)
            }
        },
        None => pending().await,
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

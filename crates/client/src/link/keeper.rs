// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The task that owns a connection: registrations, loss, and opening again.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::debug;
use virtus_api::{AnyReply, Error, ErrorCode, Result};
use virtus_core::Call;

use super::{Listen, Shared, State, closed};
use crate::attach::{Attached, attach};
use crate::deadline::{SHORT, within};
use crate::events::queue::Queue;
use crate::events::topic::Topic;

pub(super) struct Keeper {
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Listen>,
    attached: Attached,
}

impl Keeper {
    pub(super) fn new(
        shared: Arc<Shared>,
        orders: mpsc::Receiver<Listen>,
        attached: Attached,
    ) -> Self {
        let keeper = Self { shared, orders, attached };
        keeper.up();
        keeper
    }

    /// Lets calls through.
    fn up(&self) {
        let connection = self.attached.connection.clone();
        let in_process = self.attached.remote.is_none();
        self.shared.state.send_replace(State::Up { connection, in_process });
    }

    pub(super) async fn run(mut self) {
        let reason = self.keep().await;
        debug!("a connection is over: {reason}");
        self.attached.connection.close();
        self.shared.state.send_replace(State::Over(reason));
        self.shared.hub.end();
    }

    /// Serves until the connection is over; answers why.
    async fn keep(&mut self) -> Error {
        let shared = self.shared.clone();
        loop {
            let remote = self.attached.remote.clone();
            let ended = async move {
                match remote {
                    Some(remote) => remote.ended().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shared.hang_up.notified() => return closed(),
                reason = ended => {
                    shared.hub.lost(&reason);
                    shared.state.send_replace(State::Down);
                    tokio::select! {
                        () = shared.hang_up.notified() => return closed(),
                        opened = self.open_again(reason) => if let Err(reason) = opened {
                            return reason;
                        },
                    }
                }
                Some(listen) = self.orders.recv() => {
                    let done = self.listen(&listen).await;
                    if listen.answer.send(done).is_err() {
                        // Who does not wait any more may have left before it was written in.
                        shared.hub.leave(&listen.queue);
                    }
                }
                () = shared.hub.left() => self.deregister().await,
            }
        }
    }

    async fn listen(&self, listen: &Listen) -> Result<()> {
        let mut refused = None;
        let mut heard = false;
        for topic in &listen.topics {
            match self.register(topic, Some(&listen.queue)).await {
                Ok(()) => heard = true,
                Err(error) if is_unknown(&error) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        match refused {
            Some(error) if !heard => Err(error),
            _ => Ok(()),
        }
    }

    /// Registers for a topic, unless that is done already.
    async fn register(&self, topic: &Topic, first: Option<&Arc<Queue>>) -> Result<()> {
        let hub = &self.shared.hub;
        if first.is_some_and(|queue| hub.join(topic, queue)) {
            return Ok(());
        }
        hub.begin();
        let reply = self.ask(topic.register()).await.inspect_err(|_| hub.failed())?;
        let callback = reply.as_any().downcast_ref::<i32>().copied();
        hub.registered(topic.clone(), callback, first);
        Ok(())
    }

    async fn deregister(&self) {
        for (topic, callback) in self.shared.hub.unread() {
            if let Err(error) = self.ask(topic.deregister(callback.unwrap_or_default())).await {
                // Its events go nowhere, so nothing is lost.
                debug!("a registration was not ended: {error}");
            }
        }
    }

    async fn ask(&self, request: virtus_api::AnyRequest) -> Result<AnyReply> {
        let connection = &self.attached.connection;
        let name = request.call().meta().shown();
        let call = Call::new(connection.session().clone());
        within(SHORT, name, connection.respond(call, request)).await
    }

    /// Opens the lost connection again and registers what is listened to.
    async fn open_again(&mut self, mut reason: Error) -> Result<()> {
        let shared = self.shared.clone();
        let Some(how) = shared.options.reconnect else { return Err(reason) };
        let mut pause = how.first_pause;
        for attempt in 0..how.attempts {
            if attempt > 0 {
                sleep(pause).await;
                pause = (pause * 2).min(how.longest_pause);
            }
            match self.attempt().await {
                Ok(()) => {
                    self.up();
                    shared.hub.reconnected();
                    return Ok(());
                }
                Err(error) => {
                    debug!("attempt {attempt} to reconnect: {error}");
                    reason = error;
                }
            }
        }
        Err(reason)
    }

    /// Opens it and registers all topics; what readers then hear is held back.
    async fn attempt(&mut self) -> Result<()> {
        let hub = self.shared.hub.clone();
        let limit = self.shared.options.deadline.unwrap_or(SHORT);
        let attaching = attach(&self.shared.options, hub.clone());
        self.attached = within(limit, "opening the connection again", attaching).await?;
        hub.reconnecting();
        for topic in hub.topics() {
            if let Err(error) = self.register(&topic, None).await {
                if self.attached.remote.as_ref().is_some_and(|remote| remote.lost().is_some()) {
                    hub.lost(&error);
                    return Err(error);
                }
                hub.refused(&topic, &error);
            }
        }
        Ok(())
    }
}

/// Whether a driver says that it does not have such events.
fn is_unknown(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::NoSupport | ErrorCode::InvalidArg | ErrorCode::OperationUnsupported
    )
}

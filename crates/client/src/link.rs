// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One connection over its life, however often it is opened again.
//!
//! ```text
//!  open ─▶ up ◀──────── opened again, topics registered anew
//!          │ lost                │
//!          ▼                     │
//!   reconnect wanted? ─ yes ─▶ down ─ attempts used up ─▶ over
//!          └─ no ─▶ over ◀─ closed, or nobody left
//! ```
//! One task, the keeper, owns the connection: it alone registers and deregisters, and replaces the
//! connection when it is lost.

mod keeper;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use virtus_api::{AnyReply, AnyRequest, Error, ErrorCode, ErrorDomain, Result};
use virtus_core::stream::Stream;
use virtus_core::{Call, Connection};

use crate::attach::attach;
use crate::deadline::{self, within};
use crate::events::hub::Hub;
use crate::events::queue::Queue;
use crate::events::topic::Topic;
use crate::options::Options;
use keeper::Keeper;

/// Readers that may wait for the keeper.
const ORDERS: usize = 16;

/// What travels with a call, besides the request.
#[derive(Default)]
pub(crate) struct Luggage {
    /// Descriptors for the driver.
    pub(crate) fds: Vec<OwnedFd>,
    /// The driver's end of a stream.
    pub(crate) stream: Option<Stream>,
}

/// What everybody who uses the connection shares.
pub(crate) struct Link {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Listen>,
}

struct Shared {
    options: Options,
    hub: Arc<Hub>,
    state: watch::Sender<State>,
    hang_up: Notify,
}

enum State {
    Up {
        connection: Connection,
        /// Whether a driver of this process answers.
        in_process: bool,
    },
    Down,
    Over(Error),
}

/// A reader that wants to hear of these topics.
struct Listen {
    topics: Vec<Topic>,
    queue: Arc<Queue>,
    answer: oneshot::Sender<Result<()>>,
}

impl Link {
    pub(crate) async fn open(mut options: Options) -> Result<Arc<Self>> {
        let hub = Hub::new(options.capacity);
        let attached = attach(&options, hub.clone()).await?;
        // Later nobody at the terminal expects to be asked.
        options.polkit_agent = false;
        let (orders, taken) = mpsc::channel(ORDERS);
        let state = watch::Sender::new(State::Down);
        let shared = Arc::new(Shared { options, hub, state, hang_up: Notify::new() });
        let keeper = Keeper::new(shared.clone(), taken, attached);
        tokio::spawn(keeper.run());
        Ok(Arc::new(Self { shared, orders }))
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.shared.hub
    }

    /// Asks whoever answers now; while nobody does and that may change, waits.
    pub(crate) async fn call(
        &self,
        request: AnyRequest,
        luggage: Luggage,
        limit: Option<Duration>,
    ) -> Result<AnyReply> {
        let id = request.call();
        let limit = limit.or(self.shared.options.deadline).unwrap_or_else(|| deadline::usual(id));
        within(limit, id.meta().shown(), self.shared.ask(request, luggage)).await
    }

    /// Begins to hear of `topics`; those that the driver does not have are left out if it has others.
    pub(crate) async fn listen(self: &Arc<Self>, topics: Vec<Topic>) -> Result<Arc<Queue>> {
        let queue = self.hub().queue();
        let (answer, answered) = oneshot::channel();
        let reader = Leaving(self.hub(), Some(&queue));
        let order = Listen { topics, queue: queue.clone(), answer };
        let limit = self.shared.options.deadline.unwrap_or(deadline::SHORT);
        within(limit, "registering for events", async {
            let over = || self.over().unwrap_or_else(closed);
            self.orders.send(order).await.map_err(|_| over())?;
            answered.await.unwrap_or_else(|_| Err(over()))
        })
        .await?;
        reader.stay();
        Ok(queue)
    }

    /// Why the connection is over; `None` while it is not.
    pub(crate) fn over(&self) -> Option<Error> {
        match &*self.shared.state.borrow() {
            State::Over(reason) => Some(reason.clone()),
            State::Up { .. } | State::Down => None,
        }
    }

    /// Ends the connection; resolves when it has ended.
    pub(crate) async fn close(&self) {
        self.shared.hang_up.notify_one();
        let mut state = self.shared.state.subscribe();
        // The keeper lives until it has said so.
        let _over = state.wait_for(|state| matches!(state, State::Over(_))).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.hang_up.notify_one();
    }
}

/// A reader that leaves again unless it is told to stay.
struct Leaving<'a>(&'a Hub, Option<&'a Arc<Queue>>);

impl Leaving<'_> {
    fn stay(mut self) {
        self.1 = None;
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(queue) = self.1 {
            self.0.leave(queue);
        }
    }
}

impl Shared {
    async fn ask(&self, request: AnyRequest, luggage: Luggage) -> Result<AnyReply> {
        let (connection, in_process) = self.up().await?;
        let mut call = Call::new(connection.session().clone());
        (call.fds, call.stream) = (luggage.fds, luggage.stream);
        let name = request.call().meta().shown();
        let answer = connection.respond(call, request);
        if in_process {
            // What has been started is finished, even if nobody waits: a machine half started would
            // be worse.
            let finished = tokio::spawn(answer).await;
            finished.unwrap_or_else(|_| Err(panicked(name)))
        } else {
            answer.await
        }
    }

    async fn up(&self) -> Result<(Connection, bool)> {
        let mut state = self.state.subscribe();
        let state = state.wait_for(|state| !matches!(state, State::Down)).await;
        match state.as_deref() {
            Ok(State::Up { connection, in_process }) => Ok((connection.clone(), *in_process)),
            Ok(State::Over(reason)) => Err(reason.clone()),
            Ok(State::Down) | Err(_) => Err(closed()),
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorCode::OperationInvalid, "the connection is closed").in_domain(ErrorDomain::Rpc)
}

fn panicked(call: &str) -> Error {
    Error::new(ErrorCode::InternalError, format!("{call} failed unexpectedly"))
        .in_domain(ErrorDomain::Rpc)
}

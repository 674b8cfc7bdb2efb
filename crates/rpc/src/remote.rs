// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The remote driver: a daemon behind a socket, as someone who answers requests.
//!
//! One task drives the [`Engine`](crate::engine::Engine) of each connection; handles send it orders. Whoever is slow makes the
//! other side wait: orders are not taken while much waits to be written, and the socket is not read
//! while stream data waits for its reader.

mod streams;
mod task;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use virtus_api::{AnyReply, AnyRequest, CallId, Error, ErrorCode, ErrorDomain, Program, Result};
use virtus_core::events::{Delivery, EventSink};
use virtus_core::stream::{Packet, Stream};
use virtus_core::{BoxFuture, Call, Responder, Session};

use crate::KeepalivePolicy;
use crate::engine::{Abilities, Authentication, Greeting, Step};
use crate::sasl::Seal;
use crate::transport::Transport;

/// Orders that wait for the task.
const ORDERS: usize = 16;

/// The programs that the main socket of a daemon serves.
const PROGRAMS: [Program; 3] = [Program::Remote, Program::Qemu, Program::Lxc];

/// How a connection is opened.
pub struct Hello {
    /// The URI without its transport; empty: the daemon chooses.
    pub name: String,
    /// Whether only calls that change nothing are wanted.
    pub read_only: bool,
    /// How to say who we are.
    pub authentication: Authentication,
    /// When to ping a silent daemon, and when to give it up.
    pub keepalive: Option<KeepalivePolicy>,
}

/// An open connection to a daemon. It ends when it is dropped with all its streams, when
/// [`Responder::session_closed`] is called, or when the daemon is lost.
pub struct Remote {
    orders: mpsc::Sender<Order>,
    lost: watch::Receiver<Option<Error>>,
    abilities: Abilities,
    programs: &'static [Program],
}

/// What the task is asked to do.
enum Order {
    Call(Box<Asking>),
    Packet { serial: u32, packet: Packet },
    Keepalive(KeepalivePolicy),
    Seal(Box<Seal>),
    Close,
}

/// A call on its way to the task.
struct Asking {
    request: AnyRequest,
    fds: Vec<OwnedFd>,
    stream: Option<Stream>,
    answer: oneshot::Sender<Result<AnyReply>>,
}

impl Remote {
    /// Opens a connection over `transport`; its events go to `events`. Drop the future to give up.
    ///
    /// # Errors
    /// What [`Greeting::next`] answers, or `VIR_ERR_RPC` if the daemon is lost meanwhile.
    pub async fn open(
        transport: Transport,
        hello: Hello,
        events: Arc<dyn EventSink>,
    ) -> Result<Arc<Self>> {
        let mut remote = Self::start(transport, events, &PROGRAMS);
        let mut greeting = Greeting::new(hello.name, hello.read_only, hello.authentication);
        let mut reply = None;
        loop {
            let step;
            (greeting, step) = next(greeting, reply).await?;
            match step {
                Step::Ask(request) => {
                    reply = Some(remote.ask(request, Vec::new(), None).await);
                }
                Step::Seal(seal) => {
                    remote.order(Order::Seal(seal)).await?;
                    reply = None;
                }
                Step::Done(abilities) => {
                    remote.abilities = abilities;
                    break;
                }
            }
        }
        if let Some(policy) = hello.keepalive.filter(|_| remote.abilities.keepalive) {
            remote.order(Order::Keepalive(policy)).await?;
        }
        Ok(Arc::new(remote))
    }

    /// A connection to a daemon that serves one program of its own, which needs no opening.
    pub(crate) fn of_one_program(transport: Transport, program: &'static [Program; 1]) -> Self {
        Self::start(transport, Arc::new(NoEvents), program)
    }

    fn start(
        transport: Transport,
        events: Arc<dyn EventSink>,
        programs: &'static [Program],
    ) -> Self {
        let (orders, taken) = mpsc::channel(ORDERS);
        let (losing, lost) = watch::channel(None);
        tokio::spawn(task::run(transport, events, taken, orders.downgrade(), losing));
        Self { orders, lost, abilities: Abilities::default(), programs }
    }

    /// Why the connection is over; `None` while it is not.
    #[must_use]
    pub fn lost(&self) -> Option<Error> {
        self.lost.borrow().clone()
    }

    /// Resolves when the connection is over, with the reason.
    pub fn ended(&self) -> impl Future<Output = Error> + Send + 'static {
        let mut lost = self.lost.clone();
        async move {
            match lost.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone().unwrap_or_else(closed),
                Err(_) => closed(),
            }
        }
    }

    /// What the daemon can do.
    #[must_use]
    pub fn abilities(&self) -> Abilities {
        self.abilities
    }

    async fn order(&self, order: Order) -> Result<()> {
        let sent = self.orders.send(order).await;
        sent.map_err(|_| self.lost().unwrap_or_else(closed))
    }

    pub(crate) fn ask(
        &self,
        request: AnyRequest,
        fds: Vec<OwnedFd>,
        stream: Option<Stream>,
    ) -> BoxFuture<Result<AnyReply>> {
        let (answer, answered) = oneshot::channel();
        let asking = Asking { request, fds, stream, answer };
        let (orders, lost) = (self.orders.clone(), self.lost.clone());
        let reason = move || lost.borrow().clone().unwrap_or_else(closed);
        Box::pin(async move {
            if orders.send(Order::Call(Box::new(asking))).await.is_err() {
                return Err(reason());
            }
            drop(orders);
            answered.await.unwrap_or_else(|_| Err(reason()))
        })
    }
}

impl Responder for Remote {
    /// What the daemon does not know it refuses itself.
    fn answers(&self, call: CallId) -> bool {
        self.programs.contains(&call.meta().program)
    }

    fn respond(&self, mut call: Call, request: AnyRequest) -> BoxFuture<Result<AnyReply>> {
        self.ask(request, std::mem::take(&mut call.fds), call.stream.take())
    }

    fn session_closed(&self, _: &Arc<Session>) {
        // A task that is busy hears of it by the end of its orders.
        let _busy = self.orders.try_send(Order::Close);
    }
}

/// For connections on which there are none.
struct NoEvents;

impl EventSink for NoEvents {
    fn deliver(&self, _: Delivery) {}
}

/// What follows in the conversation, found out where it may take its time.
async fn next(mut greeting: Greeting, reply: Option<Result<AnyReply>>) -> Result<(Greeting, Step)> {
    let may_block = greeting.may_block();
    let next = move || greeting.next(reply).map(|step| (greeting, step));
    if !may_block {
        return next();
    }
    let found_out = tokio::task::spawn_blocking(next).await;
    found_out.unwrap_or_else(|cause| {
        let text = format!("authentication was broken off: {cause}");
        Err(Error::new(ErrorCode::AuthFailed, text).in_domain(ErrorDomain::Rpc))
    })
}

/// The connection has ended because we wanted it to.
fn closed() -> Error {
    Error::new(ErrorCode::Rpc, "the connection is closed").in_domain(ErrorDomain::Rpc)
}

/// The socket was closed, or broke, without a word.
fn hung_up(how: &str) -> Error {
    Error::new(ErrorCode::Rpc, format!("the connection to the daemon is lost: {how}"))
        .in_domain(ErrorDomain::Rpc)
        .hint("the daemon's log says whether it stopped or crashed; open the connection again")
}

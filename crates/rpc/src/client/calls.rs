// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A call from its frame to its reply.
//!
//! Invariant: every call gets exactly one reply, whatever its handler does; a panic is an internal
//! error for its caller and nothing for anybody else.

use std::future::{poll_fn, ready};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::Either;
use tracing::{debug, error};
use virtus_api::{AnyReply, AnyRequest, CallId, Error, Result, StreamKind};
use virtus_core::stream::{self, Stream};
use virtus_core::{BoxFuture, Call, Connection};
use virtus_wire::codec;
use virtus_wire::frame::{Header, MessageKind, Status, encode_frame};
use virtus_wire::program;

use super::outbox::Outgoing;
use super::streams::MAX_STREAMS;
use super::{Client, Phase, send_error};
use crate::errors;

/// What a call came to, with what is needed to say so.
pub(super) struct Answered {
    header: Header,
    call: CallId,
    outcome: Result<AnyReply>,
    stream: Option<Opening>,
}

/// Our end of a stream that begins if its call succeeds.
pub(super) struct Opening {
    stream: Stream,
    kind: StreamKind,
    /// Whether holes may travel on it.
    sparse: bool,
}

/// Calls that wait for something. They are few, so each is polled whenever the client's task runs: then the task
/// that they wait for need only wake this one.
#[derive(Default)]
pub(super) struct Calls(Vec<BoxFuture<Answered>>);

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn push(&mut self, call: impl Future<Output = Answered> + Send + 'static) {
        self.0.push(Box::pin(call));
    }

    /// The next one that has come to an end.
    pub(super) async fn next(&mut self) -> Answered {
        poll_fn(|context| {
            for index in 0..self.0.len() {
                if let Poll::Ready(answered) = self.0[index].as_mut().poll(context) {
                    drop(self.0.swap_remove(index));
                    return Poll::Ready(answered);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Lets them go on without the client: a machine half started would be worse.
    pub(super) fn finish_alone(&mut self) {
        self.0.drain(..).for_each(|call| drop(tokio::spawn(call)));
    }
}

impl Client {
    /// Answers the call in `header` and `body`, or starts to.
    pub(super) async fn call(&mut self, header: Header, body: &[u8], fds: Vec<OwnedFd>) {
        let request = match self.understand(&header, body) {
            Ok(request) => request,
            Err(error) => {
                debug!("client {}: refused: {error}", self.id);
                return send_error(&self.outbox, &header, MessageKind::Reply, &error);
            }
        };
        let call = request.call();
        debug!("client {}: {} ({})", self.id, call.meta().name, header.serial);
        if let Some(outcome) = self.handshake(&request).await {
            return self.answer(Answered { header, call, outcome, stream: None });
        }
        self.start(header, request, fds).await;
    }

    fn understand(&self, header: &Header, body: &[u8]) -> Result<AnyRequest> {
        let served = program::from_number(header.program).filter(|program| {
            self.server.serving().programs().contains(program)
                && header.version == program::version(*program)
        });
        if served.is_none() {
            return Err(errors::unknown_program(header.program, header.version));
        }
        let call = program::lookup(header.program, header.procedure)
            .ok_or_else(|| errors::unknown_procedure(header.procedure))?;
        codec::decode_request(call, body).map_err(errors::undecodable)
    }

    /// Starts a call of an open connection; answers it if it needs no waiting.
    async fn start(&mut self, header: Header, request: AnyRequest, fds: Vec<OwnedFd>) {
        let Phase::Open(connection) = &self.phase else {
            return send_error(&self.outbox, &header, MessageKind::Reply, &errors::not_open());
        };
        let id = request.call();
        let meta = id.meta();
        let mut call = Call::new(connection.session().clone());
        call.fds = fds;
        let mut ours = None;
        if let Some(kind) = meta.stream {
            if !self.streams.may_open() {
                let error = errors::too_many_streams(MAX_STREAMS);
                return send_error(&self.outbox, &header, MessageKind::Reply, &error);
            }
            let (theirs, mine) = stream::pair();
            call.stream = Some(theirs);
            let sparse = meta.sparse_flag.is_some_and(|bit| request.flags() & bit != 0);
            ours = Some(Opening { stream: mine, kind, sparse });
        }
        let answered = move |outcome| Answered { header, call: id, outcome, stream: ours };
        let mut running = guarded(id, connection, call, request);
        match poll_once(&mut running).await {
            Poll::Ready(outcome) => self.answer(answered(outcome)),
            Poll::Pending => self.calls.push(async move { answered(running.await) }),
        }
    }

    /// Queues the reply; a successful call's stream begins.
    pub(super) fn answer(&mut self, answered: Answered) {
        let Answered { header, call, outcome, stream } = answered;
        let outcome =
            outcome.and_then(|reply| match self.transport.passes_fds() || reply.fds.is_empty() {
                true => encode(&header, call, reply),
                false => Err(errors::no_fds_here(call.meta().shown())),
            });
        match outcome {
            Ok(frame) => {
                self.writing.append(frame, &self.outbox);
                if let Some(Opening { stream, kind, sparse }) = stream {
                    self.streams.open(header, kind, sparse, stream);
                }
            }
            Err(error) => {
                debug!("client {}: {} failed: {error}", self.id, call.meta().name);
                send_error(&self.outbox, &header, MessageKind::Reply, &error);
            }
        }
    }
}

fn encode(header: &Header, call: CallId, reply: AnyReply) -> Result<Outgoing> {
    let kind = if reply.fds.is_empty() { MessageKind::Reply } else { MessageKind::ReplyWithFds };
    let mut bytes = Vec::with_capacity(256);
    encode_frame(&header.answer(kind, Status::Ok), reply.fds.len(), &mut bytes, |out| {
        codec::encode_reply(call, &reply, out)
    })
    .map_err(|cause| errors::unencodable(call.meta().shown(), cause))?;
    Ok(Outgoing::with_fds(bytes, reply.fds))
}

/// The handler's future, whose panics are errors.
fn guarded(
    id: CallId,
    connection: &Connection,
    call: Call,
    request: AnyRequest,
) -> impl Future<Output = Result<AnyReply>> + Send + Unpin + use<> {
    let started = catch_unwind(AssertUnwindSafe(|| connection.respond(call, request)));
    let running = match started {
        Ok(future) => Either::Left(AssertUnwindSafe(future).catch_unwind()),
        Err(panic) => Either::Right(ready(Err(panic))),
    };
    running.map(move |outcome| outcome.unwrap_or_else(|_| Err(panicked(id))))
}

fn panicked(id: CallId) -> Error {
    // The panic hook has logged the place and the text.
    error!("the handler of {} panicked", id.meta().name);
    errors::panicked(id.meta().shown())
}

/// One poll, with this task's waker.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
}

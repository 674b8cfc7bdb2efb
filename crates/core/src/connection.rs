// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A connection: anything that can answer requests.
//!
//! The checks that hold for every call stand here once: what a read-only session may ask, and the
//! answer to what no driver registers.

use std::sync::Arc;

use virtus_api::{AnyReply, AnyRequest, CallId, Error, ErrorCode, ErrorDomain, Request, Result};

use crate::routes::{BoxFuture, unsupported};
use crate::{Call, Routes, Session};

/// Answers requests: a driver in this process, or one behind a socket.
pub trait Responder: Send + Sync {
    /// Whether it has an answer (even a refusal) to this call. Constant, cheap.
    fn answers(&self, call: CallId) -> bool;

    /// Starts to answer. Returns at once; the future never blocks a thread.
    fn respond(&self, call: Call, request: AnyRequest) -> BoxFuture<Result<AnyReply>>;

    /// A session that may have called has ended: forget its registrations, end what it owns.
    fn session_closed(&self, session: &Arc<Session>);
}

/// A driver together with its routes.
pub struct Service<D> {
    driver: Arc<D>,
    routes: Routes<D>,
    closed: fn(&Arc<D>, &Arc<Session>),
}

impl<D: Send + Sync + 'static> Service<D> {
    /// `closed` is called for each session that ends.
    #[must_use]
    pub fn new(driver: Arc<D>, routes: Routes<D>, closed: fn(&Arc<D>, &Arc<Session>)) -> Arc<Self> {
        Arc::new(Self { driver, routes, closed })
    }
}

impl<D: Send + Sync + 'static> Responder for Service<D> {
    fn answers(&self, call: CallId) -> bool {
        self.routes.answers(call)
    }

    fn respond(&self, call: Call, request: AnyRequest) -> BoxFuture<Result<AnyReply>> {
        self.routes.respond(&self.driver, call, request)
    }

    fn session_closed(&self, session: &Arc<Session>) {
        (self.closed)(&self.driver, session);
    }
}

/// A session and those who answer it, first the hypervisor driver, then the drivers of networks,
/// storage, … that serve it.
#[derive(Clone)]
pub(crate) struct Drivers {
    session: Arc<Session>,
    responders: Arc<[Arc<dyn Responder>]>,
}

impl Drivers {
    /// Asks with a typed request.
    pub(crate) async fn ask<R: Request>(&self, request: R) -> Result<R::Reply> {
        let reply = self.respond(Call::new(self.session.clone()), AnyRequest::new(request)).await?;
        reply.take::<R>().map_err(|_| unsupported(R::CALL))
    }

    pub(crate) fn respond(&self, call: Call, request: AnyRequest) -> BoxFuture<Result<AnyReply>> {
        let id = request.call();
        match self.responders.iter().find(|r| r.answers(id)) {
            Some(responder) => responder.respond(call, request),
            None => Box::pin(async move { Err(unsupported(id)) }),
        }
    }
}

/// An open connection.
#[derive(Clone)]
pub struct Connection {
    drivers: Drivers,
}

impl Connection {
    /// Opens `session` onto `responders`; for each call the first that answers it is asked. Access is
    /// controlled if it is for the session.
    #[must_use]
    pub fn new(session: Arc<Session>, responders: Vec<Arc<dyn Responder>>) -> Self {
        Self { drivers: Drivers { session, responders: responders.into() } }
    }

    /// Whose connection this is.
    #[must_use]
    pub fn session(&self) -> &Arc<Session> {
        &self.drivers.session
    }

    /// Whether anyone answers this call.
    #[must_use]
    pub fn answers(&self, call: CallId) -> bool {
        self.drivers.responders.iter().any(|responder| responder.answers(call))
    }

    /// Asks with a typed request, in this process.
    pub async fn call<R: Request>(&self, request: R) -> Result<R::Reply> {
        let call = Call::new(self.session().clone());
        let reply = self.respond(call, AnyRequest::new(request)).await?;
        reply.take::<R>().map_err(|_| unsupported(R::CALL))
    }

    /// Checks what holds for every call, then starts to answer.
    pub fn respond(&self, call: Call, request: AnyRequest) -> BoxFuture<Result<AnyReply>> {
        let id = request.call();
        if self.session().read_only && !id.meta().permits_read_only(request.flags()) {
            let text = format!("read only access prevents {}", id.meta().shown());
            let error = Error::new(ErrorCode::OperationDenied, text)
                .in_domain(ErrorDomain::Rpc)
                .hint("open the connection without the read-only option (virsh: without -r)");
            return Box::pin(async move { Err(error) });
        }
        match self.session().guard() {
            Some(guard) => {
                let (guard, drivers) = (guard.clone(), self.drivers.clone());
                Box::pin(async move { guard.respond(drivers, call, request).await })
            }
            None => self.drivers.respond(call, request),
        }
    }

    /// Tells every responder that the session has ended.
    pub fn close(&self) {
        for responder in &*self.drivers.responders {
            responder.session_closed(&self.drivers.session);
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The table from request types to a driver's functions. It is also the driver's support matrix:
//! what is not in it answers `VIR_ERR_NO_SUPPORT`.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;

use virtus_api::{AnyReply, AnyRequest, CallId, Error, ErrorDomain, Request, Result};

use crate::Call;

/// A boxed future that may move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

type Handler<D> =
    Box<dyn Fn(Arc<D>, Call, AnyRequest) -> BoxFuture<Result<AnyReply>> + Send + Sync>;

/// Which function of driver `D` answers which call. Looked up by [`CallId`] in constant time.
pub struct Routes<D> {
    handlers: Vec<Option<Handler<D>>>,
}

impl<D: Send + Sync + 'static> Routes<D> {
    /// A driver that answers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { handlers: std::iter::repeat_with(|| None).take(CallId::COUNT).collect() }
    }

    /// Registers `handler` for the call that its third argument names.
    #[must_use]
    pub fn on<R, F, Fut>(self, handler: F) -> Self
    where
        R: Request,
        F: Fn(Arc<D>, Call, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Reply>> + Send + 'static,
    {
        self.erased(handler, AnyReply::new::<R>)
    }

    /// The same for a handler that answers with descriptors beside the reply.
    #[must_use]
    pub fn on_with_fds<R, F, Fut>(self, handler: F) -> Self
    where
        R: Request,
        F: Fn(Arc<D>, Call, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(R::Reply, Vec<OwnedFd>)>> + Send + 'static,
    {
        self.erased(handler, |(reply, fds)| AnyReply::new::<R>(reply).with_fds(fds))
    }

    fn erased<R, F, Fut, T>(mut self, handler: F, erase: fn(T) -> AnyReply) -> Self
    where
        R: Request,
        F: Fn(Arc<D>, Call, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
        T: 'static,
    {
        let erased = move |driver, call, request: AnyRequest| -> BoxFuture<Result<AnyReply>> {
            match request.take::<R>() {
                Ok(request) => {
                    let answer = handler(driver, call, request);
                    Box::pin(async move { answer.await.map(erase) })
                }
                Err(request) => Box::pin(async move { Err(unsupported(request.call())) }),
            }
        };
        self.handlers[R::CALL.index()] = Some(Box::new(erased));
        self
    }

    /// Adds every route of `others`; theirs win where both answer.
    #[must_use]
    pub fn include(mut self, others: Self) -> Self {
        for (mine, theirs) in self.handlers.iter_mut().zip(others.handlers) {
            if theirs.is_some() {
                *mine = theirs;
            }
        }
        self
    }

    /// Errors speak for `domain`, unless something closer to the cause does.
    #[must_use]
    pub fn in_domain(self, domain: ErrorDomain) -> Self {
        let by = |handler: Handler<D>| -> Handler<D> {
            Box::new(move |driver, call, request| {
                let answer = handler(driver, call, request);
                Box::pin(async move { answer.await.map_err(|error| error.or_domain(domain)) })
            })
        };
        Self { handlers: self.handlers.into_iter().map(|handler| handler.map(by)).collect() }
    }

    /// Lets `check` refuse calls before their handlers see them.
    #[must_use]
    pub fn guarded(self, check: fn(&D, &AnyRequest) -> Result<()>) -> Self {
        let by = |handler: Handler<D>| -> Handler<D> {
            Box::new(move |driver, call, request| match check(&driver, &request) {
                Ok(()) => handler(driver, call, request),
                Err(refusal) => Box::pin(async move { Err(refusal) }),
            })
        };
        Self { handlers: self.handlers.into_iter().map(|handler| handler.map(by)).collect() }
    }

    /// Whether this driver answers `call`.
    #[must_use]
    pub fn answers(&self, call: CallId) -> bool {
        self.handlers[call.index()].is_some()
    }

    /// The calls that this driver answers.
    #[must_use]
    pub fn calls(&self) -> Vec<CallId> {
        CallId::ALL.iter().copied().filter(|call| self.answers(*call)).collect()
    }

    /// Starts the handler of `request`.
    pub fn respond(
        &self,
        driver: &Arc<D>,
        call: Call,
        request: AnyRequest,
    ) -> BoxFuture<Result<AnyReply>> {
        match &self.handlers[request.call().index()] {
            Some(handler) => handler(driver.clone(), call, request),
            None => Box::pin(async move { Err(unsupported(request.call())) }),
        }
    }
}

impl<D: Send + Sync + 'static> Default for Routes<D> {
    fn default() -> Self {
        Self::new()
    }
}

/// libvirt names the API function in this error, and clients match on its lead.
pub(crate) fn unsupported(call: CallId) -> Error {
    let name = call.meta().shown();
    Error::no_support(name).in_domain(subject(name))
}

/// Which part of the system a public function belongs to.
fn subject(function: &str) -> ErrorDomain {
    /// Words of names; those of whatever has none are about hosts and guests.
    const WORDS: [(&str, ErrorDomain); 8] = [
        ("Snapshot", ErrorDomain::DomainSnapshot),
        ("Checkpoint", ErrorDomain::DomainCheckpoint),
        ("NWFilter", ErrorDomain::Nwfilter),
        ("NodeDevice", ErrorDomain::Nodedev),
        ("Interface", ErrorDomain::Interface),
        ("Storage", ErrorDomain::Storage),
        ("Secret", ErrorDomain::Secret),
        ("Network", ErrorDomain::Network),
    ];
    // What else a guest has is its own.
    let words = if function.starts_with("virDomain") { &WORDS[..2] } else { &WORDS[..] };
    let known = words.iter().find(|(word, _)| function.contains(word));
    known.map_or(ErrorDomain::Domain, |(_, domain)| *domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_supported_is_told_by_the_part_of_the_system_that_lacks_it() {
        for (function, domain) in [
            ("virConnectListAllNWFilterBindings", ErrorDomain::Nwfilter),
            ("virDomainInterfaceStats", ErrorDomain::Domain),
            ("virDomainSnapshotGetParent", ErrorDomain::DomainSnapshot),
            ("virNodeGetMemoryStats", ErrorDomain::Domain),
            ("virNodeDeviceReset", ErrorDomain::Nodedev),
        ] {
            assert_eq!(subject(function), domain, "{function}");
        }
    }
}

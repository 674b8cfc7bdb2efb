// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Requests and replies whose type is known only at run time, as dispatch and proxies need them.

use std::any::{Any, type_name};
use std::fmt;
use std::os::fd::OwnedFd;

use crate::{CallId, Request, Subject};

/// Any request: what a socket delivers and a route table takes.
pub struct AnyRequest {
    call: CallId,
    body: Box<dyn Body>,
}

/// Any reply, to be understood with the id of its call.
pub struct AnyReply {
    answer: Box<dyn Answer>,
    /// Descriptors that travel with it.
    pub fds: Vec<OwnedFd>,
}

trait Body: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
    fn debug(&self) -> &dyn fmt::Debug;
    fn flags(&self) -> u32;
    fn subject(&self) -> Subject<'_>;
    fn document(&self) -> Option<&str>;
    fn copy(&self) -> Box<dyn Body>;
}

impl<R: Request> Body for R {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
    fn debug(&self) -> &dyn fmt::Debug {
        self
    }
    fn flags(&self) -> u32 {
        Request::flags(self)
    }
    fn subject(&self) -> Subject<'_> {
        Request::subject(self)
    }
    fn document(&self) -> Option<&str> {
        Request::document(self)
    }
    fn copy(&self) -> Box<dyn Body> {
        Box::new(self.clone())
    }
}

trait Answer: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
    fn debug(&self) -> &dyn fmt::Debug;
}

impl<T: fmt::Debug + Send + Sync + 'static> Answer for T {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
    fn debug(&self) -> &dyn fmt::Debug {
        self
    }
}

impl AnyRequest {
    pub fn new<R: Request>(request: R) -> Self {
        Self { call: R::CALL, body: Box::new(request) }
    }

    #[must_use]
    pub fn call(&self) -> CallId {
        self.call
    }

    /// See [`Request::flags`].
    #[must_use]
    pub fn flags(&self) -> u32 {
        self.body.flags()
    }

    /// See [`Request::subject`].
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        self.body.subject()
    }

    /// See [`Request::document`].
    #[must_use]
    pub fn document(&self) -> Option<&str> {
        self.body.document()
    }

    /// The request as a value of any type.
    #[must_use]
    pub fn as_any(&self) -> &dyn Any {
        (*self.body).as_any()
    }

    /// The request, if it is an `R`.
    #[must_use]
    pub fn get<R: Request>(&self) -> Option<&R> {
        self.body.as_any().downcast_ref()
    }

    /// The request itself, or the unchanged erased one if it is not an `R`.
    pub fn take<R: Request>(self) -> Result<R, Self> {
        if self.call != R::CALL {
            return Err(self);
        }
        let call = self.call;
        match self.body.into_any().downcast() {
            Ok(request) => Ok(*request),
            Err(_) => unreachable!("{call:?} is the id of {} alone", type_name::<R>()),
        }
    }
}

impl Clone for AnyRequest {
    fn clone(&self) -> Self {
        Self { call: self.call, body: self.body.copy() }
    }
}

impl fmt::Debug for AnyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.body.debug().fmt(f)
    }
}

impl AnyReply {
    /// Erases the reply to an `R`.
    pub fn new<R: Request>(reply: R::Reply) -> Self {
        Self { answer: Box::new(reply), fds: Vec::new() }
    }

    /// The same reply with these descriptors.
    #[must_use]
    pub fn with_fds(self, fds: Vec<OwnedFd>) -> Self {
        Self { fds, ..self }
    }

    /// The reply as a value of any type.
    #[must_use]
    pub fn as_any(&self) -> &dyn Any {
        (*self.answer).as_any()
    }

    /// The reply, if it is one to an `R`.
    #[must_use]
    pub fn get<R: Request>(&self) -> Option<&R::Reply> {
        self.as_any().downcast_ref()
    }

    /// The reply itself without descriptors, or the unchanged erased one if its type is not that of replies to an `R`.
    pub fn take<R: Request>(self) -> Result<R::Reply, Self> {
        if !self.as_any().is::<R::Reply>() {
            return Err(self);
        }
        match self.answer.into_any().downcast() {
            Ok(reply) => Ok(*reply),
            Err(_) => unreachable!("the type was just compared"),
        }
    }
}

impl fmt::Debug for AnyReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (*self.answer).debug().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use crate::{AnyReply, AnyRequest, CallId, ConnectGetHostname, ConnectOpen};

    #[test]
    fn erased_values_come_back_as_they_were() {
        let open = ConnectOpen { name: Some("test:///default".into()), flags: 1 };
        let erased = AnyRequest::new(open.clone());
        assert_eq!((erased.call(), erased.flags()), (CallId::ConnectOpen, 1));
        assert_eq!(erased.get::<ConnectOpen>(), Some(&open));
        let erased = erased.take::<ConnectGetHostname>().expect_err("another call");
        assert_eq!(erased.take::<ConnectOpen>().ok(), Some(open));
    }

    #[test]
    fn replies_are_told_apart_by_type() {
        let reply = AnyReply::new::<ConnectGetHostname>("host".into());
        assert!(reply.get::<ConnectOpen>().is_none());
        assert_eq!(reply.take::<ConnectGetHostname>().ok().as_deref(), Some("host"));
    }
}

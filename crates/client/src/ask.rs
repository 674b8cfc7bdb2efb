// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A call that is about to be made: arguments first, then flags and deadline, then await.

use std::future::IntoFuture;
use std::mem;
use std::os::fd::OwnedFd;
use std::time::Duration;

use virtus_api::{AnyRequest, Error, ErrorCode, ErrorDomain, Request, Result};
use virtus_core::BoxFuture;
use virtus_core::stream;

use crate::link::Luggage;
use crate::{Connection, Stream};

/// A call that is about to be made. It is made when it is awaited, or by
/// [`wait`](crate::blocking::Wait::wait) where there is no runtime.
#[must_use = "a call is made when it is awaited"]
pub struct Ask<R: Request, T = <R as Request>::Reply> {
    connection: Connection,
    request: R,
    fds: Vec<OwnedFd>,
    limit: Option<Duration>,
    then: fn(Answer<R>) -> T,
}

/// What has come back.
pub(crate) struct Answer<R: Request> {
    pub(crate) connection: Connection,
    pub(crate) reply: R::Reply,
    pub(crate) fds: Vec<OwnedFd>,
    stream: Option<Stream>,
}

impl<R: Request> Answer<R> {
    pub(crate) fn take_stream(&mut self) -> Stream {
        self.stream.take().unwrap_or_else(|| Stream::broken(&self.connection))
    }

    pub(crate) fn into_stream(mut self) -> Stream {
        self.take_stream()
    }
}

impl<R: Request, T> Ask<R, T> {
    pub(crate) fn new(connection: &Connection, request: R, then: fn(Answer<R>) -> T) -> Self {
        Self { connection: connection.clone(), request, fds: Vec::new(), limit: None, then }
    }

    pub(crate) fn with_fds(mut self, fds: Vec<OwnedFd>) -> Self {
        self.fds = fds;
        self
    }

    /// How long this call may take, instead of what [`Options::deadline`](crate::Options::deadline)
    /// says. When it is over the call fails; what it asked for may still happen.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The request that will be made.
    pub fn request(&self) -> &R {
        &self.request
    }

    async fn make(self) -> Result<T> {
        let Self { connection, request, fds, limit, then } = self;
        let meta = R::CALL.meta();
        let sparse = meta.sparse_flag.is_some_and(|bit| request.flags() & bit != 0);
        let mut luggage = Luggage { fds, stream: None };
        let stream = meta.stream.map(|kind| {
            let (theirs, ours) = stream::pair();
            luggage.stream = Some(theirs);
            Stream::new(&connection, ours, kind, sparse)
        });
        let mut reply = connection.link().call(AnyRequest::new(request), luggage, limit).await?;
        let fds = mem::take(&mut reply.fds);
        let reply = reply.take::<R>().map_err(|_| {
            let text = format!("the reply to {} is that to another call", meta.shown());
            Error::new(ErrorCode::InternalError, text).in_domain(ErrorDomain::Rpc)
        })?;
        Ok(then(Answer { connection, reply, fds, stream }))
    }
}

impl<R: Flagged, T> Ask<R, T> {
    /// Adds flags: a set such as [`DomainXmlFlags`](virtus_api::DomainXmlFlags), or bits.
    pub fn flags(mut self, flags: impl Bits) -> Self {
        *self.request.flags_mut() |= flags.bits();
        self
    }
}

impl<R: Request, T: Send + 'static> IntoFuture for Ask<R, T> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<Result<T>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.make())
    }
}

/// A call with flags.
pub trait Flagged: Request {
    /// They.
    fn flags_mut(&mut self) -> &mut u32;
}

/// A set of flags, or a number whose bits they are.
pub trait Bits {
    /// The bits.
    fn bits(self) -> u32;
}

impl Bits for u32 {
    fn bits(self) -> u32 {
        self
    }
}

macro_rules! flagged {
    ($($name:ident),*) => { $(
        impl $crate::ask::Flagged for virtus_api::$name {
            fn flags_mut(&mut self) -> &mut u32 {
                &mut self.flags
            }
        }
    )* };
}

macro_rules! bits {
    ($($name:ident),*) => { $(
        impl $crate::ask::Bits for virtus_api::$name {
            fn bits(self) -> u32 {
                virtus_api::$name::bits(&self)
            }
        }
    )* };
}
pub(crate) use {bits, flagged};

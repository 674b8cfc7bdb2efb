// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From bodies to requests and replies and back, by the id of the call.
//!
//! One row per call holds four functions; everything else here looks up a row.

use std::any::Any;

use virtus_api::{AnyReply, AnyRequest, CallId, Request};

use crate::generated::codecs::CODECS;
pub use crate::program::{Address, address, lookup};
use crate::xdr::{DecodeError, Decoder, EncodeError, Encoder, Shape, Xdr};

/// What the wire knows about a request beyond the fields: how its reply looks.
pub(crate) trait Message: Request + Xdr {
    const REPLY: Shape;

    fn put_reply(reply: &Self::Reply, out: &mut Encoder<'_>);

    fn take_reply(input: &mut Decoder<'_>) -> Result<Self::Reply, DecodeError>;
}

/// Implements [`Message`]: a request and the fields that its reply answers.
macro_rules! calls {
    ($($name:ident => $reply:ty $([$max:ident])?;)*) => { $(
        impl $crate::codec::Message for virtus_api::$name {
            const REPLY: $crate::xdr::Shape = $crate::xdr::shape_of!($reply $(, $max)?);

            fn put_reply(reply: &$reply, out: &mut $crate::xdr::Encoder<'_>) {
                $crate::xdr::put!(*reply, out $(, $max)?)
            }

            fn take_reply(
                input: &mut $crate::xdr::Decoder<'_>,
            ) -> Result<$reply, $crate::xdr::DecodeError> {
                Ok($crate::xdr::take!(input $(, $max)?))
            }
        }
    )* };
}
pub(crate) use calls;

/// The row of one call.
pub(crate) struct Codec {
    take_request: fn(&mut Decoder<'_>) -> Result<AnyRequest, DecodeError>,
    put_request: fn(&dyn Any, &mut Encoder<'_>) -> bool,
    take_reply: fn(&mut Decoder<'_>) -> Result<AnyReply, DecodeError>,
    put_reply: fn(&dyn Any, &mut Encoder<'_>) -> bool,
    request: Shape,
    reply: Shape,
}

impl Codec {
    pub(crate) const fn of<R: Message>() -> Self {
        Self {
            take_request: |input| R::take(input).map(AnyRequest::new),
            put_request: |request, out| {
                request.downcast_ref::<R>().map(|request| request.put(out)).is_some()
            },
            take_reply: |input| R::take_reply(input).map(AnyReply::new::<R>),
            put_reply: |reply, out| {
                reply.downcast_ref::<R::Reply>().map(|reply| R::put_reply(reply, out)).is_some()
            },
            request: R::SHAPE,
            reply: R::REPLY,
        }
    }
}

fn row(call: CallId) -> &'static Codec {
    &CODECS[call.index()]
}

/// What the body of a call is made of.
#[must_use]
pub fn request_shape(call: CallId) -> Shape {
    row(call).request
}

/// What the body of a successful reply is made of.
#[must_use]
pub fn reply_shape(call: CallId) -> Shape {
    row(call).reply
}

/// Reads the body of a call. Bytes after the arguments are ignored.
pub fn decode_request(call: CallId, body: &[u8]) -> Result<AnyRequest, DecodeError> {
    (row(call).take_request)(&mut Decoder::new(body))
}

/// Appends the body of a call.
pub fn encode_request<R: Request>(request: &R, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    append(R::CALL, row(R::CALL).put_request, request, out)
}

/// Appends the body of a call whose type is not known here.
pub fn encode_any_request(request: &AnyRequest, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    append(request.call(), row(request.call()).put_request, request.as_any(), out)
}

/// Reads the body of a successful reply to an `R`.
pub fn decode_reply<R: Request>(body: &[u8]) -> Result<R::Reply, DecodeError> {
    let reply = decode_any_reply(R::CALL, body)?;
    match reply.take::<R>() {
        Ok(reply) => Ok(reply),
        Err(_) => unreachable!("the row of {:?} makes its own replies", R::CALL),
    }
}

/// Reads the body of a successful reply.
pub fn decode_any_reply(call: CallId, body: &[u8]) -> Result<AnyReply, DecodeError> {
    (row(call).take_reply)(&mut Decoder::new(body))
}

/// Appends the body of a successful reply.
pub fn encode_reply(call: CallId, reply: &AnyReply, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    append(call, row(call).put_reply, reply.as_any(), out)
}

/// Appends a value; on error `out` is as it was before.
fn append(
    call: CallId,
    put: fn(&dyn Any, &mut Encoder<'_>) -> bool,
    value: &dyn Any,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let before = out.len();
    let mut encoder = Encoder::new(out);
    if !put(value, &mut encoder) {
        encoder.fail(EncodeError::OtherType { call: call.meta().name });
    }
    let done = encoder.finish();
    if done.is_err() {
        out.truncate(before);
    }
    done
}

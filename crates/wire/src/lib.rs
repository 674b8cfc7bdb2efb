// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How calls look on a socket: frames, XDR, program and procedure numbers, events, errors.
//!
//! - [`frame`]: the length word, the 24-byte [`Header`](frame::Header), the body; how long a frame is
//!   before all of it has arrived.
//! - [`codec`]: from (program, procedure) to [`CallId`](virtus_api::CallId), from a body to a request or
//!   reply and back, typed or erased.
//! - [`events`]: one event value as the message that a client registered for.
//! - [`error_body`]: an [`Error`](virtus_api::Error) as the body of a failed reply, and back.
//! - [`xdr`]: the primitives, and [`Shape`](xdr::Shape), which describes every message.
//!
//! Invariants: no I/O, no `unsafe`; no input panics; what is allocated is at most a constant times the
//! input (8, held at compile time for every list), because every count is checked against the bytes that are
//! there before anything is reserved.

pub mod codec;
pub mod error_body;
pub mod events;
pub mod frame;
mod generated;
pub mod program;
#[cfg(any(test, feature = "sample"))]
pub mod sample;
pub mod xdr;

pub use xdr::{DecodeError, EncodeError};

#[cfg(test)]
mod facts;
#[cfg(test)]
mod roundtrip;

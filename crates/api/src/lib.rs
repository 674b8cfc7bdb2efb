// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The vocabulary of libvirt's API: every call as a request type, its reply, events, enums, flags, errors.
//!
//! *A request struct is the call.* `table/` holds the facts; `cargo xtask codegen` writes `generated/`.
//! All types stand at the root of the crate:
//!
//! - [`Request`]: a call. `DomainCreateWithFlags { dom, flags }` answers a [`DomainRef`]; what answers
//!   several things answers a struct of its own (`DomainGetInfoReply`).
//! - [`CallId`], [`Meta`]: which call it is, and what is known about it: class, permissions, read-only or
//!   not, stream, descriptors.
//! - [`AnyRequest`], [`AnyReply`]: a request or reply whose type is known only at run time.
//! - [`Event`] over the families ([`DomainEvent`], [`NetworkEvent`], …), one value per event whatever
//!   message carries it.
//! - enums (`DomainState`, with `TryFrom<i32>`), bit sets (`DomainXmlFlags`), [`params`] (names of
//!   [`TypedParam`]s), [`limits`].
//! - [`Error`]: libvirt's code and domain, a text for people, a hint.
//!
//! Invariants: no I/O, no `unsafe`, nothing here knows how a call looks on a socket (that is `virtus-wire`).

pub mod chars;
mod erased;
mod error;
mod error_codes;
mod event;
mod generated;
mod meta;
mod program;
mod request;
mod typed;

pub use erased::{AnyReply, AnyRequest};
pub use error::{Error, Result};
pub use error_codes::{ErrorCode, ErrorDomain};
pub use event::EventMessage;
pub use generated::*;
pub use meta::{
    Acl, Class, Fds, Meta, Object, Permission, Priority, Registration, StreamKind, When,
};
pub use program::{Program, UnknownValue};
pub use request::{Request, Subject};
pub use typed::{TypedParam, TypedValue};

#[cfg(test)]
mod facts;

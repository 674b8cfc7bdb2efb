// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What every driver and daemon is built from.
//!
//! A **driver** is a table from request types to async functions ([`Routes`]). A **connection** is
//! anything that can answer requests ([`Connection`]). Sessions, events, streams, the store and the
//! configuration file format live here because every driver needs them.
//!
//! Invariants: this crate does not know XDR (a new transport is a crate beside `virtus-rpc`), and
//! no lock in it is held across an `.await`.

pub mod access;
mod call;
pub mod conf;
mod connection;
mod credentials;
mod driver;
pub mod events;
pub mod flags;
mod identity;
pub mod json;
pub mod log;
mod paths;
mod peers;
pub mod rehearsal;
mod routes;
mod session;
pub mod store;
pub mod stream;
mod uri;

pub use call::Call;
pub use connection::{Connection, Responder, Service};
pub use credentials::{Credentials, Keychain};
pub use driver::{Driver, DriverEntry, Environment, Rehearsing, Role, Starting};
pub use identity::Identity;
pub use paths::{Paths, ROOT_VARIABLE};
pub use peers::{Peer, Peered, Peers, Ways};
pub use routes::{BoxFuture, Routes};
pub use session::Session;
pub use uri::Uri;

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What stands between a socket and the drivers, on both of its sides.
//!
//! [`Server`] accepts clients and lives as long as the daemon; each client is one task
//! ([`client`]), which reads frames, starts calls, and writes what the client's outbox holds.
//! [`engine`] is the other side: the protocol as a client speaks it, without any I/O; [`Remote`] drives
//! it with tokio and is, to those who ask, like any driver.
//!
//! Invariants: no client can make another wait (every queue is bounded per client, a handler's
//! panic is its caller's error, a slow reader is cut off); nothing is allocated because a length
//! word says so, only because bytes have arrived; descriptors never go back to where they came from.

mod behalf;
mod bell;
mod beside;
mod client;
pub mod engine;
mod errors;
mod generic;
mod keepalive;
mod neighbour;
mod pattern;
mod polkit;
mod remote;
pub mod sasl;
mod server;
#[cfg(test)]
mod tests;
mod tls;
mod transport;

pub use beside::Beside;
pub use client::Authentication;
pub use generic::LIB_VERSION;
pub use generic::responder as local_calls;
pub use keepalive::Policy as KeepalivePolicy;
pub use neighbour::{Conversation, Neighbour};
pub use polkit::access::PolkitAccess;
pub use remote::{Hello, Remote};
pub use server::{
    Access, ClientInfo, ClientLimits, Destination, Directory, Handed, Limits, Listener, Pool,
    PoolSizes, Server, Serving,
};
pub use tls::{ClientFiles, Tls, TlsClient, TlsSettings};
pub use transport::{TlsStream, Transport, UnixSocket};

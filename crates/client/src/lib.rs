// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The Rust API for applications.

mod attach;
mod connection;
mod deadline;
mod dial;
mod events;
mod link;
mod options;
mod resolve;

pub use connection::Connection;
pub use events::{Events, Notice};
pub use options::{Options, Reconnect};
pub use virtus_api as api;
pub use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The Rust API for applications.

mod ask;
mod attach;
pub mod blocking;
mod connection;
mod deadline;
mod dial;
mod events;
mod generated;
mod link;
mod options;
mod resolve;
mod stream;

pub use ask::{Ask, Bits, Flagged};
pub use connection::Connection;
pub use events::{Events, Notice};
pub use generated::*;
pub use options::{Options, Reconnect};
pub use stream::{Chunk, Stream};
pub use virtus_api as api;
pub use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

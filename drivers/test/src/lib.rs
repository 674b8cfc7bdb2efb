// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The test driver: `test:///default` and `test:///path/to/file.xml`, a host that is nothing but memory, for
//! whoever writes clients. Everything that is not a guest is the real machinery: actors, jobs, states, events.
//!
//! Invariants: no call changes this host, apart from files that its caller names (saved memory, core dumps);
//! a world ends with the last session that sees it.

mod auth;
mod document;
mod driver;
mod files;
mod guest;
mod node;
mod null;
mod plug;
mod routes;
mod storage;
mod strict;
mod tuning;
mod world;
mod worlds;

pub use driver::DRIVER;

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What networks, storage pools, devices, host interfaces, secrets and network filters share: collections, changes,
//! files, events, and the calls that every driver of them answers the same way. Behind each kind stands a small
//! trait, its backend, which is all that a new driver writes.
//!
//! Invariants: objects change one at a time, in their own queues of turns; readers take a published, immutable
//! [`Snapshot`] and never wait; no lock but the queue's own is held across an `.await`.

mod collection;
mod events;
pub mod interface;
mod kind;
mod list;
pub mod network;
pub mod node_device;
pub mod nwfilter;
mod object;
pub mod secret;
mod shelf;
mod step;
pub mod storage;

pub use collection::{Collection, Entry};
pub use kind::Kind;
pub use object::{Object, Snapshot, Turn};
pub use shelf::{Folder, Shelf};
pub use step::{Step, refuse};

#[cfg(test)]
mod tests;

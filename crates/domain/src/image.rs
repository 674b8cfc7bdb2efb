// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Disk images: what their first bytes say, what a backing string means, and the chain that follows from both.
//!
//! Invariant: nothing here touches a file; whoever walks a chain hands in what it reads. Bytes and strings come
//! from guests and strangers, so any of them gives a value or an error, never a panic.

pub mod backing;
pub mod chain;
pub mod probe;

pub use backing::Location;
pub use probe::Head;

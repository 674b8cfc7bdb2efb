// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the side-by-side benchmarks share: the least client that can call a daemon, the load on
//! the machine meanwhile, and the tables and plots that compare two of them.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the result is for people")]

mod client;
mod figures;
mod load;
mod plot;

pub use client::{Body, Client, Object};
pub use figures::{Figures, Goal, Measure, Round, Unit, in_turn, median, micros, print};
pub use load::Load;
pub use plot::{Plot, draw};

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the side-by-side benchmarks share: the least client that can call a daemon, and the table that compares two of them.

#![expect(clippy::print_stdout, reason = "the result is for people")]

mod client;
mod figures;

pub use client::{Body, Client, Object};
pub use figures::{Figures, Goal, Measure, Round, median, micros, print};

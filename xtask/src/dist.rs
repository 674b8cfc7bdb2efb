// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `cargo xtask dist`: what packages install beside the programs, made by the package `virtus-packaging`.
//!
//! A program of its own, because it reads the table of daemons, and the other tasks must not wait for all drivers.

use crate::{Result, workspace};

/// Builds and runs it from the folder the user stands in.
pub(crate) fn run(options: &[&str]) -> Result {
    workspace::run("virtus-packaging", options)
}

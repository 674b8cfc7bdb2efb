// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `cargo xtask corpus`: golden data through the pure parts, run by the package `virtus-corpus`.
//!
//! A program of its own, because the other tasks must not wait for the whole product to compile.

use crate::{Result, workspace};

/// Builds and runs the runner from the folder the user stands in.
pub(crate) fn run(options: &[&str]) -> Result {
    workspace::run("virtus-corpus", options)
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The whole of a program that people run on the testbed: a benchmark, a comparison.
#![expect(clippy::print_stderr, reason = "the error is for people")]

use std::process::ExitCode;

use crate::{Outcome, obstacle};

/// Does `work` if this machine allows it; says why, if that does not end well.
pub fn program(work: impl FnOnce() -> Outcome) -> ExitCode {
    let outcome = obstacle().map_or(Ok(()), |obstacle| Err(obstacle.into())).and_then(|()| work());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `cargo xtask`: the tasks that keep the repository true (code generation, tidiness, the test run, golden data).
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task talks to the person who runs it"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "tasks run cargo and git and write sources; no daemon is near"
)]

mod codegen;
mod corpus;
mod dist;
mod test;
mod tidy;
mod workspace;

use std::error::Error;
use std::process::ExitCode;

/// What a task answers: nothing, or the text for the person who ran it.
type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "usage: cargo xtask TASK
  codegen write the generated code from crates/api/table; --check only compares
  tidy    the rules of the house that a program can check
  test    every check and every test, one summary line at the end
  dist    --out DIR [--prefix /usr] …: units, configuration, manual pages, and lists of packages' files
  corpus  DIR [--family F] [--case C] [--failing] [--json]: how much of a folder of golden data passes";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["codegen"] => codegen::run(false).map_err(Into::into),
        ["codegen", "--check"] => codegen::run(true).map_err(Into::into),
        ["tidy"] => tidy::run(),
        ["test"] => test::run(),
        ["dist", options @ ..] => dist::run(options),
        ["corpus", options @ ..] => corpus::run(options),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

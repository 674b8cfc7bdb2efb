// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `virtus sasl-user [--delete] NAME`: the users whom `auth_… = "sasl"` lets in. What is kept proves
//! a password and is not one; daemons look into the file whenever somebody comes.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where a program speaks")]

use std::io::{self, BufRead};
use std::process::ExitCode;

use virtus_api::{Error, ErrorCode, Result};
use virtus_core::Paths;
use virtus_rpc::sasl::Users;
use virtus_rpc::sasl::scram::Verifier;

use crate::authentication::users_file;

/// The word after the program's name.
pub(crate) const NAME: &str = "sasl-user";

pub(crate) const USAGE: &str = "[--delete] NAME";

const HELP: &str = "
  Lets the user NAME in with the password that is read from the first line of standard input.
  --delete  no longer lets that user in";

/// Runs the sub-command.
pub(crate) fn main(program: &str, arguments: impl Iterator<Item = String>) -> ExitCode {
    let (mut delete, mut user) = (false, None);
    for argument in arguments {
        match argument.as_str() {
            "--delete" => delete = true,
            "-h" | "--help" => {
                println!("usage: {program} {NAME} {USAGE}{HELP}");
                return ExitCode::SUCCESS;
            }
            word if word.starts_with('-') || user.is_some() => {
                eprintln!("{program} {NAME}: unexpected argument '{word}'");
                return ExitCode::FAILURE;
            }
            _ => user = Some(argument),
        }
    }
    let Some(user) = user else {
        eprintln!("usage: {program} {NAME} {USAGE}");
        return ExitCode::FAILURE;
    };
    match change(&user, delete) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program} {NAME}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn change(user: &str, delete: bool) -> Result<()> {
    let wrong = |text: &str| Error::new(ErrorCode::InvalidArg, text.to_owned());
    // Clients differ in how they write other letters.
    let writable =
        |text: &str| !text.is_empty() && text.chars().all(|letter| (' '..='~').contains(&letter));
    if !writable(user) || user.contains(' ') || user.starts_with('#') {
        return Err(wrong(
            "a user's name is made of visible ASCII characters, and begins with no '#'",
        ));
    }
    let uid = rustix::process::geteuid();
    let paths = if uid.is_root() { Paths::system() } else { Paths::session(uid.as_raw()) };
    let mut users = Users::load(&users_file(&paths))?;
    if delete {
        return match users.set(user, None)? {
            true => Ok(()),
            false => Err(wrong(&format!("there is no user '{user}'"))),
        };
    }
    let mut password = String::new();
    io::stdin()
        .lock()
        .read_line(&mut password)
        .map_err(|cause| Error::system("cannot read the password", &cause))?;
    let password = password.trim_end_matches('\n');
    if !writable(password) {
        return Err(wrong("a password is made of visible ASCII characters and blanks"));
    }
    let verifier = Verifier::new(password)
        .map_err(|cause| Error::new(ErrorCode::OperationFailed, cause.to_string()))?;
    users.set(user, Some(&verifier)).map(drop)
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What all daemons do the same way; [`table`] says in what they differ.
//!
//! Invariants: a daemon that says it is ready answers on its sockets; its exit touches no guest;
//! of one name and one place, one runs.

mod admin;
mod authentication;
mod background;
mod config;
mod doctor;
mod elsewhere;
mod idle;
mod lockd;
mod logd;
mod logging;
mod network;
mod notify;
pub mod options;
pub mod own;
mod peers;
mod plan;
mod proxy;
mod reexec;
mod run;
mod sasl_user;
pub mod settings;
mod signals;
mod sockets;
pub mod support;
pub mod table;
mod text;
mod work;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use options::{Action, Options};
use table::Daemon;

/// The program `daemon`.
#[must_use]
pub fn main(daemon: &'static Daemon) -> ExitCode {
    let mut arguments = env::args();
    let program = arguments.next().unwrap_or_else(|| daemon.name.to_owned());
    act(daemon, &program, arguments)
}

/// All daemons in one program: the name it is called by tells which, or else the first argument; and the tools
/// that belong to no daemon.
#[must_use]
pub fn multi_call() -> ExitCode {
    let mut arguments = env::args();
    let program = arguments.next().unwrap_or_default();
    let called = Path::new(&program).file_name().and_then(|name| name.to_str());
    if let Some(daemon) = called.and_then(table::find) {
        return act(daemon, &program, arguments);
    }
    match arguments.next() {
        Some(name) if name == plan::NAME => plan::main(&program, arguments),
        Some(name) if name == doctor::NAME => doctor::main(&program, arguments),
        Some(name) if name == sasl_user::NAME => sasl_user::main(&program, arguments),
        Some(name) => match table::find(&name) {
            Some(daemon) => act(daemon, &name, arguments),
            None => text::no_such_daemon(&program, &name),
        },
        None => text::no_such_daemon(&program, ""),
    }
}

fn act(
    daemon: &'static Daemon,
    program: &str,
    arguments: impl Iterator<Item = String>,
) -> ExitCode {
    // Before we listen nothing has been read that could be read anew.
    virtus_host::process::ignore_requests();
    match options::parse(daemon, arguments) {
        Ok(Action::Help) => text::help(daemon, program),
        Ok(Action::Version { long }) => text::version(program, long),
        Ok(Action::Run(options)) => serve(daemon, options),
        Err(error) => text::misused(daemon, program, &error),
    }
}

fn serve(daemon: &'static Daemon, options: Options) -> ExitCode {
    let served = match options.daemon && !background::is_child() {
        true => background::start().map_err(|cause| {
            virtus_api::Error::system("cannot start the daemon in the background", &cause)
        }),
        false => run::run(daemon, options).map(|()| ExitCode::SUCCESS),
    };
    served.unwrap_or_else(|error| text::failed(daemon, &error))
}

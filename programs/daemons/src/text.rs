// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a daemon says to the person who runs it by hand.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where a program speaks")]

use std::process::ExitCode;

use virtus_core::Paths;

use crate::doctor;
use crate::options;
use crate::sasl_user;
use crate::table::{DAEMONS, Daemon};

/// The release whose API, protocol and files these are.
const LIBVIRT: &str = "11.3.0";

pub(crate) fn version(program: &str, long: bool) -> ExitCode {
    println!("{program} (libvirt) {LIBVIRT}");
    if long {
        println!("Virtus {}", env!("CARGO_PKG_VERSION"));
    }
    ExitCode::SUCCESS
}

pub(crate) fn help(daemon: &Daemon, program: &str) -> ExitCode {
    print!("{}", help_text(daemon, program));
    ExitCode::SUCCESS
}

pub(crate) fn misused(daemon: &Daemon, program: &str, error: &str) -> ExitCode {
    eprint!("{program}: {error}\n{}", help_text(daemon, program));
    ExitCode::FAILURE
}

pub(crate) fn failed(daemon: &Daemon, error: &virtus_api::Error) -> ExitCode {
    eprintln!("{}: error: {error}", daemon.name);
    ExitCode::FAILURE
}

pub(crate) fn no_such_daemon(program: &str, name: &str) -> ExitCode {
    let names: Vec<&str> = DAEMONS.iter().map(|daemon| daemon.name).collect();
    if !name.is_empty() {
        eprintln!("{program}: there is no daemon '{name}'");
    }
    eprintln!(
        "usage: {program} NAME [options]\nNAME is one of: {}\n       {program} plan [--json] FILE\n       \
         {program} {} {}\n       {program} {} {}",
        names.join(", "),
        doctor::NAME,
        doctor::USAGE,
        sasl_user::NAME,
        sasl_user::USAGE
    );
    ExitCode::FAILURE
}

fn help_text(daemon: &Daemon, program: &str) -> String {
    let paths = if rustix::process::geteuid().is_root() {
        Paths::system()
    } else {
        Paths::session(rustix::process::geteuid().as_raw())
    };
    let name = daemon.name;
    let mut text = options::usage(daemon, program);
    text.push_str(&format!(
        "\n{}:\n\n  Default paths:\n\n    Configuration file (unless overridden by -f):\n      \
         {}\n\n    Sockets:\n      {}\n",
        daemon.about,
        paths.config.join(format!("{name}.conf")).display(),
        paths.run.join(format!("{}-sock", daemon.socket)).display(),
    ));
    if paths.system && daemon.own.is_none() {
        let ro = paths.run.join(format!("{}-sock-ro", daemon.socket));
        text.push_str(&format!("      {}\n", ro.display()));
    }
    let pid = paths.pid.join(format!("{name}.pid"));
    text.push_str(&format!(
        "\n    PID file (unless overridden by -p):\n      {}\n\n",
        pid.display()
    ));
    text
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `virtus plan [--json] FILE`: what defining and starting a domain document would do on this host.
//! Nothing is changed, and no daemon need run.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where a program speaks")]

use std::io::Read;
use std::process::ExitCode;

use serde_json::{Value, json};
use virtus_api::{Error, ErrorCode, Result};
use virtus_core::rehearsal::{Effect, Rehearsal};
use virtus_core::{Environment, Paths};

use crate::peers::Household;
use crate::table;

/// The word after the program's name.
pub(crate) const NAME: &str = "plan";

const USAGE: &str = "[--json] FILE
  Says what defining and starting the domain in FILE ('-': standard input) would do on this host.
  --json  the same for programs";

/// Runs the sub-command.
pub(crate) fn main(program: &str, arguments: impl Iterator<Item = String>) -> ExitCode {
    let (mut json, mut file) = (false, None);
    for argument in arguments {
        match argument.as_str() {
            "--json" => json = true,
            "-h" | "--help" => {
                println!("usage: {program} {NAME} {USAGE}");
                return ExitCode::SUCCESS;
            }
            "-" => file = Some(argument),
            word if word.starts_with('-') || file.is_some() => {
                eprintln!(
                    "{program} {NAME}: unexpected argument '{word}'\nusage: {program} {NAME} {USAGE}"
                );
                return ExitCode::FAILURE;
            }
            _ => file = Some(argument),
        }
    }
    let Some(file) = file else {
        eprintln!("usage: {program} {NAME} {USAGE}");
        return ExitCode::FAILURE;
    };
    match read(&file).and_then(rehearse) {
        Ok(rehearsal) if json => println!("{:#}", as_json(&rehearsal)),
        Ok(rehearsal) => print!("{}", as_text(&rehearsal)),
        Err(error) => {
            eprintln!("{program} {NAME}: {file}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn read(file: &str) -> Result<String> {
    let mut text = String::new();
    let read = match file {
        "-" => std::io::stdin().read_to_string(&mut text).map(drop),
        path => std::fs::read_to_string(path).map(|read| text = read),
    };
    read.map(|()| text).map_err(|cause| Error::system("cannot read the document", &cause))
}

/// Asks each driver until one knows the document's hypervisor.
fn rehearse(text: String) -> Result<Rehearsal> {
    let uid = rustix::process::geteuid();
    let paths = if uid.is_root() { Paths::system() } else { Paths::session(uid.as_raw()) };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|cause| Error::system("cannot start the runtime", &cause))?;
    runtime.block_on(async {
        for driver in table::LIBVIRTD.drivers {
            let peers = Household::new(&paths, "").peers();
            let environment = Environment { paths: paths.clone(), peers };
            if let Some(rehearsal) = (driver.rehearse)(environment, text.clone()).await? {
                return Ok(rehearsal);
            }
        }
        let known: Vec<_> = table::LIBVIRTD.drivers.iter().map(|driver| driver.name).collect();
        let text = "no driver here runs domains of this type";
        Err(Error::new(ErrorCode::ConfigUnsupported, text)
            .hint(format!("there are drivers for: {}", known.join(", "))))
    })
}

fn as_text(rehearsal: &Rehearsal) -> String {
    let mut text = format!("domain '{}'\n", rehearsal.name);
    let list = |title: &str, effects: &[Effect], text: &mut String| {
        text.push_str(&format!("\n{title}\n"));
        for Effect { act, object, detail } in effects {
            let detail = if detail.is_empty() { String::new() } else { format!("  ({detail})") };
            text.push_str(&format!("  {:<7} {object}{detail}\n", act.word()));
        }
    };
    list("define would", &rehearsal.define, &mut text);
    list("start would", &rehearsal.start, &mut text);
    for (title, lines) in
        [("start would fail", &rehearsal.obstacles), ("without meaning here", &rehearsal.warnings)]
    {
        if !lines.is_empty() {
            text.push_str(&format!("\n{title}\n"));
            lines.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
    }
    text.push_str("\ncommand line\n");
    for (name, value) in &rehearsal.env {
        text.push_str(&format!("  {name}={value}\n"));
    }
    let mut words = rehearsal.command.iter().peekable();
    while let Some(word) = words.next() {
        text.push_str(&format!("  {word}"));
        if word.starts_with('-')
            && let Some(value) = words.next_if(|next| !next.starts_with('-'))
        {
            text.push_str(&format!(" {value}"));
        }
        text.push('\n');
    }
    text
}

fn as_json(rehearsal: &Rehearsal) -> Value {
    let effects = |effects: &[Effect]| {
        let one = |Effect { act, object, detail }: &Effect| json!({ "act": act.word(), "object": object, "detail": detail });
        effects.iter().map(one).collect::<Vec<_>>()
    };
    let env: serde_json::Map<String, Value> =
        rehearsal.env.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "name": rehearsal.name,
        "define": effects(&rehearsal.define),
        "start": effects(&rehearsal.start),
        "obstacles": rehearsal.obstacles,
        "warnings": rehearsal.warnings,
        "env": env,
        "command": rehearsal.command,
        "definition": rehearsal.definition,
    })
}

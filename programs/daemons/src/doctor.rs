// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `virtus doctor [--output json]`: which deployment this host runs, what is wrong with it, and the command that mends it.
//!
//! It looks, and changes nothing: a daemon that systemd would start for its first client is not started by a look.
//! Exit status: 0 nothing to mend, 1 warnings, 2 errors, 3 wrong words.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where a program speaks")]

mod examine;
mod facts;

use std::process::ExitCode;

use serde_json::json;
use virtus_core::Paths;

use examine::{Finding, Severity};
use facts::Facts;

/// The word after `virtus`.
pub(crate) const NAME: &str = "doctor";

/// What comes after it.
pub(crate) const USAGE: &str = "[--output json]";

/// Runs it.
pub(crate) fn main(program: &str, arguments: impl Iterator<Item = String>) -> ExitCode {
    let words: Vec<String> = arguments.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let in_json = match words.as_slice() {
        [] => false,
        ["--output", "json"] | ["--output=json"] => true,
        _ => {
            eprintln!("usage: {program} {NAME} {USAGE}");
            return ExitCode::from(3);
        }
    };
    let facts = Facts::gather(&Paths::system());
    let findings = examine::examine(&facts);
    match in_json {
        true => println!("{:#}", as_json(&facts, &findings)),
        false => print!("{}", as_text(&facts, &findings)),
    }
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Error) => ExitCode::from(2),
        Some(Severity::Warning) => ExitCode::from(1),
        Some(Severity::Note) | None => ExitCode::SUCCESS,
    }
}

fn as_json(facts: &Facts, findings: &[Finding]) -> serde_json::Value {
    let findings: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "severity": finding.severity.name(),
                "subject": finding.subject,
                "text": finding.text,
                "mend": finding.mend,
            })
        })
        .collect();
    json!({
        "deployment": examine::deployment(facts),
        "systemd": facts.systemd,
        "findings": findings,
    })
}

fn as_text(facts: &Facts, findings: &[Finding]) -> String {
    let mut text = format!("deployment: {}\n", examine::deployment(facts));
    if !facts.systemd {
        text.push_str("systemd: not here; daemons are known by their sockets\n");
    }
    for finding in findings {
        let Finding { severity, subject, text: what, mend } = finding;
        text.push_str(&format!("{}: {subject}: {what}\n", severity.name()));
        if let Some(mend) = mend {
            text.push_str(&format!("  mend: {mend}\n"));
        }
    }
    if findings.is_empty() {
        text.push_str("nothing to mend\n");
    }
    text
}

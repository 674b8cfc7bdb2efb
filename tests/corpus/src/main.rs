// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `cargo xtask corpus DIR`: how much of a folder of golden data passes.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that reports to the person who runs it"
)]

use std::process::ExitCode;

use virtus_corpus::{Corpus, Filter, run};

const USAGE: &str =
    "usage: cargo xtask corpus DIR [--family FAMILY] [--case CASE] [--failing] [--json]
  Prints a line `family kind: passed/total` for each kind of check.
  --family FAMILY  only this family
  --case CASE      only cases whose names begin so, and how each result differs
  --failing        name the cases that do not pass, with the beginning of the difference
  --json           the same for programs";

#[derive(Default)]
struct Options {
    folder: String,
    filter: Filter,
    failing: bool,
    json: bool,
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    let value = |word: Option<String>| word.ok_or_else(|| USAGE.to_owned());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--family" => options.filter.family = Some(value(words.next())?),
            "--case" => options.filter.case = Some(value(words.next())?),
            "--failing" => options.failing = true,
            "--json" => options.json = true,
            _ if word.starts_with('-') || !options.folder.is_empty() => {
                return Err(USAGE.to_owned());
            }
            _ => options.folder = word,
        }
    }
    if options.folder.is_empty() { Err(USAGE.to_owned()) } else { Ok(options) }
}

fn main() -> ExitCode {
    let report = options(std::env::args().skip(1)).and_then(|options| {
        let report = run(&Corpus::open(&options.folder)?, &options.filter)?;
        Ok((options, report))
    });
    let (options, report) = match report {
        Ok(done) => done,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if options.json {
        println!("{:#}", report.to_json());
        return ExitCode::SUCCESS;
    }
    for failure in &report.failures {
        if options.filter.case.is_some() {
            println!(
                "{} {} {}\n{}",
                failure.family, failure.kind, failure.case, failure.difference
            );
        } else if options.failing {
            let lines: Vec<&str> = failure.difference.lines().take(2).collect();
            println!("{} {} {}: {}", failure.family, failure.kind, failure.case, lines.join(" | "));
        }
    }
    for (name, score) in &report.scores {
        println!("{name}: {}/{}", score.passed, score.total);
    }
    ExitCode::SUCCESS
}

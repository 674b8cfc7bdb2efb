// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `differential [--show] [GROUP…]`: the stock `virsh` against libvirt's own test driver and against ours, command by
//! command, and how often both say the same.
//!
//! A group is a file of commands beside this one; a blank line in it ends a session. Each session runs in one `virsh`, so
//! that both sides begin with the same `test:///default`. Only what no two runs could have alike is normalised: UUIDs and
//! times that were made up on the way, the folder for files, and the names of C functions in errors.
//!
//! Where stock does not support a call, ours may: the lines `> text` after the command then say what is in our answer.
//! Such commands are counted and shown apart, neither as alike nor as different. Where ours differs on purpose, they say what
//! is in our answer too, and a line `! text` how the row of docs/differences.md begins that explains it. A group with another
//! difference, or below its floor (`floor.txt`, whose numbers only rise), fails; with stock on both sides everything must be
//! alike.
#![expect(clippy::print_stdout, reason = "the result is for people")]

mod compare;
mod session;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use virtus_tests::{Backend, Options, Outcome, Testbed, program};

use crate::compare::{Score, Verdict};
use crate::session::{Session, sessions};

fn main() -> ExitCode {
    program(run)
}

fn run() -> Outcome {
    let mut show = false;
    let mut wanted = Vec::new();
    for word in std::env::args().skip(1) {
        if word == "--show" { show = true } else { wanted.push(word) }
    }
    let bed = Testbed::with(&Options { daemon: Some("libvirtd"), ..Options::default() })?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("differential");
    let floor = std::fs::read_to_string(folder.join("floor.txt"))?;
    let rows = std::fs::read_to_string(folder.join("../../docs/differences.md"))?;
    let proving = Backend::chosen()? != Backend::Ours;
    let mut total = Score::default();
    let mut sunk = Vec::new();
    for (name, file) in groups(&folder)? {
        if !wanted.is_empty() && !wanted.contains(&name) {
            continue;
        }
        let mut score = Score::default();
        for session in sessions(&std::fs::read_to_string(file)?) {
            session.is_explained_by(&rows)?;
            score += both(&bed, &folder, &session, show)?;
        }
        println!("{name}: {score}");
        total += score;
        if !(if proving { score.is_perfect() } else { score.reaches(&floor, &name) }) {
            sunk.push(name);
        }
    }
    println!("all: {total}");
    if sunk.is_empty() {
        Ok(())
    } else {
        Err(format!("below the floor: {}", sunk.join(", ")).into())
    }
}

/// One session on both sides.
fn both(bed: &Testbed, folder: &Path, session: &Session, show: bool) -> Outcome<Score> {
    let ours = bed.uri_of("test", "/default");
    let stock = session.run(bed, folder, "test:///default")?;
    let ours = session.run(bed, folder, &ours)?;
    let mut score = Score::default();
    for ((command, stock), ours) in session.commands.iter().zip(&stock).zip(&ours) {
        let verdict = Verdict::of(stock, ours, command);
        score.add(verdict);
        let mark = match verdict {
            Verdict::More => "+++",
            Verdict::Explained => "===",
            Verdict::Different => "---",
            Verdict::Same => continue,
        };
        if show {
            println!("{mark} {}\n{}", command.line, compare::difference(stock, ours));
        }
    }
    Ok(score)
}

/// The groups by name.
fn groups(folder: &Path) -> Outcome<Vec<(String, PathBuf)>> {
    let mut groups = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "virsh")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            groups.push((name.to_owned(), path.clone()));
        }
    }
    groups.sort();
    Ok(groups)
}

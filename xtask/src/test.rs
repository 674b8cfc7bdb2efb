// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `cargo xtask test`: every check and every test of the repository, and one line at the end that sums them up.
//!
//! A step that cannot run here (a tool is missing) counts as skipped and says why; nothing is passed over in silence.
//! All steps run even if an early one fails, so that one run tells everything.

mod tally;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use self::tally::Tally;
use crate::{Result, workspace};

/// Runs everything; an error if anything failed.
pub(crate) fn run() -> Result {
    let mut tally = Tally::default();
    check(&mut tally, "format", workspace::cargo().args(["fmt", "--all", "--check"]));
    check(
        &mut tally,
        "lint",
        workspace::cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "--deny",
            "warnings",
        ]),
    );
    for task in [["tidy"].as_slice(), &["codegen", "--check"]] {
        check(&mut tally, &task.join(" "), own_task()?.args(task));
    }
    licences(&mut tally);
    // The whole-system tests start the daemons from the target folder, which `cargo test` alone would not build.
    check(&mut tally, "build", workspace::cargo().args(["build", "--workspace", "--quiet"]));
    tests(&mut tally)?;

    scores()?;
    println!();
    for reason in tally.reasons() {
        println!("skipped: {reason}");
    }
    for test in tally.unsteady() {
        println!("unsteady (failed first): {test}");
    }
    for name in tally.failures() {
        println!("failed: {name}");
    }
    println!("{tally}");
    if tally.all_well() { Ok(()) } else { Err("not everything passed".into()) }
}

/// A step that is one command: passed if it ends well.
fn check(tally: &mut Tally, name: &str, command: &mut Command) {
    println!("== {name}");
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => tally.pass(),
        Ok(status) => tally.fail(format!("{name} ({status})")),
        Err(cause) => tally.fail(format!("{name} (cannot run: {cause})")),
    }
}

fn own_task() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.current_dir(workspace::root());
    Ok(command)
}

/// Licences, sources and forbidden crates of the dependencies.
fn licences(tally: &mut Tally) {
    let there = workspace::cargo()
        .args(["deny", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if there {
        check(
            tally,
            "deny",
            workspace::cargo().args(["deny", "--offline", "check", "licenses", "bans", "sources"]),
        );
    } else {
        tally.skip("deny (cargo-deny is not installed)".to_owned());
    }
}

/// All cargo tests, the whole-system ones too, counted from what the test programs print.
fn tests(tally: &mut Tally) -> Result {
    println!("== tests");
    let mut child = workspace::cargo()
        .args(["test", "--workspace", "--no-fail-fast"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let before = tally.failed();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            tally.read(&line);
        }
    }
    let status = child.wait()?;
    // It did not compile, or a test program died before its summary.
    if !status.success() && tally.failed() == before {
        tally.fail(format!("cargo test ({status})"));
    }
    Ok(())
}

/// How many cases of the golden data pass, a line for each kind; counted among the tests, shown here once more because a
/// count below its floor fails and one above it is news. Without the data there are no lines.
fn scores() -> Result {
    let output = workspace::cargo()
        .args(["test", "--quiet", "--package", "virtus-corpus", "--test", "corpus"])
        .args(["--", "--nocapture"])
        .stdin(Stdio::null())
        .output()?;
    println!("== golden data");
    for line in String::from_utf8_lossy(&output.stdout).lines().filter(|line| is_score(line)) {
        println!("{line}");
    }
    Ok(())
}

/// `family kind: passed/total`
fn is_score(line: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    line.rsplit_once(": ")
        .and_then(|(_, score)| score.split_once('/'))
        .is_some_and(|(passed, total)| number(passed) && number(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_told_from_other_lines() {
        assert!(is_score("qemuxmlconf inactive: 880/906"));
        assert!(!is_score("test result: ok. 1 passed; 0 failed"));
        assert!(!is_score("skipped: no corpus at a/b"));
    }
}

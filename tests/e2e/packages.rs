// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What packages do with systemd units: real transactions of rpm on a Debian of their own, as transcripts.
//!
//! A file in `tests/packages/transcripts` is what a person would see: lines `$ command` and what follows from it. The
//! commands are read from it, so a new transcript is a file of commands; `UPDATE_EXPECT=1` fills in the answers.

use std::path::{Path, PathBuf};
use std::process::Command;

use virtus_tests::{Outcome, debian_folder, target_folder};

use crate::Skip;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packages")
}

/// The names of all transcripts, sorted.
pub(crate) fn names() -> Vec<String> {
    crate::names_in(&folder().join("transcripts"), ".txt")
}

/// Replays one transcript; what differs from it is the error.
pub(crate) fn replay(name: &str) -> Outcome {
    let tree = debian_folder().map_err(|error| Skip(error.to_string()))?;
    let packages = target_folder().join("packages");
    output(Command::new(folder().join("build.sh")).arg(&packages))?;
    let file = folder().join(format!("transcripts/{name}.txt"));
    let replay = folder().join("replay.sh");
    let found = output(Command::new(replay).arg(tree).arg(packages.join("RPMS")).arg(&file))?;
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        return Ok(std::fs::write(&file, found)?);
    }
    if found != std::fs::read_to_string(&file)? {
        return Err(format!("the transcript reads now:\n{found}").into());
    }
    Ok(())
}

fn output(command: &mut Command) -> Outcome<String> {
    let done = command.output()?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into());
    }
    Ok(String::from_utf8(done.stdout)?)
}

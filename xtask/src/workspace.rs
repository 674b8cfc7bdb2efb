// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where the repository lies and which files belong to it.
//!
//! Files are those that git tracks or would add, so build output and ignored files are never looked at.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// The folder of the workspace's Cargo.toml.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// All files of the repository, relative to its root, sorted.
pub(crate) fn files() -> Result<Vec<PathBuf>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .map_err(|cause| format!("cannot run git: {cause}"))?;
    if !listed.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr)).into());
    }
    let mut files: Vec<PathBuf> = String::from_utf8(listed.stdout)?
        .split_terminator('\0')
        .map(PathBuf::from)
        .filter(|path| root().join(path).is_file())
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// Cargo with the workspace as its folder, the same cargo that runs this task.
pub(crate) fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root());
    command
}

/// Builds and runs the program of `package`, in the folder the user stands in.
pub(crate) fn run(package: &str, options: &[&str]) -> Result {
    let mut command = cargo();
    command.current_dir(std::env::current_dir()?);
    command.args(["run", "--quiet", "--package", package, "--manifest-path"]);
    let status = command.arg(root().join("Cargo.toml")).arg("--").args(options).status()?;
    if status.success() { Ok(()) } else { Err(format!("{package} failed").into()) }
}

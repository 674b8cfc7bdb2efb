// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clients in other languages: scripts of ours with the bindings of their language.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::run::run;
use crate::{Outcome, target_folder};

/// Where Debian keeps Go packages.
const GO_PATH: &str = "/usr/share/gocode";
const GO_CLIENT: &str = "src/github.com/digitalocean/go-libvirt";

/// How long Go may take, which builds its own library the first time.
const GO_BUILD: Duration = Duration::from_secs(600);

/// A script of ours: a path below `tests/e2e`.
pub fn script(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e").join(path)
}

/// Why scripts in Perl cannot run here.
pub fn perl_obstacle() -> Option<String> {
    let asked = run(Command::new("perl").args(["-MSys::Virt", "-e", "1"]), crate::DEADLINE);
    let there = asked.is_ok_and(|done| done.ok());
    (!there).then(|| "Sys::Virt of Perl is missing (package libsys-virt-perl)".to_owned())
}

/// Why programs in Go cannot be built here.
pub fn go_obstacle() -> Option<String> {
    if !Path::new(GO_PATH).join(GO_CLIENT).exists() {
        let package = "golang-github-digitalocean-go-libvirt-dev";
        return Some(format!("the client in Go is missing (package {package})"));
    }
    let asked = run(Command::new("go").arg("version"), crate::DEADLINE);
    let there = asked.is_ok_and(|done| done.ok());
    (!there).then(|| "Go is missing (package golang-go)".to_owned())
}

/// Builds a program of ours in Go; answers its path.
pub fn go_program(source: &str) -> Outcome<PathBuf> {
    let folder = target_folder().join("go");
    let program = folder.join("program");
    let mut command = Command::new("go");
    command.env("GO111MODULE", "off").env("GOPATH", GO_PATH).env("GOFLAGS", "");
    command.env("GOCACHE", folder.join("cache")).env("CGO_ENABLED", "0");
    let done = run(command.args(["build", "-o"]).arg(&program).arg(script(source)), GO_BUILD)?;
    if done.ok() { Ok(program) } else { Err(format!("{source}: {}", done.err).into()) }
}

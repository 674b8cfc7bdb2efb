// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which daemon is under test: ours, or the stock one on which the tests themselves are proven.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::Outcome;
use crate::run::run;

/// The daemon under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One of the daemons in the target folder, `virtqemud` if a test wants no other.
    Ours,
    /// libvirtd from this folder, where Debian's packages are unpacked.
    Stock(PathBuf),
}

impl Backend {
    /// What `VIRTUS_TEST_BACKEND` says; ours if it says nothing.
    pub fn chosen() -> Outcome<Self> {
        match std::env::var("VIRTUS_TEST_BACKEND").as_deref() {
            Ok("stock") => Self::stock(),
            Ok("ours") | Err(_) => Ok(Self::Ours),
            Ok(other) => Err(format!("VIRTUS_TEST_BACKEND is `{other}`, not ours or stock").into()),
        }
    }

    /// The stock daemon, unpacked on first use.
    pub fn stock() -> Outcome<Self> {
        static UNPACKED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let unpack = || {
            unpacked("stock", &["qemu", "storage", "network"]).map_err(|error| error.to_string())
        };
        UNPACKED.get_or_init(unpack).clone().map(Self::Stock).map_err(Into::into)
    }

    /// The stock daemon with the driver of containers.
    pub fn stock_of_containers() -> Outcome<Self> {
        unpacked("stock-lxc", &["lxc"]).map(Self::Stock)
    }

    /// The daemon's program, as seen in its namespaces.
    pub(crate) fn program(&self, name: &str) -> Outcome<PathBuf> {
        match self {
            Self::Stock(_) => Ok("/usr/sbin/libvirtd".into()),
            Self::Ours => {
                let program = profile_folder()?.join(name);
                if program.exists() {
                    return Ok(program);
                }
                Err(format!("no {}: `cargo build --workspace` first", program.display()).into())
            }
        }
    }
}

/// The folder where the stock daemon is unpacked, with these drivers.
fn unpacked(name: &str, drivers: &[&str]) -> Outcome<PathBuf> {
    let folder = target_folder().join(name);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("testbed/unpack-stock.sh");
    let done = run(Command::new(script).arg(&folder).args(drivers), Duration::from_secs(300))?;
    if done.ok() { Ok(folder) } else { Err(done.err.into()) }
}

/// The path of our daemon, for tests that start it themselves.
pub fn daemon_program() -> Outcome<String> {
    let program = Backend::Ours.program("virtqemud")?;
    Ok(program.to_str().ok_or("the target folder's path is not text")?.to_owned())
}

/// The path of the program that holds all daemons and tools.
pub(crate) fn multi_call_program() -> Outcome<PathBuf> {
    built_program("virtus")
}

/// The path of one of our programs.
pub fn built_program(name: &str) -> Outcome<PathBuf> {
    let program = profile_folder()?.join(name);
    if program.exists() {
        return Ok(program);
    }
    Err(format!("no {}: `cargo build --workspace` first", program.display()).into())
}

/// The folder of the running program's profile: target/debug or target/release.
fn profile_folder() -> Outcome<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().ok_or("the program lies in no folder")?;
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_path_buf())
}

/// Cargo's target folder, where the guest and the stock daemon are kept too.
pub fn target_folder() -> PathBuf {
    let found = profile_folder().ok();
    found.as_deref().and_then(Path::parent).map_or_else(|| "target".into(), Path::to_path_buf)
}

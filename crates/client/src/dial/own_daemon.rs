// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A user's own daemon is started when somebody wants it and it does not run; it ends when nobody has needed it
//! for two minutes.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::time::sleep;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::store;
use virtus_host::process::find_program;

use super::unix;

/// How long the daemon stays without clients and guests, in seconds.
const IDLE: u32 = 120;

/// How often it is looked whether another application has started the daemon.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether the environment lets us start it.
pub(crate) fn is_allowed() -> bool {
    env::var_os("LIBVIRT_AUTOSTART").is_none_or(|value| value != "0")
}

/// Whether nobody listens at a socket.
pub(super) fn is_missing(error: &Error) -> bool {
    let missing = [Errno::NOENT, Errno::CONNREFUSED].map(Errno::raw_os_error);
    error.os_error().is_some_and(|number| missing.contains(&number))
}

/// Starts the daemon called `name`, and connects to its socket. Applications that want it at the same time start
/// it once. Drop the future to give up.
///
/// # Errors
/// `VIR_ERR_OPERATION_FAILED` with the daemon's own words; `VIR_ERR_SYSTEM_ERROR` if it is not installed.
pub(super) async fn start(name: &str, socket: &Path) -> Result<UnixStream> {
    start_program(&program(name)?, name, socket).await
}

async fn start_program(program: &Path, name: &str, socket: &Path) -> Result<UnixStream> {
    let _turn = turn(name, socket).await?;
    // Another one may have started it in the meantime.
    if let Ok(connected) = unix(socket).await {
        return Ok(connected);
    }
    launch(program).await?;
    unix(socket).await
}

/// Where the daemon's program is.
fn program(name: &str) -> Result<PathBuf> {
    let told = ["VIRTD_PATH", "LIBVIRTD_PATH"].into_iter().find_map(env::var_os);
    let told = told.map(PathBuf::from);
    let found = told.or_else(|| find_program(name)).or_else(|| {
        // Users seldom have it in their PATH.
        find_program(Path::new("/usr/sbin").join(name))
    });
    found.ok_or_else(|| {
        let cause = std::io::Error::from(std::io::ErrorKind::NotFound);
        Error::system(format!("cannot find the program '{name}'"), &cause)
            .in_domain(ErrorDomain::Rpc)
            .hint("install it, or open a system's connection (qemu:///system)")
    })
}

/// The right to start it, for as long as the file is open.
async fn turn(name: &str, socket: &Path) -> Result<File> {
    let folder = socket.parent().unwrap_or(Path::new("/"));
    store::make_folder(folder, 0o700)?;
    let path = folder.join(format!("{name}.lock"));
    let failed = |cause: &std::io::Error| {
        Error::system(format!("cannot lock '{}'", path.display()), cause)
            .in_domain(ErrorDomain::Rpc)
    };
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|cause| failed(&cause))?;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK | Errno::INTR) => sleep(PAUSE).await,
            Err(cause) => return Err(failed(&cause.into())),
        }
    }
}

/// Runs the program until its daemon serves in the background.
#[expect(
    clippy::disallowed_methods,
    reason = "the program goes to the background by itself; no daemon's process table is near"
)]
async fn launch(program: &Path) -> Result<()> {
    let done = Command::new(program)
        .arg("--daemon")
        .arg(format!("--timeout={IDLE}"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    let attempt = || format!("cannot start '{}'", program.display());
    let done =
        done.map_err(|cause| Error::system(attempt(), &cause).in_domain(ErrorDomain::Rpc))?;
    if done.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&done.stderr);
    let text = format!("{}: {}: {}", attempt(), done.status, words.trim());
    Err(Error::new(ErrorCode::OperationFailed, text).in_domain(ErrorDomain::Rpc))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::net::UnixListener;

    use super::*;

    /// A folder with a program that does what `script` says; it goes when the test ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(script: &str) -> Self {
            let folder = env::temp_dir().join(format!("virtus-own-{}", uuid::Uuid::new_v4()));
            let text = format!("#!/bin/sh\ncd {}\n{script}\n", folder.display());
            store::write(&folder.join("daemon"), text.as_bytes(), 0o755).unwrap();
            Self(folder)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[tokio::test]
    async fn two_applications_start_one_daemon() {
        // The daemon's socket is the test's own; the program is done when it is there.
        let script = "echo \"$@\" >> started; while ! [ -S sock ]; do sleep 0.02; done";
        let place = Scratch::new(script);
        let (program, socket) = (place.path("daemon"), place.path("sock"));
        let listen = async {
            while !place.path("started").exists() {
                sleep(PAUSE).await;
            }
            UnixListener::bind(&socket).unwrap()
        };
        let start = || start_program(&program, "daemon", &socket);
        let (one, two, _listener) = tokio::join!(start(), start(), listen);
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
        let started = fs::read_to_string(place.path("started")).unwrap();
        assert_eq!(started, "--daemon --timeout=120\n");
    }

    #[tokio::test]
    async fn a_daemon_that_does_not_start_says_why() {
        let place = Scratch::new("echo no room >&2; exit 3");
        let (program, socket) = (place.path("daemon"), place.path("sock"));
        let error = start_program(&program, "daemon", &socket).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::OperationFailed);
        assert!(error.text().ends_with("exit status: 3: no room"), "{error}");
    }
}

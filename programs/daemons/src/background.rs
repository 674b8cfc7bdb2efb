// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `-d`: the daemon goes to the background, and its starter waits until it really serves.
//!
//! The program starts itself once more, which is safe in a program that will have threads. The
//! child's standard output is a pipe: one word on it means "serving"; its end without the word
//! means that the start failed, and the child's exit status is the answer.

use std::env;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// Set for the child only.
const VARIABLE: &str = "VIRTUS_BACKGROUND";
const READY: &[u8] = b"ready\n";

/// Whether this process is the one in the background.
pub(crate) fn is_child() -> bool {
    env::var_os(VARIABLE).is_some()
}

/// Starts this program again in the background and waits until it serves or fails.
#[expect(clippy::disallowed_methods, reason = "the program starts itself before it has a runtime")]
pub(crate) fn start() -> io::Result<ExitCode> {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    // By its real path: the kernel names the process after the last part of it.
    let mut command = Command::new(env::current_exe()?);
    std::os::unix::process::CommandExt::arg0(&mut command, name);
    let mut child = command
        .args(arguments)
        .env(VARIABLE, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut word = Vec::new();
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_end(&mut word)?;
    }
    if word == READY {
        return Ok(ExitCode::SUCCESS);
    }
    let status = child.wait()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.filter(|code| *code != 0).unwrap_or(1)))
}

/// In the child, first of all: leaves the starter's session.
pub(crate) fn detach() -> io::Result<()> {
    rustix::process::setsid()?;
    env::set_current_dir(Path::new("/"))
}

/// In the child: the sockets answer. From here on nothing of the starter's terminal is held.
pub(crate) fn serving() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let mut pipe = io::stdout();
    // A starter that was killed does not wait any more.
    let _gone = pipe.write_all(READY).and_then(|()| pipe.flush());
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Runs short tools to their end: bounded in time and in what they may print.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::time::timeout;
use virtus_api::{Error, ErrorCode, Result};

use super::{Exit, Spawn};

/// What a tool may print at most; the rest of its error output is cut off, more output is an error.
const MAX_OUTPUT: usize = 64 << 20;
const MAX_ERRORS: usize = 64 << 10;
/// What the kernel keeps in a pipe.
const PIPE: usize = 64 << 10;

/// What a tool said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: Vec<u8>,
}

/// A tool to run to its end. It dies with the daemon and with the future that waits for it.
#[derive(Debug)]
pub struct Run {
    spawn: Spawn,
    input: Vec<u8>,
    name: String,
}

impl Run {
    /// Will run `program`: a path, or a name that is looked for in PATH. It gets PATH, `LC_ALL=C` and
    /// nothing else of the environment.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let program = program.into();
        let name = program.display().to_string();
        let spawn = Spawn::new(program).pass_env("PATH").env("LC_ALL", "C");
        Self { spawn: spawn.dies_with_daemon(), input: Vec::new(), name }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(self, arg: impl Into<OsString>) -> Self {
        self.change(|spawn| spawn.arg(arg))
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.change(|spawn| spawn.args(args))
    }

    /// What it reads from its standard input.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Changes how it is started.
    #[must_use]
    pub fn change(mut self, change: impl FnOnce(Spawn) -> Spawn) -> Self {
        self.spawn = change(self.spawn);
        self
    }

    /// Runs it. A tool that fails is no error here: see [`Output::exit`] and [`Self::succeed`].
    ///
    /// # Errors
    /// Where it cannot be started, does not end in time (it is killed) or prints too much.
    pub async fn output(self, deadline: Duration) -> Result<Output> {
        let name = self.name;
        let failed = |cause: &io::Error| Error::system(format!("cannot run '{name}'"), cause);
        let (in_read, in_write) = super::pipe().map_err(|e| failed(&e))?;
        let (out_read, out_write) = super::pipe().map_err(|e| failed(&e))?;
        let (err_read, err_write) = super::pipe().map_err(|e| failed(&e))?;
        let spawn = self.spawn.stdin(in_read).stdout(out_write).stderr(err_write);
        let process = Killed(spawn.start().await?);
        let all = async {
            let mut stdout = Said::new(out_read, MAX_OUTPUT)?;
            let mut stderr = Said::new(err_read, MAX_ERRORS)?;
            let talk = async {
                tokio::try_join!(feed(in_write, &self.input), stdout.read(), stderr.read())
            };
            tokio::select! {
                talked = talk => { talked?; }
                // Who has inherited its output (a process that it leaves behind) is not waited for.
                _ = process.0.exited() => {}
            }
            let exit = process.0.exited().await;
            stdout.read_rest()?;
            stderr.read_rest()?;
            if stdout.cut {
                return Err(io::Error::other(format!("it prints more than {MAX_OUTPUT} bytes")));
            }
            Ok(Output { exit, stdout: stdout.kept, stderr: stderr.kept })
        };
        match timeout(deadline, all).await {
            Ok(output) => output.map_err(|e| failed(&e)),
            Err(_) => Err(Error::new(
                ErrorCode::OperationTimeout,
                format!(
                    "'{name}' did not end within {:.1} s and was killed",
                    deadline.as_secs_f64()
                ),
            )),
        }
    }

    /// Runs it and returns what it printed.
    ///
    /// # Errors
    /// As [`Self::output`], and where the tool fails: its own complaint is the cause.
    pub async fn succeed(self, deadline: Duration) -> Result<Vec<u8>> {
        let name = self.name.clone();
        self.output(deadline).await?.success(&name)
    }
}

impl Output {
    /// What the tool `name` printed.
    ///
    /// # Errors
    /// Where it failed: its own complaint is the cause.
    pub fn success(self, name: &str) -> Result<Vec<u8>> {
        if self.exit.is_success() {
            return Ok(self.stdout);
        }
        let said = String::from_utf8_lossy(&self.stderr);
        let text = match said.trim() {
            "" => format!("'{name}' failed ({})", self.exit),
            said => format!("'{name}' failed ({}): {said}", self.exit),
        };
        Err(Error::new(ErrorCode::OperationFailed, text))
    }
}

/// A tool is of no use to anybody but who waits for it.
struct Killed(super::Process);

impl Drop for Killed {
    fn drop(&mut self) {
        if self.0.try_exited().is_none() {
            // What it has started, and mostly waits for, is in its group, unless it is in ours: then this finds none.
            let _ = rustix::process::kill_process_group(self.0.pid, Signal::KILL);
            // It may end at this very moment.
            let _ = self.0.signal(Signal::KILL);
        }
    }
}

async fn feed(fd: OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let mut pipe = pipe::Sender::from_owned_fd(fd)?;
    match pipe.write_all(bytes).await {
        // A tool need not read what it does not want.
        Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// What a tool says on one pipe, as far as it is kept.
struct Said {
    pipe: pipe::Receiver,
    limit: usize,
    kept: Vec<u8>,
    /// There was more.
    cut: bool,
}

impl Said {
    fn new(fd: OwnedFd, limit: usize) -> io::Result<Self> {
        Ok(Self { pipe: pipe::Receiver::from_owned_fd(fd)?, limit, kept: Vec::new(), cut: false })
    }

    /// Reads to the end. What was read is kept when this is cancelled.
    async fn read(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 4096];
        loop {
            match self.pipe.read(&mut buffer).await? {
                0 => return Ok(()),
                count => self.keep(&buffer[..count]),
            }
        }
    }

    /// Reads what is there now: at most what a pipe holds.
    fn read_rest(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; PIPE];
        // Not by way of the runtime, which may not have heard yet that there is something.
        match rustix::io::read(&self.pipe, &mut buffer[..]) {
            Ok(count) => self.keep(&buffer[..count]),
            Err(Errno::WOULDBLOCK) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(self.limit - self.kept.len());
        self.kept.extend_from_slice(&bytes[..fits]);
        self.cut |= fits < bytes.len();
    }
}

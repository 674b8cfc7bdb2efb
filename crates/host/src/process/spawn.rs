// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Starts programs.
//!
//! Everything that the new process needs is prepared here, before the fork; what runs between fork and
//! exec is in [`child`](super::child) and makes system calls only. What fails there comes back over a
//! pipe and becomes an error that names the program and the step.

use std::collections::BTreeSet;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::net::SocketAddrUnix;
use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use virtus_api::{Error, ErrorCode, Result};

use super::child::{self, Prepared};
use super::{Process, find_program};
use crate::user::Identity;

/// What one of the three standard descriptors becomes.
#[derive(Debug, Default)]
pub enum Stdio {
    /// `/dev/null`.
    #[default]
    Null,
    /// This descriptor: a file, a pipe's end, a socket.
    Fd(OwnedFd),
}

/// A resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Locked memory in bytes.
    LockedMemory,
    /// Open descriptors.
    OpenFiles,
    /// Processes of the user.
    Processes,
    /// Size of a core dump in bytes; 0 forbids it.
    Core,
}

/// A program to start. Nothing is inherited from the daemon that is not given here: environment,
/// descriptors, signal mask and handlers are fresh. By default it has a session of its own and outlives
/// the daemon.
#[derive(Debug)]
pub struct Spawn {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    folder: PathBuf,
    stdio: [Stdio; 3],
    fds: Vec<(RawFd, OwnedFd)>,
    own_session: bool,
    connection: Option<(OwnedFd, SocketAddrUnix)>,
    identity: Option<Identity>,
    umask: Option<u32>,
    limits: Vec<(Limit, u64)>,
    cgroup_procs: Vec<PathBuf>,
    oom_score_adj: Option<i32>,
    cpus: Option<BTreeSet<usize>>,
    drop_capabilities: bool,
    dies_with_daemon: bool,
    pid_file: Option<PathBuf>,
}

impl Spawn {
    /// Will start `program`: a path, or a name that is looked for in PATH.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            folder: "/".into(),
            stdio: [Stdio::Null, Stdio::Null, Stdio::Null],
            fds: Vec::new(),
            own_session: true,
            connection: None,
            identity: None,
            umask: None,
            limits: Vec::new(),
            cgroup_procs: Vec::new(),
            oom_score_adj: None,
            cpus: None,
            drop_capabilities: false,
            dies_with_daemon: false,
            pid_file: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable; the environment is empty otherwise.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.into()));
        self
    }

    /// Passes a variable of the daemon on, if it is set.
    #[must_use]
    pub fn pass_env(self, name: &str) -> Self {
        match std::env::var_os(name) {
            Some(value) => self.env(name, value),
            None => self,
        }
    }

    /// The working folder; `/` otherwise.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Standard input; `/dev/null` otherwise.
    #[must_use]
    pub fn stdin(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.stdio[0] = Stdio::Fd(fd.into());
        self
    }

    /// Standard output; `/dev/null` otherwise.
    #[must_use]
    pub fn stdout(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.stdio[1] = Stdio::Fd(fd.into());
        self
    }

    /// Standard error; `/dev/null` otherwise.
    #[must_use]
    pub fn stderr(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.stdio[2] = Stdio::Fd(fd.into());
        self
    }

    /// Gives a descriptor under the number `number` (3 or more).
    #[must_use]
    pub fn fd(mut self, number: RawFd, fd: impl Into<OwnedFd>) -> Self {
        self.fds.push((number, fd.into()));
        self
    }

    /// Gives a descriptor under the number that it has in the daemon and returns that number, for use
    /// in an argument. It stays close-on-exec in the daemon, so that no other child gets it.
    pub fn inherit(&mut self, fd: impl Into<OwnedFd>) -> RawFd {
        let fd = fd.into();
        let number = fd.as_raw_fd();
        self.fds.push((number, fd));
        number
    }

    /// Stays in the daemon's session and process group.
    #[must_use]
    pub fn in_daemons_session(mut self) -> Self {
        self.own_session = false;
        self
    }

    /// Connects a Unix socket before the program runs, and before it runs as somebody else: whoever listens there sees
    /// the new process. The program does not get it by that; see [`Spawn::fd`].
    #[must_use]
    pub fn connect(mut self, socket: OwnedFd, address: SocketAddrUnix) -> Self {
        self.connection = Some((socket, address));
        self
    }

    /// Runs as somebody else.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Sets the mode bits that new files do not get.
    #[must_use]
    pub fn umask(mut self, mask: u32) -> Self {
        self.umask = Some(mask);
        self
    }

    /// Sets a resource limit, both the soft and the hard one; `u64::MAX` is "unlimited".
    #[must_use]
    pub fn limit(mut self, limit: Limit, value: u64) -> Self {
        self.limits.push((limit, value));
        self
    }

    /// Joins a cgroup before the program runs; `procs` is its `cgroup.procs` file.
    #[must_use]
    pub fn cgroup(mut self, procs: impl Into<PathBuf>) -> Self {
        self.cgroup_procs.push(procs.into());
        self
    }

    /// How eagerly the kernel may kill it when memory runs out, -1000 to 1000.
    #[must_use]
    pub fn oom_score_adj(mut self, score: i32) -> Self {
        self.oom_score_adj = Some(score);
        self
    }

    /// The host CPUs that it may run on.
    #[must_use]
    pub fn cpus(mut self, cpus: impl IntoIterator<Item = usize>) -> Self {
        self.cpus = Some(cpus.into_iter().collect());
        self
    }

    /// Runs without any capability, even as root, and can never get one.
    #[must_use]
    pub fn drop_capabilities(mut self) -> Self {
        self.drop_capabilities = true;
        self
    }

    /// Is killed when the daemon dies. Not for guests. Must be started from a thread that lives as long
    /// as the daemon does: a worker of the runtime, not its blocking pool.
    #[must_use]
    pub fn dies_with_daemon(mut self) -> Self {
        self.dies_with_daemon = true;
        self
    }

    /// Writes the process's number into this file before the program runs: it never runs without, not
    /// even where the daemon is killed meanwhile.
    #[must_use]
    pub fn pid_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.pid_file = Some(path.into());
        self
    }

    /// The program and its arguments, for logs.
    #[must_use]
    pub fn command_line(&self) -> Vec<&OsStr> {
        std::iter::once(self.program.as_os_str()).chain(self.args.iter().map(|a| &**a)).collect()
    }

    /// Starts it and returns once the program runs (its `exec` has succeeded).
    ///
    /// # Errors
    /// Where the program is missing or a step on the way to it fails; the error names both.
    pub async fn start(mut self) -> Result<Process> {
        let program = self.resolve()?;
        let mut prepared = self.prepare(&program)?;
        let failed = |cause: &io::Error| cannot_run(&program, cause);
        let (report_read, report_write) = super::pipe().map_err(|e| failed(&e))?;
        let pid = child::fork_and_exec(&mut prepared, &report_write).map_err(|e| failed(&e))?;
        let gate = prepared.take_gate();
        drop((report_write, prepared));
        let process = Process::of_child(pid)?;
        let mut unclaimed = Unclaimed { process: &process, claimed: false };
        if let (Some(path), Some(gate)) = (&self.pid_file, gate) {
            write_pid_file(path, process.pid())?;
            rustix::io::write(gate, b"\n").map_err(|e| failed(&e.into()))?;
        }
        let mut report = Vec::new();
        let mut reader = pipe::Receiver::from_owned_fd(report_read).map_err(|e| failed(&e))?;
        reader.read_to_end(&mut report).await.map_err(|e| failed(&e))?;
        match child::read_report(&report) {
            None => {
                unclaimed.claimed = true;
                drop(unclaimed);
                Ok(process)
            }
            Some((step, cause)) => {
                process.exited().await;
                Err(self.explain(&program, step, &cause))
            }
        }
    }

    fn resolve(&self) -> Result<PathBuf> {
        find_program(&self.program).ok_or_else(|| {
            let path = self.program.display();
            if self.program.exists() {
                let cause = io::Error::from_raw_os_error(libc::EACCES);
                Error::system(format!("cannot run '{path}'"), &cause)
                    .hint(format!("make it executable: chmod a+x '{path}'"))
            } else {
                let cause = io::Error::from_raw_os_error(libc::ENOENT);
                Error::system(format!("cannot run '{path}'"), &cause)
                    .hint(format!("install the package that contains '{path}'"))
            }
        })
    }

    fn prepare(&mut self, program: &Path) -> Result<Prepared> {
        let mut argv = vec![c_string(self.program.as_os_str())?];
        for arg in &self.args {
            argv.push(c_string(arg)?);
        }
        let mut envp = Vec::new();
        for (name, value) in &self.env {
            let mut pair = name.clone();
            pair.push("=");
            pair.push(value);
            envp.push(c_string(&pair)?);
        }
        let null = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")
            .map_err(|cause| Error::system("cannot open '/dev/null'", &cause))?;
        let mut fds: Vec<(RawFd, RawFd)> = Vec::new();
        for (number, stdio) in (0..).zip(&self.stdio) {
            fds.push(match stdio {
                Stdio::Null => (null.as_raw_fd(), number),
                Stdio::Fd(fd) => (fd.as_raw_fd(), number),
            });
        }
        for (number, fd) in &self.fds {
            if fds.iter().any(|(_, taken)| taken == number) || *number < 0 {
                let text = format!("cannot give descriptor {number} to a program twice");
                return Err(Error::new(ErrorCode::InvalidArg, text));
            }
            fds.push((fd.as_raw_fd(), *number));
        }
        let mut cgroups = Vec::new();
        for procs in &self.cgroup_procs {
            cgroups.push(OpenOptions::new().write(true).open(procs).map_err(|cause| {
                Error::system(format!("cannot open '{}'", procs.display()), &cause)
            })?);
        }
        let gate = match &self.pid_file {
            Some(_) => Some(super::pipe().map_err(|cause| cannot_run(program, &cause))?),
            None => None,
        };
        Ok(Prepared::new(child::Facts {
            program: c_string(program.as_os_str())?,
            argv,
            envp,
            folder: c_string(self.folder.as_os_str())?,
            fds,
            _null: null,
            cgroups,
            own_session: self.own_session,
            connection: self.connection.take(),
            identity: self.identity.clone(),
            umask: self.umask,
            limits: self.limits.clone(),
            oom_score_adj: self.oom_score_adj.map(|score| score.to_string().into_bytes()),
            cpus: self.cpus.clone(),
            drop_capabilities: self.drop_capabilities,
            dies_with_daemon: self.dies_with_daemon,
            gate,
        }))
    }

    fn explain(&self, program: &Path, step: child::Step, cause: &io::Error) -> Error {
        let path = program.display();
        let attempt = match step {
            child::Step::Exec => return cannot_run(program, cause),
            child::Step::Folder => format!("enter the folder '{}'", self.folder.display()),
            child::Step::Identity => match &self.identity {
                Some(identity) => format!("become user {}:{}", identity.uid, identity.gid),
                None => "change its user".to_owned(),
            },
            step => step.text().to_owned(),
        };
        Error::system(format!("cannot run '{path}': the new process cannot {attempt}"), cause)
    }
}

fn write_pid_file(path: &Path, pid: u32) -> Result<()> {
    File::create(path)
        .and_then(|mut file| writeln!(file, "{pid}"))
        .map_err(|cause| Error::system(format!("cannot write '{}'", path.display()), &cause))
}

fn cannot_run(program: &Path, cause: &io::Error) -> Error {
    let error = Error::system(format!("cannot run '{}'", program.display()), cause);
    match cause.raw_os_error() {
        Some(libc::ENOEXEC) => error.hint("it is no program for this machine's architecture"),
        Some(libc::ENOENT) => {
            error.hint("the interpreter or dynamic loader that it names is missing")
        }
        Some(libc::EACCES) => {
            error.hint("it, or a folder above it, may not be executed by that user")
        }
        Some(libc::E2BIG) => error.hint("its arguments are too long"),
        Some(libc::EAGAIN) => error.hint("the limit of processes is reached (ulimit -u, pids.max)"),
        _ => error,
    }
}

fn c_string(text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| {
        let text = format!("argument '{}' contains a zero byte", text.to_string_lossy());
        Error::new(ErrorCode::InvalidArg, text)
    })
}

/// Ends a process whose starter gave up before it was handed over.
struct Unclaimed<'a> {
    process: &'a Process,
    claimed: bool,
}

impl Drop for Unclaimed<'_> {
    fn drop(&mut self) {
        if !self.claimed && self.process.try_exited().is_none() {
            // It may end at this very moment.
            let _ = self.process.signal(Signal::KILL);
        }
    }
}

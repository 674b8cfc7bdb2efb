// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a daemon starts a controller: the blueprint goes over one descriptor, what comes of it over another.
//!
//! ```text
//! daemon                     controller
//!   spawn -- blueprint -->
//!   build -- Place ------>     builds everything, up to an init that waits
//!         <-- Ready or Failed
//!   (status file)
//!   run   -- Run -->           init executes its program
//!         <-- Running or Failed
//! ```
//! A daemon that dies before `Run` ends the controller, and with it the container that nobody knows of; after
//! that its end changes nothing. Whatever fails, the controller removes all that it had made, and ends.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::MemfdFlags;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_host::process::{Process, Spawn};

use crate::blueprint::Blueprint;
use crate::failure::Failure;

/// How long the controller may take for each half of a start.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a controller answers, a line of JSON each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// Everything is there; init waits. Its number on the host.
    Ready(u32),
    /// Init's program runs.
    Running,
    /// It could not be done, and nothing of it is left.
    Failed(Failure),
}

/// The order that lets init execute its program; where the groups are was said before.
pub(crate) const RUN: &[u8] = b"run\n";

/// Where a container's control groups are, if not where its blueprint says: below the scope that machined has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Its own.
    pub(crate) group: String,
    /// The controller's, which must not be in a group that has others below it.
    pub(crate) controller: String,
}

/// A container that is being started.
#[derive(Debug)]
pub struct Starting {
    process: Process,
    handshake: BufReader<UnixStream>,
    /// Init's number on the host.
    pub init: u32,
}

impl Starting {
    /// Starts a controller, which builds the container up to an init that waits. `spawn` is the controller's
    /// program with whatever else is wished for it (log, PID file, group) and the descriptors that the
    /// blueprint names.
    ///
    /// # Errors
    /// What failed in the controller; nothing is left then. Or that it did not answer in time.
    pub async fn begin(spawn: Spawn, blueprint: &Blueprint) -> Result<Self> {
        Self::spawn(spawn, blueprint).await?.build(None).await
    }

    /// Starts a controller, which does nothing before [`Self::build`].
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(crate) async fn spawn(spawn: Spawn, blueprint: &Blueprint) -> Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()
            .and_then(|(ours, theirs)| {
                ours.set_nonblocking(true)?;
                Ok((UnixStream::from_std(ours)?, theirs))
            })
            .map_err(|cause| Error::system("cannot make a socket pair", &cause))?;
        let mut spawn = spawn.arg("--name").arg(&blueprint.name);
        let handshake = spawn.inherit(theirs);
        let plan = spawn.inherit(written(blueprint)?);
        let spawn = spawn.args(["--handshake", &handshake.to_string()]);
        let process = spawn.args(["--blueprint", &plan.to_string()]).start().await?;
        Ok(Self { process, handshake: BufReader::new(ours), init: 0 })
    }

    /// Lets it build the container, up to an init that waits.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub(crate) async fn build(mut self, place: Option<&Place>) -> Result<Self> {
        let mut line = serde_json::to_vec(&place).unwrap_or_default();
        line.push(b'\n');
        // What it has to say of its end is heard below.
        let _gone = self.handshake.get_mut().write_all(&line).await;
        match self.report().await? {
            Report::Ready(init) => self.init = init,
            Report::Running => return Err(lost("says that a container runs that does not")),
            Report::Failed(failure) => return Err(failure.into()),
        }
        Ok(self)
    }

    /// The controller's process. It ends when the container does.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Lets init execute its program. From here on the container does not need the daemon.
    ///
    /// # Errors
    /// Where the program cannot be executed, or the controller was lost; nothing is left then.
    pub async fn run(mut self) -> Result<Process> {
        let sent = self.handshake.get_mut().write_all(RUN).await;
        sent.map_err(|_| lost("ended before the container ran"))?;
        match self.report().await? {
            Report::Running => Ok(self.process),
            Report::Ready(_) => Err(lost("repeats itself")),
            Report::Failed(failure) => Err(failure.into()),
        }
    }

    async fn report(&mut self) -> Result<Report> {
        let mut line = String::new();
        let read = self.handshake.read_line(&mut line);
        match tokio::time::timeout(PATIENCE, read).await {
            Err(_) => {
                // It may wait for something that never comes. Init dies with it; its group and its socket are
                // left for the driver to remove.
                let _ = self.process.signal(Signal::KILL);
                let text = format!("the container's controller took longer than {PATIENCE:?}");
                Err(Error::new(ErrorCode::OperationTimeout, text).in_domain(ErrorDomain::Lxc))
            }
            Ok(read) => {
                let report = read.ok().and_then(|_| serde_json::from_str(&line).ok());
                report.ok_or_else(|| lost("ended before the container ran"))
            }
        }
    }
}

/// The blueprint in memory that only its reader can see.
fn written(blueprint: &Blueprint) -> Result<OwnedFd> {
    let failed = |cause: &std::io::Error| Error::system("cannot write a blueprint", cause);
    let memory = rustix::fs::memfd_create("blueprint", MemfdFlags::CLOEXEC)
        .map_err(|cause| failed(&cause.into()))?;
    let mut file = File::from(memory);
    let text = serde_json::to_vec(blueprint).map_err(|cause| failed(&cause.into()))?;
    file.write_all(&text).and_then(|()| file.rewind()).map_err(|cause| failed(&cause))?;
    Ok(file.into())
}

pub(crate) fn lost(what: &str) -> Error {
    Error::new(ErrorCode::OperationFailed, format!("the container's controller {what}"))
        .in_domain(ErrorDomain::Lxc)
        .hint("its log says more, below /var/log/libvirt/lxc")
}

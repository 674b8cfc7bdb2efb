// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A daemon beside ours that serves one program of its own: the keeper of logs, the keeper of locks.
//!
//! Invariant: every call has a deadline, so that a neighbour that is stopped or stuck holds up nobody; its absence is
//! an error that names the unit to start.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;
use virtus_api::{AnyRequest, Error, ErrorCode, ErrorDomain, Program, Request, Result};

use crate::remote::Remote;
use crate::transport::Transport;

/// How long a neighbour may take to be reached, and to answer a call.
const DEADLINE: Duration = Duration::from_secs(10);

/// How to reach a daemon, whether it is there or not.
#[derive(Debug, Clone)]
pub struct Neighbour {
    name: &'static str,
    program: &'static [Program; 1],
    socket: PathBuf,
}

impl Neighbour {
    /// The keeper of logs, whose socket is in the folder `run`.
    #[must_use]
    pub fn virtlogd(run: &Path) -> Self {
        Self::new("virtlogd", &[Program::Log], run)
    }

    /// The keeper of locks, whose socket is in the folder `run`.
    #[must_use]
    pub fn virtlockd(run: &Path) -> Self {
        Self::new("virtlockd", &[Program::Lock], run)
    }

    fn new(name: &'static str, program: &'static [Program; 1], run: &Path) -> Self {
        Self { name, program, socket: run.join(format!("{name}-sock")) }
    }

    /// Whether it has a socket. That somebody listens there is not certain.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        self.socket.exists()
    }

    /// Where it is reached.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Begins a conversation.
    ///
    /// # Errors
    /// `VIR_ERR_SYSTEM_ERROR` where it is not there, `VIR_ERR_OPERATION_TIMEOUT` where it does not accept.
    pub async fn connect(&self) -> Result<Conversation> {
        let connecting = UnixStream::connect(&self.socket);
        match timeout(DEADLINE, connecting).await {
            Ok(Ok(stream)) => self.converse(stream),
            Ok(Err(cause)) => Err(self.absent(&cause)),
            Err(_) => Err(self.silent()),
        }
    }

    /// Goes on over a socket that is connected already.
    ///
    /// # Errors
    /// The kernel's, if it does not want to watch the socket.
    pub fn converse(&self, stream: UnixStream) -> Result<Conversation> {
        let transport = Transport::try_from(stream).map_err(|cause| self.absent(&cause))?;
        let remote = Remote::of_one_program(transport, self.program);
        Ok(Conversation { remote: Arc::new(remote), neighbour: self.clone() })
    }

    /// The answer where the daemon cannot be reached.
    #[must_use]
    pub fn absent(&self, cause: &io::Error) -> Error {
        let what = format!("Failed to connect socket to '{}'", self.socket.display());
        Error::system(what, cause)
            .in_domain(ErrorDomain::Rpc)
            .hint(format!("start {name}: 'systemctl start {name}.socket'", name = self.name))
    }

    fn silent(&self) -> Error {
        let text = format!("{} does not answer within {} s", self.name, DEADLINE.as_secs());
        Error::new(ErrorCode::OperationTimeout, text)
            .in_domain(ErrorDomain::Rpc)
            .hint(format!("it is stopped or stuck: 'systemctl status {}'", self.name))
    }
}

/// One connection to a neighbour. It ends when it is dropped.
pub struct Conversation {
    remote: Arc<Remote>,
    neighbour: Neighbour,
}

impl Conversation {
    /// Makes a call.
    ///
    /// # Errors
    /// The neighbour's refusal; `VIR_ERR_OPERATION_TIMEOUT` where it does not answer.
    pub async fn ask<R: Request>(&self, request: R) -> Result<R::Reply> {
        self.ask_for_fds(request).await.map(|(reply, _)| reply)
    }

    /// Makes a call whose reply brings descriptors.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn ask_for_fds<R: Request>(&self, request: R) -> Result<(R::Reply, Vec<OwnedFd>)> {
        let asked = self.remote.ask(AnyRequest::new(request), Vec::new(), None);
        let mut reply = timeout(DEADLINE, asked).await.map_err(|_| self.neighbour.silent())??;
        let fds = std::mem::take(&mut reply.fds);
        let reply = reply.take::<R>().map_err(|_| Error::no_support(R::CALL.meta().shown()))?;
        Ok((reply, fds))
    }
}

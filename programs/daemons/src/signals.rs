// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an administrator, or systemd, says by signals.

use tokio::signal::unix::{Signal, SignalKind, signal};
use virtus_api::{Error, Result};

/// The signals that mean something to a daemon that serves.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    requests: Requests,
}

/// Those after which it goes on. Heard before it serves, too; the others end a daemon that starts.
pub(crate) struct Requests {
    reload: Signal,
    replace: Signal,
    /// Received so that they do not end the daemon; they mean nothing.
    _ignored: [Signal; 2],
}

fn on(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|cause| Error::system("cannot listen for a signal", &cause))
}

impl Requests {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            reload: on(SignalKind::hangup())?,
            replace: on(SignalKind::user_defined1())?,
            _ignored: [on(SignalKind::user_defined2())?, on(SignalKind::alarm())?],
        })
    }
}

impl Signals {
    pub(crate) fn new(requests: Requests) -> Result<Self> {
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            quit: on(SignalKind::quit())?,
            requests,
        })
    }

    pub(crate) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Told::Stop("SIGINT"),
            _ = self.quit.recv() => Told::Stop("SIGQUIT"),
            _ = self.requests.reload.recv() => Told::Reload,
            _ = self.requests.replace.recv() => Told::Replace,
        }
    }

    /// What else was said meanwhile is heard afterwards.
    pub(crate) async fn told_to_stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.quit.recv() => "SIGQUIT",
        }
    }
}

/// What a signal asks for.
pub(crate) enum Told {
    Stop(&'static str),
    Reload,
    Replace,
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! polkit's own agent for terminals, which asks the user for a password where no desktop does.
//!
//! ```text
//! refused: no agent ─▶ pkttyagent ─▶ try again ─▶ open
//!                                      ▲   └─ wrong password, a few times
//!                                      └──────┘
//! ```

use std::io::{IsTerminal, stderr, stdin};
use std::process::Stdio;
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_host::process::{Stat, find_program};

const PROGRAM: &str = "pkttyagent";

/// How long it may take until polkit knows the agent.
const READY: Duration = Duration::from_secs(10);

/// Wrong passwords until it is given up, as in libvirt's tools.
const TRIES: u32 = 5;

/// The agent of one attempt to open a connection.
pub(crate) struct Agent {
    wanted: bool,
    running: Option<Running>,
    failures: u32,
}

impl Agent {
    /// One that is started when it is needed and `wanted`.
    pub(crate) fn new(wanted: bool) -> Self {
        Self { wanted, running: None, failures: 0 }
    }

    /// Whether another attempt makes sense after this refusal: now that the agent runs, or because a password was
    /// wrong.
    ///
    /// # Errors
    /// The refusal, if not.
    pub(crate) async fn help(&mut self, refusal: Error) -> Result<()> {
        let of_polkit = refusal.domain() == ErrorDomain::Polkit;
        match (&self.running, refusal.code()) {
            (None, ErrorCode::AuthUnavailable) if of_polkit && self.wanted && on_a_terminal() => {
                match Running::start().await {
                    Ok(running) => self.running = Some(running),
                    Err(cause) => return Err(refusal.hint(cause)),
                }
            }
            (Some(_), ErrorCode::AuthFailed) if of_polkit && self.failures + 1 < TRIES => {
                self.failures += 1;
            }
            _ => return Err(refusal),
        }
        Ok(())
    }
}

fn on_a_terminal() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// The program. When this is dropped it ends, and the terminal is as it was: it may just have been asking for a password.
struct Running {
    program: Child,
    terminal: Option<Termios>,
}

impl Running {
    /// Starts it for this process, as one that stands back where a desktop's agent comes up.
    #[expect(
        clippy::disallowed_methods,
        reason = "the application's own child, ended with the attempt; no daemon's process table is near"
    )]
    async fn start() -> Result<Self, String> {
        let program = find_program(PROGRAM).ok_or_else(|| format!("install polkit's {PROGRAM}"))?;
        let failed = |cause: &dyn std::fmt::Display| format!("{PROGRAM} cannot be run: {cause}");
        let pid = std::process::id();
        let this = Stat::read(pid).ok_or_else(|| failed(&"/proc does not show this process"))?;
        let mut program = Command::new(program)
            .arg("--process")
            .arg(format!("{pid},{}", this.start_time))
            // It closes this one when polkit knows it, and writes nothing there: it speaks to the terminal itself.
            .args(["--notify-fd", "1", "--fallback"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|cause| failed(&cause))?;
        let ready = program.stdout.take();
        let running = Self { program, terminal: tcgetattr(stdin()).ok() };
        if let Some(mut ready) = ready {
            // If it has ended instead, the next attempt is refused as this one was.
            let known = timeout(READY, ready.read_to_end(&mut Vec::new())).await;
            known
                .map_err(|_| failed(&format!("polkit did not know it after {READY:?}")))?
                .map_err(|cause| failed(&cause))?;
        }
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.program.start_kill();
        if let Some(terminal) = &self.terminal {
            let _gone = tcsetattr(stdin(), OptionalActions::Now, terminal);
        }
    }
}

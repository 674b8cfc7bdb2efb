// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ends QEMU: asks it by SIGTERM, then ends it by SIGKILL. Waits on the process's descriptor, never by
//! looking again and again.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::timeout;
use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::{End, Stop};
use virtus_host::process::Process;

use crate::guest::Guest;

/// How long QEMU may flush its images after SIGTERM.
const TERM: Duration = Duration::from_secs(15);
/// How long the kernel may take to end a process after SIGKILL: one that is stuck in the kernel (dead
/// storage) does not end at all.
const KILL: Duration = Duration::from_secs(5);

/// Ends a guest because somebody asked for it.
pub(crate) async fn stop(guest: &Guest, how: Stop) -> Result<()> {
    // A stopped process (SIGSTOP) would take SIGTERM only after it is continued.
    let stopped = guest.process.stat().is_some_and(|stat| matches!(stat.state, 'T' | 't'));
    let force = how == Stop::Destroy;
    guest.set_end(End::Destroyed);
    let ended = if stopped && force {
        kill(&guest.process).await
    } else {
        end_process(&guest.process, force).await
    };
    ended.map_err(|error| error.context(format!("cannot end {}", guest.subject())))
}

/// Ends a process; without `force` it is asked only.
pub(crate) async fn end_process(process: &Process, force: bool) -> Result<()> {
    process.signal(Signal::TERM)?;
    if timeout(TERM, process.exited()).await.is_ok() {
        return Ok(());
    }
    if force {
        return kill(process).await;
    }
    let text =
        format!("process {} did not end within {} s after SIGTERM", process.pid(), TERM.as_secs());
    Err(Error::new(ErrorCode::OperationFailed, text)
        .hint("end it by force: 'virsh destroy' without --graceful"))
}

pub(crate) async fn kill(process: &Process) -> Result<()> {
    process.signal(Signal::KILL)?;
    if timeout(KILL, process.exited()).await.is_ok() {
        return Ok(());
    }
    let text =
        format!("process {} did not end within {} s after SIGKILL", process.pid(), KILL.as_secs());
    Err(Error::new(ErrorCode::SystemError, text).hint(
        "it hangs in the kernel, mostly on storage that does not answer; it ends when that does",
    ))
}

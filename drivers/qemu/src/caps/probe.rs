// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Asks a QEMU binary what it can do: a process that runs no guest, asked over its monitor.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Signal;
use tokio::net::UnixStream;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_host::process::{Process, Spawn};
use virtus_host::user::Identity;

use super::kvm_trial;
use super::model::Capabilities;
use super::replies::{Question, Replies, first_questions, second_questions, tcg_questions};
use super::{Circumstances, Flag};
use crate::qmp::{CallError, Monitor};

/// All of it takes half a second; a binary on a dead network mount must not hold anybody for ever.
const DEADLINE: Duration = Duration::from_secs(30);
/// How much of QEMU's complaints is quoted.
const COMPLAINT: usize = 4096;

/// Asks `binary`, run as `identity` if given.
///
/// # Errors
/// Where it cannot be run, does not answer, or is no QEMU; QEMU's own complaint is the cause.
pub(super) async fn probe(binary: &Path, identity: Option<&Identity>) -> Result<Capabilities> {
    let (accelerated, trouble) = tokio::join!(
        converse(binary, "kvm:tcg", identity, true),
        kvm_trial::trouble(binary, identity)
    );
    let mut accelerated = accelerated?;
    let says_kvm = accelerated.plain("query-kvm")["enabled"] == true;
    let mut tcg = None;
    if says_kvm && trouble.is_some() {
        // What a process with KVM says of CPUs is of no use then.
        accelerated = converse(binary, "tcg", identity, true).await?;
    } else if says_kvm {
        tcg = Some(converse(binary, "tcg", identity, false).await?);
    }
    let mut caps = Capabilities::from_replies(&accelerated, tcg.as_ref(), Circumstances::default());
    if caps.version == 0 {
        return Err(failed(binary, "it does not tell its version", ""));
    }
    binary.clone_into(&mut caps.binary);
    caps.kvm_trouble = trouble.filter(|_| !caps.has(Flag::Kvm));
    Ok(caps)
}

/// One process, its answers, its end.
async fn converse(
    binary: &Path,
    accel: &str,
    identity: Option<&Identity>,
    everything: bool,
) -> Result<Replies> {
    let complaints = memfd_create("virtus-qemu-stderr", MemfdFlags::CLOEXEC)
        .map(File::from)
        .map_err(|cause| Error::system("cannot make a file in memory", &cause.into()))?;
    let io_error = |cause: std::io::Error| Error::system("cannot make a socket", &cause);
    let (ours, theirs) = StdStream::pair().map_err(io_error)?;
    ours.set_nonblocking(true).map_err(io_error)?;
    let process = start(binary, accel, identity, theirs, complaints.try_clone().map_err(io_error)?);
    let process = KilledAfterwards(process.await?);
    let subject = format!("QEMU binary '{}'", binary.display());
    let stream = UnixStream::from_std(ours).map_err(io_error)?;
    let answers = ask(stream, &subject, everything).await;
    let answers = answers.map_err(|error| failed(binary, &error.to_string(), &said(&complaints)));
    drop(process);
    answers
}

async fn start(
    binary: &Path,
    accel: &str,
    identity: Option<&Identity>,
    monitor: StdStream,
    stderr: File,
) -> Result<Process> {
    let mut spawn = Spawn::new(binary);
    let fd = spawn.inherit(OwnedFd::from(monitor));
    spawn = spawn
        .args(["-S", "-no-user-config", "-nodefaults", "-nographic"])
        .args(["-machine", &format!("none,accel={accel}")])
        .args(["-chardev", &format!("socket,id=monitor,fd={fd}")])
        .args(["-mon", "chardev=monitor,mode=control"])
        .env("LC_ALL", "C")
        .pass_env("PATH")
        .stderr(stderr)
        .drop_capabilities()
        .dies_with_daemon();
    if let Some(identity) = identity {
        spawn = spawn.identity(identity.clone());
    }
    spawn.start().await
}

async fn ask(stream: UnixStream, subject: &str, everything: bool) -> Result<Replies, CallError> {
    let (monitor, _events) = Monitor::from_stream(stream, subject, DEADLINE).await?;
    let mut replies = Replies::default();
    if everything {
        burst(&monitor, first_questions(), &mut replies).await?;
        let second = second_questions(&replies);
        burst(&monitor, second, &mut replies).await?;
    } else {
        burst(&monitor, tcg_questions(), &mut replies).await?;
    }
    Ok(replies)
}

async fn burst(
    monitor: &Monitor,
    questions: Vec<Question>,
    replies: &mut Replies,
) -> Result<(), CallError> {
    let commands =
        questions.iter().map(|question| (question.command, question.arguments.clone())).collect();
    let answers = monitor.execute_all(commands, DEADLINE).await;
    for (question, answer) in questions.into_iter().zip(answers) {
        match answer {
            Ok(value) => replies.insert(question.command, question.arguments.as_ref(), value),
            // What it refuses it does not have.
            Err(CallError::Refused { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// The beginning of what QEMU complained about.
fn said(complaints: &File) -> String {
    let mut buffer = vec![0; COMPLAINT];
    let count = complaints.read_at(&mut buffer, 0).unwrap_or_default();
    String::from_utf8_lossy(&buffer[..count]).trim().to_owned()
}

fn failed(binary: &Path, cause: &str, said: &str) -> Error {
    let cause = if said.is_empty() { cause } else { said };
    Error::new(
        ErrorCode::OperationFailed,
        format!("cannot learn what QEMU binary '{}' can do: {cause}", binary.display()),
    )
    .in_domain(ErrorDomain::Qemu)
    .hint(format!("try it by hand: '{}' -machine none -version", binary.display()))
}

struct KilledAfterwards(Process);

impl Drop for KilledAfterwards {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.signal(Signal::KILL);
    }
}

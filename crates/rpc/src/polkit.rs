// SPDX-License-Identifier: Apache-2.0 OR MIT
//! polkit: whether the policy of this host lets a process use a socket. It may ask the user for a
//! password meanwhile. `access`: what a process may do once it is in.

pub(crate) mod access;

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::Identity;
use zbus::connection::Builder;
use zbus::{Connection, Variant};

/// How long the bus and polkit may take, the time for typing a password included.
const LIMIT: Duration = Duration::from_secs(120);

/// To use the socket that changes nothing.
pub(crate) const MONITOR: &str = "org.libvirt.unix.monitor";

/// To use the socket that does everything.
pub(crate) const MANAGE: &str = "org.libvirt.unix.manage";

/// polkit may ask the user.
const ALLOW_INTERACTION: u32 = 1;

/// A process, as polkit knows one. Only processes of this host can be one.
struct Subject {
    pid: i32,
    started: u64,
    uid: u32,
}

impl Subject {
    fn of(peer: &Identity) -> Option<Self> {
        Some(Self { pid: peer.pid?, started: peer.pid_start_time?, uid: peer.uid? })
    }
}

/// Succeeds if the process behind `peer` may do `action`. Its bus connection is its own: if nobody waits any more, that
/// ends, and with it whatever polkit asks the user.
///
/// # Errors
/// `VIR_ERR_AUTH_UNAVAILABLE`, `VIR_ERR_AUTH_CANCELLED` or `VIR_ERR_AUTH_FAILED`, in libvirt's words.
pub(crate) async fn check(peer: &Identity, action: &str) -> Result<()> {
    let Some(subject) = Subject::of(peer) else {
        return Err(refuse(ErrorCode::AuthFailed, "access denied by policy"));
    };
    let asked = tokio::time::timeout(LIMIT, async {
        let bus = Builder::system().build().await?;
        ask(&bus, &subject, action, &HashMap::new(), ALLOW_INTERACTION).await
    });
    let (allowed, challenged, details) = match asked.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(cause)) => return Err(unavailable(&cause)),
        Err(_) => return Err(unavailable(&"it took too long")),
    };
    if allowed {
        return Ok(());
    }
    if details.get("polkit.dismissed").is_some_and(|dismissed| dismissed == "true") {
        return Err(refuse(ErrorCode::AuthCancelled, "user cancelled authentication process"));
    }
    if challenged {
        let text = format!("no polkit agent available to authenticate action '{action}'");
        return Err(refuse(ErrorCode::AuthUnavailable, &text)
            .hint("run pkttyagent beside it, join the group 'libvirt' where the policy allows that, or be root"));
    }
    Err(refuse(ErrorCode::AuthFailed, "access denied by policy"))
}

/// Whether it is allowed, whether it would be if somebody typed a password, and more about it.
type Answer = (bool, bool, HashMap<String, String>);

async fn ask(
    bus: &Connection,
    subject: &Subject,
    action: &str,
    details: &HashMap<&str, &str>,
    flags: u32,
) -> zbus::Result<Answer> {
    // polkit takes the process' number without a sign and the user's with one.
    let subject = HashMap::from([
        ("pid", Variant::from(subject.pid.cast_unsigned())),
        ("start-time", Variant::from(subject.started)),
        ("uid", Variant::from(subject.uid.cast_signed())),
    ]);
    let question = (("unix-process", subject), action, details, flags, "");
    let reply = bus
        .call_method(
            Some("org.freedesktop.PolicyKit1"),
            "/org/freedesktop/PolicyKit1/Authority",
            Some("org.freedesktop.PolicyKit1.Authority"),
            "CheckAuthorization",
            &question,
        )
        .await?;
    reply.body().deserialize()
}

fn unavailable(cause: &dyn Display) -> Error {
    refuse(ErrorCode::AuthUnavailable, &format!("polkit does not answer: {cause}"))
        .hint("is polkit.service running? 'systemctl status polkit' says so")
}

fn refuse(code: ErrorCode, text: &str) -> Error {
    Error::new(code, text.to_owned()).in_domain(ErrorDomain::Polkit)
}

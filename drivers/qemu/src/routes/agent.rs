// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the agent inside the guest is asked to do.
//!
//! The agent takes one command at a time and every command has a deadline, so these calls need no turn in
//! the machine's queue: a slow agent delays nobody but who waits for it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use virtus_api::{
    DomainFsfreeze, DomainFsthaw, DomainFstrim, DomainGetTime, DomainGetTimeReply,
    DomainPmSuspendForDuration, DomainPmWakeup, DomainSetTime, DomainSetTimeFlags,
    DomainSetUserPassword, Error, ErrorCode, QemuDomainAgentCommand, Result,
};
use virtus_core::Call;
use virtus_domain::routes::check_flags;

use super::running;
use crate::driver::QemuDriver;
use crate::guest::{AGENT, QUERY};

/// How long file systems may take to be frozen, thawed or trimmed.
const FILE_SYSTEMS: Duration = Duration::from_secs(60);
/// What "wait as long as it takes" means: nothing waits without bound.
const LONG: Duration = Duration::from_secs(300);

pub(super) async fn command(
    driver: Arc<QemuDriver>,
    _: Call,
    request: QemuDomainAgentCommand,
) -> Result<Option<String>> {
    check_flags(request.flags, 0, "virDomainQemuAgentCommand")?;
    let deadline = match request.timeout {
        -2 => LONG,
        -1 | 0 => AGENT,
        seconds => u64::try_from(seconds).map(Duration::from_secs).map_err(|_| {
            let text = format!("guest agent timeout '{seconds}' is less than the minimum '-2'");
            Error::new(ErrorCode::InvalidArg, text)
        })?,
    };
    let command: Value = serde_json::from_str(&request.cmd).map_err(|cause| {
        Error::new(ErrorCode::InvalidArg, format!("cannot parse the command as JSON: {cause}"))
            .hint("a command looks like '{\"execute\":\"guest-ping\"}'")
    })?;
    let (guest, snapshot) = running(&driver, &request.dom)?;
    tracing::warn!("domain '{}' is tainted: a client sends commands to its agent", snapshot.name);
    let reply = guest.agent().await?.pass_through(&command, deadline).await;
    guest.drop_broken_agent(&reply);
    let reply = reply?;
    match reply.get("error") {
        Some(error) => {
            let name = command["execute"].as_str().unwrap_or("?");
            let why = error["desc"].as_str().unwrap_or("unknown cause");
            let text = format!("unable to execute QEMU agent command '{name}': {why}");
            Err(Error::new(ErrorCode::AgentCommandFailed, text))
        }
        None => Ok(Some(reply.to_string())),
    }
}

pub(super) async fn get_time(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetTime,
) -> Result<DomainGetTimeReply> {
    check_flags(request.flags, 0, "virDomainGetTime")?;
    let (guest, _) = running(&driver, &request.dom)?;
    let reply = guest.agent_execute("guest-get-time", None, AGENT).await?;
    let nanos = reply.as_i64().ok_or_else(|| malformed("guest-get-time"))?;
    Ok(DomainGetTimeReply {
        seconds: nanos.div_euclid(1_000_000_000),
        nseconds: u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or_default(),
    })
}

pub(super) fn malformed(command: &str) -> Error {
    let text = format!("the guest agent's reply to '{command}' is malformed");
    Error::new(ErrorCode::AgentCommandFailed, text)
}

pub(super) async fn set_time(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainSetTime,
) -> Result<()> {
    check_flags(request.flags, DomainSetTimeFlags::SYNC.bits(), "virDomainSetTime")?;
    let sync = request.flags & DomainSetTimeFlags::SYNC.bits() != 0;
    let (guest, _) = running(&driver, &request.dom)?;
    let nanos = request
        .seconds
        .checked_mul(1_000_000_000)
        .and_then(|nanos| nanos.checked_add(i64::from(request.nseconds)));
    let nanos = nanos.ok_or_else(|| {
        let text = format!("Time '{}' is too big for guest agent", request.seconds);
        Error::new(ErrorCode::Overflow, text)
    })?;
    // Without a time the agent reads the guest's hardware clock.
    let arguments = (!sync).then(|| json!({ "time": nanos }));
    guest.agent_execute("guest-set-time", arguments, AGENT).await?;
    // Ticks that QEMU would otherwise inject to catch up are wrong now.
    match guest.try_execute("rtc-reset-reinjection", None, QUERY).await? {
        Err(error) if !error.is_unknown_command() => Err(error.into()),
        _ => Ok(()),
    }
}

pub(super) async fn freeze(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainFsfreeze,
) -> Result<i32> {
    check_flags(request.flags, 0, "virDomainFSFreeze")?;
    let (guest, _) = running(&driver, &request.dom)?;
    let reply = if request.mountpoints.is_empty() {
        guest.agent_execute("guest-fsfreeze-freeze", None, FILE_SYSTEMS).await?
    } else {
        let arguments = json!({ "mountpoints": request.mountpoints });
        guest.agent_execute("guest-fsfreeze-freeze-list", arguments, FILE_SYSTEMS).await?
    };
    number(&reply, "guest-fsfreeze-freeze")
}

pub(super) async fn thaw(driver: Arc<QemuDriver>, _: Call, request: DomainFsthaw) -> Result<i32> {
    check_flags(request.flags, 0, "virDomainFSThaw")?;
    let (guest, _) = running(&driver, &request.dom)?;
    if !request.mountpoints.is_empty() {
        return Err(Error::new(
            ErrorCode::ArgumentUnsupported,
            "specifying mountpoints is not supported for thaw: all are thawed",
        ));
    }
    let reply = guest.agent_execute("guest-fsfreeze-thaw", None, FILE_SYSTEMS).await?;
    number(&reply, "guest-fsfreeze-thaw")
}

fn number(reply: &Value, command: &str) -> Result<i32> {
    reply.as_i64().and_then(|number| i32::try_from(number).ok()).ok_or_else(|| malformed(command))
}

pub(super) async fn trim(driver: Arc<QemuDriver>, _: Call, request: DomainFstrim) -> Result<()> {
    check_flags(request.flags, 0, "virDomainFSTrim")?;
    if request.mount_point.is_some() {
        return Err(Error::new(
            ErrorCode::ArgumentUnsupported,
            "Specifying mount point is not supported for now: all are trimmed",
        ));
    }
    let (guest, _) = running(&driver, &request.dom)?;
    let arguments = json!({ "minimum": request.minimum });
    guest.agent_execute("guest-fstrim", arguments, FILE_SYSTEMS).await.map(drop)
}

pub(super) async fn set_password(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainSetUserPassword,
) -> Result<()> {
    /// `VIR_DOMAIN_PASSWORD_ENCRYPTED`.
    const ENCRYPTED: u32 = 1;
    check_flags(request.flags, ENCRYPTED, "virDomainSetUserPassword")?;
    let (guest, _) = running(&driver, &request.dom)?;
    let arguments = json!({
        "crypted": request.flags & ENCRYPTED != 0,
        "username": request.user,
        "password": base64(request.password.unwrap_or_default().as_bytes()),
    });
    guest.agent_execute("guest-set-user-password", arguments, AGENT).await.map(drop)
}

/// The agent wants the password in base64.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = 0_u32;
        for place in 0..3 {
            word = word << 8 | u32::from(chunk.get(place).copied().unwrap_or_default());
        }
        for place in 0..4_usize {
            let digit = (word >> (18 - 6 * place)) & 63;
            text.push(if place > chunk.len() {
                '='
            } else {
                char::from(DIGITS[usize::try_from(digit).unwrap_or_default()])
            });
        }
    }
    text
}

pub(super) async fn suspend_for(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainPmSuspendForDuration,
) -> Result<()> {
    check_flags(request.flags, 0, "virDomainPMSuspendForDuration")?;
    if request.duration != 0 {
        return Err(Error::new(
            ErrorCode::ArgumentUnsupported,
            "Duration not supported. Use 0 for now",
        ));
    }
    let (command, event) = match request.target {
        0 => ("guest-suspend-ram", "SUSPEND"),
        1 => ("guest-suspend-disk", "SHUTDOWN"),
        2 => ("guest-suspend-hybrid", "SUSPEND"),
        other => {
            let text = format!("Unknown suspend target: {other}");
            return Err(Error::new(ErrorCode::InvalidArg, text));
        }
    };
    let (guest, _) = running(&driver, &request.dom)?;
    tracing::debug!("waiting for {event} of domain '{}'", guest.facts.name);
    let gone = async {
        guest.process.exited().await;
    };
    let agent = guest.agent().await?;
    match agent.execute_until(command, None, AGENT, gone).await {
        // A guest that sleeps cannot answer any more.
        Err(error) if error.code() == ErrorCode::AgentCommandTimeout => Ok(()),
        result => result,
    }
}

pub(super) async fn wake_up(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainPmWakeup,
) -> Result<()> {
    check_flags(request.flags, 0, "virDomainPMWakeup")?;
    let (guest, _) = running(&driver, &request.dom)?;
    guest.execute("system_wakeup", None, QUERY).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_padded() {
        for (text, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! QEMU's monitor for those who know QEMU: its commands and its own events, passed on as they are.

use std::sync::Arc;

use regex_lite::RegexBuilder;
use serde_json::{Value, json};
use virtus_api::{
    ConnectDomainQemuMonitorEventRegisterFlags as EventFlags,
    DomainQemuMonitorCommandFlags as CommandFlags, Error, ErrorCode, ErrorDomain, Event,
    EventMessage, Family, QemuConnectDomainMonitorEventDeregister,
    QemuConnectDomainMonitorEventRegister, QemuDomainMonitorCommand, QemuDomainMonitorEvent,
    QemuEvent, Result,
};
use virtus_core::events::{Interest, Key};
use virtus_core::{Call, Routes};
use virtus_domain::Job;
use virtus_domain::routes::{check_flags, find};

use super::by;
use crate::driver::QemuDriver;
use crate::guest::WORK;

/// What a pattern may need when it is made ready, so that a client cannot fill our memory.
const PATTERN_LIMIT: usize = 1 << 20;

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(command)).on(by(register)).on(by(deregister))
}

async fn command(
    driver: Arc<QemuDriver>,
    _: Call,
    request: QemuDomainMonitorCommand,
) -> Result<String> {
    let flags = CommandFlags::from_bits_truncate(request.flags);
    check_flags(request.flags, CommandFlags::all().bits(), "virDomainQemuMonitorCommand")?;
    let human = flags.contains(CommandFlags::HMP);
    let command = if human { json!(request.cmd) } else { parse(&request.cmd)? };
    let (handle, _) = find(&*driver, &request.dom)?;
    let work = handle.job(Job::query("virDomainQemuMonitorCommand"), move |context| async move {
        let guest = context.running()?;
        let monitor = guest.monitor()?;
        tracing::warn!(domain = guest.facts.name, command = %command, "custom monitor command");
        if let Value::String(line) = command {
            let answer = monitor.human(&line, WORK).await;
            guest.note(&monitor, &answer);
            return Ok(answer?);
        }
        let answer = monitor.pass_through(command, WORK).await;
        guest.note(&monitor, &answer);
        Ok(answer?.to_string())
    });
    work.await
}

fn parse(text: &str) -> Result<Value> {
    let wrong = |why: String| {
        Error::new(ErrorCode::InvalidArg, format!("the monitor command is no JSON object: {why}"))
            .hint("for a line of the human monitor use 'virsh qemu-monitor-command --hmp'")
    };
    match serde_json::from_str(text) {
        Ok(command @ Value::Object(_)) => Ok(command),
        Ok(_) => Err(wrong("it is another kind of value".to_owned())),
        Err(cause) => Err(wrong(cause.to_string())),
    }
}

async fn register(
    driver: Arc<QemuDriver>,
    call: Call,
    request: QemuConnectDomainMonitorEventRegister,
) -> Result<i32> {
    check_flags(
        request.flags,
        EventFlags::all().bits(),
        "virConnectDomainQemuMonitorEventRegister",
    )?;
    let key = match &request.dom {
        Some(dom) => Some(Key::Uuid(find(&*driver, dom)?.0.uuid())),
        None => None,
    };
    let interest = Interest::new(Family::Qemu, QemuDomainMonitorEvent::ID, key);
    let wants = wanted(request.event, EventFlags::from_bits_truncate(request.flags))?;
    let interest = interest.only(move |event| match event {
        Event::Qemu(QemuEvent::DomainMonitor(event)) => wants(&event.event),
        _ => false,
    });
    driver.qemu.hub.register(&call.session, interest)
}

type Wants = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// Which events, by their names. Without a name: all.
fn wanted(event: Option<String>, flags: EventFlags) -> Result<Wants> {
    let nocase = flags.contains(EventFlags::NOCASE);
    let Some(event) = event else { return Ok(Box::new(|_| true)) };
    if !flags.contains(EventFlags::REGEX) {
        return Ok(if nocase {
            Box::new(move |name| name.eq_ignore_ascii_case(&event))
        } else {
            Box::new(move |name| name == event)
        });
    }
    let made = RegexBuilder::new(&event)
        .case_insensitive(nocase)
        .size_limit(PATTERN_LIMIT)
        .build()
        .map_err(|cause| {
            Error::new(ErrorCode::InvalidArg, format!("failed to compile regex '{event}': {cause}"))
                .in_domain(ErrorDomain::Qemu)
        })?;
    Ok(Box::new(move |name| made.is_match(name)))
}

async fn deregister(
    driver: Arc<QemuDriver>,
    call: Call,
    request: QemuConnectDomainMonitorEventDeregister,
) -> Result<()> {
    driver.qemu.hub.deregister(&call.session, Family::Qemu, request.callback_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hears(event: Option<&str>, flags: EventFlags, name: &str) -> bool {
        wanted(event.map(str::to_owned), flags).unwrap()(name)
    }

    #[test]
    fn names_and_patterns_choose_events() {
        let plain = EventFlags::empty();
        assert!(hears(None, plain, "STOP"));
        assert!(hears(Some("STOP"), plain, "STOP"));
        assert!(!hears(Some("stop"), plain, "STOP"));
        assert!(hears(Some("stop"), EventFlags::NOCASE, "STOP"));
        assert!(hears(Some("^DEV|RTC"), EventFlags::REGEX, "RTC_CHANGE"));
        assert!(!hears(Some("^rtc"), EventFlags::REGEX, "RTC_CHANGE"));
        assert!(hears(Some("^rtc"), EventFlags::REGEX | EventFlags::NOCASE, "RTC_CHANGE"));
        assert!(wanted(Some("(".into()), EventFlags::REGEX).is_err());
    }

    #[test]
    fn what_is_no_command_object_is_refused() {
        for text in ["info version", "[1]", "\"x\"", "{"] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidArg);
            assert!(error.hint_text().unwrap().contains("--hmp"));
        }
        assert!(parse("{\"execute\": \"query-version\"}").is_ok());
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is asked of a new QEMU, in one batch: the paths of its ptys, the threads of its vCPUs; and what
//! can only be set once it is there: passwords of screens, the balloon's statistics, what a reset does.

use std::sync::Arc;

use serde_json::{Value, json};
use virtus_api::Result;
use virtus_xml::Domain;
use virtus_xml::domain::LifecycleAction;
use virtus_xml::domain::chardev::ChardevType;
use virtus_xml::domain::graphics::GraphicsType;

use super::{Plan, value, why};
use crate::guest::{Guest, WORK};
use crate::guest_log::GuestLog;
use crate::live;
use crate::qmp::Monitor;

/// Asks, and writes the answers into the live definition.
pub(super) async fn ask(
    guest: &Arc<Guest>,
    monitor: &Monitor,
    plan: &mut Plan,
    log: &GuestLog,
) -> Result<()> {
    let mut batch: Vec<(&str, Option<Value>)> =
        vec![("query-cpus-fast", None), ("query-chardev", None)];
    if plan.def.on_reboot == Some(LifecycleAction::Destroy) {
        batch.push(("set-action", Some(json!({ "reboot": "shutdown" }))));
    }
    batch.extend(passwords(plan));
    batch.extend(balloon(&plan.def));
    let mut results = monitor.execute_all(batch, WORK).await.into_iter();
    let mut next = || results.next();
    let cpus = match next() {
        Some(Ok(cpus)) => cpus,
        Some(Err(error)) => return Err(why(guest, log, error).await),
        None => Value::Null,
    };
    guest.learn_vcpu_threads(&cpus);
    if let Some(chardevs) = next() {
        learn_ptys(&mut plan.def, &value(chardevs)?);
    }
    results.try_for_each(|result| value(result).map(drop))
}

/// The commands that set the passwords of screens, and until when they hold.
fn passwords(plan: &Plan) -> Vec<(&'static str, Option<Value>)> {
    let mut commands = Vec::new();
    for graphics in &plan.def.devices.graphics {
        let (protocol, default) = match graphics.kind {
            GraphicsType::Vnc => ("vnc", &plan.config.plan.vnc_password),
            GraphicsType::Spice => ("spice", &plan.config.plan.spice_password),
            _ => continue,
        };
        let Some(password) = graphics.passwd.as_ref().or(default.as_ref()) else { continue };
        let mut arguments = json!({ "protocol": protocol, "password": password });
        if let Some(connected) = graphics.connected {
            arguments["connected"] = connected.as_str().into();
        }
        commands.push(("set_password", Some(arguments)));
        let until = graphics.passwd_valid_to.as_deref().and_then(live::seconds_of);
        let time = match (password.is_empty(), until) {
            (true, _) => "now".to_owned(),
            (false, Some(seconds)) => seconds.to_string(),
            (false, None) => "never".to_owned(),
        };
        commands.push(("expire_password", Some(json!({ "protocol": protocol, "time": time }))));
    }
    commands
}

/// The command that sets how often the balloon tells about the guest's memory.
fn balloon(def: &Domain) -> Option<(&'static str, Option<Value>)> {
    let balloon = def.devices.memballoon.as_ref()?;
    let period = balloon.stats.as_ref().map(|stats| stats.period)?;
    let alias = balloon.info.alias.as_deref()?;
    Some(("qom-set", Some(balloon_period(alias, period))))
}

/// The arguments that set the period, in seconds.
pub(crate) fn balloon_period(alias: &str, seconds: u32) -> Value {
    json!({
        "path": format!("/machine/peripheral/{alias}"),
        "property": "guest-stats-polling-interval",
        "value": seconds,
    })
}

/// Writes the paths of ptys from the reply to `query-chardev` into the definition.
pub(crate) fn learn_ptys(def: &mut Domain, reply: &Value) {
    let path_of =
        |alias: &str| {
            let label = format!("char{alias}");
            reply.as_array()?.iter().find(|entry| entry["label"] == label.as_str()).and_then(
                |entry| entry["filename"].as_str()?.strip_prefix("pty:").map(str::to_owned),
            )
        };
    for device in live::chardevs_mut(def) {
        if device.kind != ChardevType::Pty {
            continue;
        }
        if let Some(path) = device.info.alias.as_deref().and_then(path_of) {
            device.source_mut().path = Some(path);
        }
    }
    live::copy_first_serial_to_console(def);
    live::name_terminals(def);
    let open = |alias: &str| {
        let label = format!("char{alias}");
        reply
            .as_array()?
            .iter()
            .find(|entry| entry["label"] == label.as_str())
            .and_then(|entry| entry["frontend-open"].as_bool())
    };
    let aliases: Vec<String> =
        def.devices.channels.iter().filter_map(|channel| channel.info.alias.clone()).collect();
    for alias in aliases {
        if let Some(open) = open(&alias) {
            live::set_channel_state(def, &alias, open);
        }
    }
}

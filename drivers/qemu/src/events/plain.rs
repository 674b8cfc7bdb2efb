// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Events that only pass a fact on: what changes in the live definition, and what clients hear.

use serde_json::Value;
use virtus_api::{
    ConnectDomainEventAgentLifecycleReason as AgentReason,
    ConnectDomainEventAgentLifecycleState as AgentState, DomainEvent, DomainEventAgentLifecycle,
    DomainEventBalloonChange, DomainEventBlockThreshold, DomainEventDeviceRemovalFailed,
    DomainEventDeviceRemoved, DomainEventIoError, DomainEventIoErrorAction as IoAction,
    DomainEventIoErrorReason, DomainEventMemoryDeviceSizeChange, DomainEventMemoryFailure,
    DomainEventRtcChange, DomainEventTrayChange, DomainEventTrayChangeReason as TrayReason,
    DomainEventWatchdog, DomainEventWatchdogAction as Watchdog, DomainRef,
};
use virtus_domain::Notice;
use virtus_xml::Domain;
use virtus_xml::domain::chardev::ChannelState;
use virtus_xml::domain::disk::Tray;
use virtus_xml::units::Kib;

use super::graphics;
use crate::guest::Guest;
use crate::live;
use crate::qmp::Event;

/// The channel through which the guest's agent talks.
pub(crate) const AGENT_CHANNEL: &str = "org.qemu.guest_agent.0";

/// The news in an event.
pub(super) fn notices(guest: &Guest, event: &Event) -> Vec<Notice> {
    let data = &event.data;
    match event.name.as_str() {
        "RTC_CHANGE" => rtc(data),
        "WATCHDOG" => watchdog(data),
        "BLOCK_IO_ERROR" => io_error(guest, data),
        "BALLOON_CHANGE" => balloon(data),
        "DEVICE_DELETED" => device_deleted(guest, data),
        "DEVICE_UNPLUG_GUEST_ERROR" => device_kept(data),
        "DEVICE_TRAY_MOVED" => tray(data),
        "VSERPORT_CHANGE" => channel(guest, data),
        "MEMORY_DEVICE_SIZE_CHANGE" => memory_size(data),
        "MEMORY_FAILURE" => memory_failure(data),
        "BLOCK_WRITE_THRESHOLD" => threshold(data),
        name => graphics::notices(name, data),
    }
}

/// An event for clients.
pub(super) fn tell<E: Into<DomainEvent>>(
    make: impl FnOnce(DomainRef) -> E + Send + 'static,
) -> Notice {
    Notice::Event(Box::new(move |dom| make(dom).into()))
}

fn change(change: impl FnOnce(&mut Domain) + Send + 'static) -> Notice {
    Notice::Changed(Box::new(change))
}

pub(super) fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn rtc(data: &Value) -> Vec<Notice> {
    let Some(offset) = data["offset"].as_i64() else { return Vec::new() };
    vec![tell(move |dom| DomainEventRtcChange { dom, offset })]
}

fn watchdog(data: &Value) -> Vec<Notice> {
    let action = match data["action"].as_str() {
        Some("reset") => Watchdog::Reset,
        Some("shutdown") => Watchdog::Shutdown,
        Some("poweroff") => Watchdog::Poweroff,
        Some("pause") => Watchdog::Pause,
        Some("debug") => Watchdog::Debug,
        Some("inject-nmi") => Watchdog::Injectnmi,
        _ => Watchdog::None,
    } as i32;
    vec![tell(move |dom| DomainEventWatchdog { dom, action })]
}

fn io_error(guest: &Guest, data: &Value) -> Vec<Notice> {
    let action = match data["action"].as_str() {
        Some("stop") => IoAction::Pause,
        Some("report") => IoAction::Report,
        _ => IoAction::None,
    } as i32;
    let reason = if data["nospace"] == true { "enospc".to_owned() } else { String::new() };
    let alias = alias_in(&data["qom-path"]).unwrap_or_else(|| word(&data["device"]));
    let path = guest.disk_source(&alias).unwrap_or_default();
    let (alias_too, path_too) = (alias.clone(), path.clone());
    vec![
        tell(move |dom| DomainEventIoError { dom, src_path: path, dev_alias: alias, action }),
        tell(move |dom| DomainEventIoErrorReason {
            dom,
            src_path: path_too,
            dev_alias: alias_too,
            action,
            reason,
        }),
    ]
}

/// The alias in `/machine/peripheral/virtio-disk0/virtio-backend`.
fn alias_in(path: &Value) -> Option<String> {
    let (_, rest) = path.as_str()?.split_once("/peripheral/")?;
    rest.split('/').next().map(str::to_owned)
}

fn balloon(data: &Value) -> Vec<Notice> {
    let Some(actual) = data["actual"].as_u64().map(|bytes| bytes / 1024) else {
        return Vec::new();
    };
    vec![
        change(move |def| def.current_memory = Some(Kib(actual))),
        tell(move |dom| DomainEventBalloonChange { dom, actual }),
    ]
}

fn device_deleted(guest: &Guest, data: &Value) -> Vec<Notice> {
    let Some(alias) = data["device"].as_str().map(str::to_owned) else { return Vec::new() };
    // Nobody may be waiting.
    let _ = guest.unplugged.send(alias.clone());
    let gone = alias.clone();
    vec![
        change(move |def| {
            // It may have gone already, by the call that asked for it.
            def.devices.take(&gone);
        }),
        tell(move |dom| DomainEventDeviceRemoved { dom, dev_alias: alias }),
    ]
}

fn device_kept(data: &Value) -> Vec<Notice> {
    let Some(alias) = data["device"].as_str().map(str::to_owned) else { return Vec::new() };
    vec![tell(move |dom| DomainEventDeviceRemovalFailed { dom, dev_alias: alias })]
}

fn tray(data: &Value) -> Vec<Notice> {
    let alias = match data["id"].as_str() {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ => word(&data["device"]),
    };
    let open = data["tray-open"] == true;
    let of = alias.clone();
    let reason = if open { TrayReason::Open } else { TrayReason::Close } as i32;
    vec![
        change(move |def| {
            let mut disks = def.devices.disks.iter_mut();
            if let Some(disk) = disks.find(|disk| disk.info.alias.as_deref() == Some(&of)) {
                disk.target.tray = open.then_some(Tray::Open);
            }
        }),
        tell(move |dom| DomainEventTrayChange { dom, dev_alias: alias, reason }),
    ]
}

fn channel(guest: &Guest, data: &Value) -> Vec<Notice> {
    let alias = word(&data["id"]);
    let open = data["open"] == true;
    let of_agent = guest.facts.agent_alias.as_deref() == Some(alias.as_str());
    let mut notices = vec![change(move |def| live::set_channel_state(def, &alias, open))];
    if of_agent && guest.agent_connected() != open {
        guest.set_agent_connected(open);
        let state = if open { AgentState::Connected } else { AgentState::Disconnected } as i32;
        let reason = AgentReason::Channel as i32;
        notices.push(tell(move |dom| DomainEventAgentLifecycle { dom, state, reason }));
    }
    notices
}

/// How the definition shows an end that the guest holds open or not.
pub(crate) fn channel_state(open: bool) -> ChannelState {
    if open { ChannelState::Connected } else { ChannelState::Disconnected }
}

fn memory_size(data: &Value) -> Vec<Notice> {
    let Some(size) = data["size"].as_u64().map(|bytes| bytes / 1024) else { return Vec::new() };
    let alias = word(&data["id"]);
    vec![tell(move |dom| DomainEventMemoryDeviceSizeChange { dom, alias, size })]
}

fn memory_failure(data: &Value) -> Vec<Notice> {
    let recipient = i32::from(data["recipient"] == "guest");
    let action = match data["action"].as_str() {
        Some("inject") => 1,
        Some("fatal") => 2,
        Some("reset") => 3,
        _ => 0,
    };
    let required = u32::from(data["flags"]["action-required"] == true);
    let recursive = u32::from(data["flags"]["recursive"] == true);
    let flags = required | recursive << 1;
    vec![tell(move |dom| DomainEventMemoryFailure { dom, recipient, action, flags })]
}

fn threshold(data: &Value) -> Vec<Notice> {
    let dev = word(&data["node-name"]);
    let number = |name: &str| data[name].as_u64().unwrap_or_default();
    let (threshold, excess) = (number("write-threshold"), number("amount-exceeded"));
    vec![tell(move |dom| DomainEventBlockThreshold { dom, dev, path: None, threshold, excess })]
}

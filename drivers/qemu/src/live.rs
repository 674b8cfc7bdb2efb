// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reads and changes a live definition by the aliases of its devices.

use std::collections::BTreeMap;

use virtus_xml::Domain;
use virtus_xml::domain::chardev::{Chardev, ChardevTargetType, ChardevType};
use virtus_xml::domain::disk::Disk;
use virtus_xml::domain::misc::BalloonModel;
use virtus_xml::domain::seclabel::{Seclabel, SeclabelType};
use virtus_xml::domain::storage::{ImageFormat, StorageType};
use virtus_xml::units::Kib;
use virtus_xml::value::YesNo;

use crate::config::Config;

use crate::events::AGENT_CHANNEL;
use crate::events::channel_state;

/// Every character device that the guest sees.
pub(crate) fn chardevs_mut(def: &mut Domain) -> impl Iterator<Item = &mut Chardev> {
    let devices = &mut def.devices;
    devices
        .serials
        .iter_mut()
        .chain(&mut devices.parallels)
        .chain(&mut devices.consoles)
        .chain(&mut devices.channels)
}

/// The first console of a machine with serial ports is its first serial port under another name.
pub(crate) fn copy_first_serial_to_console(def: &mut Domain) {
    let Some(serial) = def.devices.serials.first().cloned() else { return };
    let Some(console) = def.devices.consoles.first_mut() else { return };
    let kind = console.target.as_ref().and_then(|target| target.kind);
    if kind.is_none_or(|kind| kind == ChardevTargetType::Serial) {
        console.kind = serial.kind;
        console.backend = serial.backend.clone();
        console.info.alias = serial.info.alias.clone();
    }
}

/// A console that is a pty says so twice: clients of old look at the attribute.
pub(crate) fn name_terminals(def: &mut Domain) {
    for console in &mut def.devices.consoles {
        if console.kind == ChardevType::Pty {
            console.tty = console.source().and_then(|source| source.path.clone());
        }
    }
}

/// Fills in what only a running guest has: its place among the cgroups, under whose rights it runs, where
/// the chains of its images end.
pub(crate) fn settle(def: &mut Domain, config: &Config) {
    if config.cgroups {
        let resource = def.resource.get_or_insert_default();
        resource.partition.get_or_insert_with(|| "/machine".to_owned());
    }
    let confined = def.seclabels.iter().any(|label| label.model.as_deref() == Some("dac"));
    if config.dynamic_ownership && !confined {
        let label = format!("+{}:+{}", config.identity.uid, config.identity.gid);
        def.seclabels.push(Seclabel {
            kind: Some(SeclabelType::Dynamic),
            model: Some("dac".to_owned()),
            relabel: Some(YesNo::Yes),
            label: Some(label.clone()),
            imagelabel: Some(label),
            baselabel: None,
        });
    }
    // Without a balloon nothing can take memory away.
    if def.devices.memballoon.as_ref().is_some_and(|b| b.model == BalloonModel::None) {
        def.current_memory = Some(Kib(def.memory.kib));
    }
    def.devices.disks.iter_mut().for_each(end_chain);
}

/// A raw image has no other behind it, and what is not there has no format.
pub(crate) fn end_chain(disk: &mut Disk) {
    if disk.source.is_none()
        && let Some(driver) = &mut disk.driver
    {
        driver.format = None;
    }
    let raw = matches!(disk.format(), None | Some(ImageFormat::Raw));
    if raw && disk.source.is_some() && disk.backing_store.is_none() {
        disk.backing_store = Some(Box::default());
    }
}

/// Notes whether the guest holds its end of a channel open.
pub(crate) fn set_channel_state(def: &mut Domain, alias: &str, open: bool) {
    let mut channels = def.devices.channels.iter_mut();
    let found = channels.find(|channel| channel.info.alias.as_deref() == Some(alias));
    if let Some(target) = found.and_then(|channel| channel.target.as_mut())
        && target.kind == Some(ChardevTargetType::Virtio)
    {
        target.state = Some(channel_state(open));
    }
}

/// The channel of the guest's agent.
pub(crate) fn agent_channel(def: &Domain) -> Option<&Chardev> {
    def.devices.channels.iter().find(|channel| {
        channel.kind == ChardevType::Unix
            && channel.target.as_ref().and_then(|target| target.name.as_deref())
                == Some(AGENT_CHANNEL)
    })
}

/// The file, device or name that a disk's image has.
pub(crate) fn source_of(disk: &Disk) -> Option<&str> {
    let source = disk.source.as_ref()?;
    match disk.kind {
        StorageType::File => source.file.as_deref(),
        StorageType::Block => source.dev.as_deref(),
        StorageType::Dir => source.dir.as_deref(),
        _ => source.name.as_deref(),
    }
}

/// The sources of all disks, by alias.
pub(crate) fn disk_sources(def: &Domain) -> BTreeMap<String, String> {
    def.devices
        .disks
        .iter()
        .filter_map(|disk| Some((disk.info.alias.clone()?, source_of(disk)?.to_owned())))
        .collect()
}

/// Seconds since the epoch of `2030-01-31T12:00:00`, read as UTC.
pub(crate) fn seconds_of(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.split('-').map(str::parse::<i64>);
    let mut time = time.split(':').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1970..=9999).contains(&year) {
        return None;
    }
    // A computing year starts in March, so that the leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_utc() {
        assert_eq!(seconds_of("1970-01-01T00:00:00"), Some(0));
        assert_eq!(seconds_of("2000-02-29T00:00:00"), Some(951_782_400));
        assert_eq!(seconds_of("2026-11-21T02:37:00"), Some(1_795_228_620));
        assert_eq!(seconds_of("2026-13-21T02:37:00"), None);
        assert_eq!(seconds_of("soon"), None);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Limits of disks and thread pools, and what happens at the end of a guest's life.

use std::collections::HashSet;

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::need;
use crate::domain::disk::Iotune;
use crate::domain::{Domain, LifecycleAction};
use crate::settle::{unsupported, xml_error};

pub(super) fn validate(domain: &Domain) -> Result<()> {
    life(domain)?;
    let mut paths = HashSet::new();
    for device in domain.blkiotune.iter().flat_map(|tune| &tune.devices) {
        need(paths.insert(&device.path), || {
            format!("<blkiotune> has two <device>s with <path> '{}'", device.path)
        })?;
    }
    for group in domain.throttlegroups.iter().flat_map(|groups| &groups.groups) {
        iotune(group, "<throttlegroup>")?;
    }
    for disk in &domain.devices.disks {
        if let Some(tune) = &disk.iotune {
            iotune(tune, &format!("<iotune> of disk '{}'", disk.target.dev))?;
        }
    }
    let fibre = domain.resource.as_ref().and_then(|resource| resource.fibrechannel.as_ref());
    if let Some(appid) = fibre.map(|fibre| &fibre.appid) {
        if !appid.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(xml_error("<fibrechannel appid>: allowed are printable characters"));
        }
        if !(1..=128).contains(&appid.len()) {
            let text = "<fibrechannel appid>: allowed are 1 to 128 characters";
            return Err(Error::new(ErrorCode::InvalidArg, text).in_domain(ErrorDomain::Domain));
        }
    }
    pools(domain)
}

/// Only a crash leaves something to dump.
fn life(domain: &Domain) -> Result<()> {
    for (event, action) in [("on_poweroff", domain.on_poweroff), ("on_reboot", domain.on_reboot)] {
        let dumps = |action: &LifecycleAction| {
            matches!(action, LifecycleAction::CoredumpDestroy | LifecycleAction::CoredumpRestart)
        };
        if let Some(action) = action.filter(dumps) {
            return Err(unsupported(format!("<{event}>: action '{action}' is for on_crash")));
        }
    }
    let timeout = domain.os.bios.as_ref().and_then(|bios| bios.reboot_timeout).unwrap_or(0);
    need((-1..=65535).contains(&timeout), || {
        format!("<bios rebootTimeout='{timeout}'>: allowed are -1 to 65535")
    })
}

/// A limit is for both directions together or for each.
fn iotune(tune: &Iotune, element: &str) -> Result<()> {
    for (name, total, read, write) in [
        ("bytes_sec", tune.total_bytes_sec, tune.read_bytes_sec, tune.write_bytes_sec),
        ("iops_sec", tune.total_iops_sec, tune.read_iops_sec, tune.write_iops_sec),
        (
            "bytes_sec_max",
            tune.total_bytes_sec_max,
            tune.read_bytes_sec_max,
            tune.write_bytes_sec_max,
        ),
        ("iops_sec_max", tune.total_iops_sec_max, tune.read_iops_sec_max, tune.write_iops_sec_max),
    ] {
        let set = |value: Option<u64>| value.is_some_and(|value| value != 0);
        if set(total) && (set(read) || set(write)) {
            return Err(xml_error(format!(
                "{element}: <total_{name}> excludes <read_{name}> and <write_{name}>"
            )));
        }
    }
    Ok(())
}

/// How many threads an I/O thread may start.
fn pools(domain: &Domain) -> Result<()> {
    let named = domain.iothreadids.iter().flat_map(|ids| &ids.iothreads);
    let pools = named
        .map(|thread| (thread.thread_pool_min, thread.thread_pool_max))
        .chain(domain.defaultiothread.iter().map(|one| (one.thread_pool_min, one.thread_pool_max)));
    for (min, max) in pools {
        need(max != Some(0), || "'thread_pool_max' must be at least 1".to_owned())?;
        if let (Some(min), Some(max)) = (min, max) {
            need(min <= max, || {
                format!("'thread_pool_min' is {min}, but 'thread_pool_max' is {max}")
            })?;
        }
    }
    Ok(())
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a guest shares the disks of the host with others: its weight, and what it may do with single devices.

use std::fmt::Write as _;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::Arc;

use virtus_api::params::domain_blkio as name;
use virtus_api::{
    DomainGetBlkioParameters, DomainGetBlkioParametersReply, DomainModificationImpact as Impact,
    DomainSetBlkioParameters, Error, ErrorCode, Result, TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_domain::Job;
use virtus_domain::routes::{check_flags, find, targets};
use virtus_host::cgroup::{BlkioDevice as Limit, Controller, Group};
use virtus_xml::domain::tuning::{BlkioDevice, Blkiotune};

use super::{by, no_more_than};
use crate::driver::{Qemu, QemuDriver};
use crate::guest::Guest;
use crate::launch::cgroup;

/// Clients that can read texts say so.
const TYPED_STRINGS: u32 = 4;

pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(get)).on(by(set))
}

/// What may be limited of one device; zero is "no limit".
struct Row {
    name: &'static str,
    get: fn(&BlkioDevice) -> u64,
    set: fn(&mut BlkioDevice, u64),
}

const fn small(value: u64) -> Option<u32> {
    if value > 0 && value <= u32::MAX as u64 { Some(value as u32) } else { None }
}

const ROWS: &[Row] = &[
    Row {
        name: name::DEVICE_WEIGHT,
        get: |device| device.weight.map_or(0, u64::from),
        set: |device, value| device.weight = small(value),
    },
    Row {
        name: name::DEVICE_READ_IOPS,
        get: |device| device.read_iops_sec.map_or(0, u64::from),
        set: |device, value| device.read_iops_sec = small(value),
    },
    Row {
        name: name::DEVICE_WRITE_IOPS,
        get: |device| device.write_iops_sec.map_or(0, u64::from),
        set: |device, value| device.write_iops_sec = small(value),
    },
    Row {
        name: name::DEVICE_READ_BPS,
        get: |device| device.read_bytes_sec.unwrap_or_default(),
        set: |device, value| device.read_bytes_sec = Some(value).filter(|value| *value > 0),
    },
    Row {
        name: name::DEVICE_WRITE_BPS,
        get: |device| device.write_bytes_sec.unwrap_or_default(),
        set: |device, value| device.write_bytes_sec = Some(value).filter(|value| *value > 0),
    },
];

/// What a call wants to change.
#[derive(Debug, Clone, PartialEq, Default)]
struct Changes {
    weight: Option<u32>,
    /// Row, path, value.
    devices: Vec<(usize, String, u64)>,
}

impl Changes {
    fn of(params: &[TypedParam]) -> Result<Self> {
        let mut changes = Self::default();
        for param in params {
            let field = param.field.as_str();
            let invalid = |what: &str| {
                let text = format!("{what} for parameter '{field}'");
                Error::new(ErrorCode::InvalidArg, text)
            };
            if field == name::WEIGHT {
                let weight = param.value.as_u64().and_then(|weight| u32::try_from(weight).ok());
                let weight = weight.ok_or_else(|| invalid("invalid value"))?;
                if weight > 10_000 {
                    return Err(Error::new(
                        ErrorCode::InvalidArg,
                        "weight must be in range [100, 1000]",
                    ));
                }
                changes.weight = Some(weight);
                continue;
            }
            let row = ROWS.iter().position(|row| row.name == field).ok_or_else(|| {
                Error::new(ErrorCode::InvalidArg, format!("parameter '{field}' not supported"))
            })?;
            let text = param.value.as_str().ok_or_else(|| invalid("invalid type"))?;
            for (path, value) in pairs(text).ok_or_else(|| {
                invalid(&format!("unable to parse blkio device '{text}'"))
                    .hint("write PATH,VALUE[,PATH,VALUE…]")
            })? {
                changes.devices.push((row, path.to_owned(), value));
            }
        }
        Ok(changes)
    }

    fn note(&self, blkiotune: &mut Option<Blkiotune>) {
        let mut tune = blkiotune.clone().unwrap_or_default();
        if let Some(weight) = self.weight {
            tune.weight = Some(weight).filter(|weight| *weight > 0);
        }
        for (row, path, value) in &self.devices {
            let known = tune.devices.iter().position(|device| device.path == *path);
            let at = known.unwrap_or_else(|| {
                tune.devices.push(BlkioDevice { path: path.clone(), ..BlkioDevice::default() });
                tune.devices.len() - 1
            });
            (ROWS[*row].set)(&mut tune.devices[at], *value);
        }
        tune.devices.retain(|device| ROWS.iter().any(|row| (row.get)(device) > 0));
        *blkiotune = (tune != Blkiotune::default()).then_some(tune);
    }
}

/// `PATH,VALUE,PATH,VALUE…`
fn pairs(text: &str) -> Option<Vec<(&str, u64)>> {
    let mut pairs = Vec::new();
    let mut fields = text.split(',');
    while let Some(path) = fields.next() {
        if path.is_empty() {
            // An empty text, or a comma at its end.
            return fields.next().is_none().then_some(pairs);
        }
        pairs.push((path, fields.next()?.trim().parse().ok()?));
    }
    Some(pairs)
}

fn written(tune: &Blkiotune) -> Vec<TypedParam> {
    let mut params = vec![TypedParam::new(name::WEIGHT, tune.weight.unwrap_or_default())];
    for row in ROWS {
        let mut text = String::new();
        for device in &tune.devices {
            let value = (row.get)(device);
            if value > 0 {
                let comma = if text.is_empty() { "" } else { "," };
                // Writing to a text cannot fail.
                let _ = write!(text, "{comma}{},{value}", device.path);
            }
        }
        params.push(TypedParam::new(row.name, text));
    }
    params
}

async fn get(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetBlkioParameters,
) -> Result<DomainGetBlkioParametersReply> {
    let known = Impact::all().bits() | TYPED_STRINGS;
    check_flags(request.flags, known, "virDomainGetBlkioParameters")?;
    let (handle, snapshot) = find(&*driver, &request.dom)?;
    let wanted = targets(request.flags & !TYPED_STRINGS, &snapshot)?;
    let live = handle.running().filter(|_| wanted.live);
    let def = if live.is_some() { snapshot.live()? } else { snapshot.persistent()? };
    let mut tune = def.blkiotune.clone().unwrap_or_default();
    if let Some(guest) = live {
        let group = existing(&driver.qemu, &guest)?;
        // Where no I/O scheduler has weights there is none to tell.
        if let Ok(weight) = group.blkio_weight() {
            tune.weight = u32::try_from(weight).ok();
        }
    }
    let (params, nparams) = no_more_than(request.nparams, written(&tune));
    Ok(DomainGetBlkioParametersReply { params, nparams })
}

async fn set(driver: Arc<QemuDriver>, _: Call, request: DomainSetBlkioParameters) -> Result<()> {
    const NAME: &str = "virDomainSetBlkioParameters";
    check_flags(request.flags, Impact::all().bits(), NAME)?;
    let changes = Changes::of(&request.params)?;
    let (handle, _) = find(&*driver, &request.dom)?;
    handle
        .job(Job::modify(NAME), move |context| async move {
            let wanted = targets(request.flags, &context.snapshot())?;
            if wanted.config {
                context.change_persistent(|def| {
                    changes.note(&mut def.blkiotune);
                    Ok(())
                })?;
            }
            if wanted.live {
                let mut noted = context.live()?.blkiotune.clone();
                changes.note(&mut noted);
                let group = existing(context.machine(), &*context.running()?)?;
                apply(&group, &changes, noted.as_ref())?;
                context.change_live(|def| def.blkiotune = noted)?;
            }
            Ok(())
        })
        .await
}

fn apply(group: &Group, changes: &Changes, noted: Option<&Blkiotune>) -> Result<()> {
    if changes.devices.iter().any(|(row, ..)| ROWS[*row].name == name::DEVICE_WEIGHT) {
        return Err(Error::new(
            ErrorCode::OperationUnsupported,
            "the weight of single devices cannot be changed while the domain runs",
        )
        .hint("set it for the next start with '--config'"));
    }
    for (_, path, _) in &changes.devices {
        let devices = noted.map(|tune| tune.devices.as_slice()).unwrap_or_default();
        let device = devices.iter().find(|device| device.path == *path);
        group.set_blkio_device(&limit(path, device)?)?;
    }
    match changes.weight {
        Some(weight) => group.set_blkio_weight(u64::from(weight)),
        None => Ok(()),
    }
}

/// A device's limits by its numbers.
fn limit(path: &str, device: Option<&BlkioDevice>) -> Result<Limit> {
    let meta = std::fs::metadata(path)
        .map_err(|cause| Error::system(format!("cannot find the device '{path}'"), &cause))?;
    if !meta.file_type().is_block_device() {
        let text = format!("'{path}' is not a block device");
        return Err(Error::new(ErrorCode::InvalidArg, text)
            .hint("limits are for whole devices, such as /dev/sda"));
    }
    let number = meta.rdev();
    Ok(Limit {
        major: rustix::fs::major(number),
        minor: rustix::fs::minor(number),
        read_bytes: device.and_then(|device| device.read_bytes_sec),
        write_bytes: device.and_then(|device| device.write_bytes_sec),
        read_operations: device.and_then(|device| device.read_iops_sec).map(u64::from),
        write_operations: device.and_then(|device| device.write_iops_sec).map(u64::from),
    })
}

fn existing(qemu: &Qemu, guest: &Guest) -> Result<Group> {
    let group = cgroup::of(&qemu.cgroups, guest.facts.id, &guest.facts.name);
    if group.exists() && group.has(Controller::Blkio) {
        return Ok(group);
    }
    Err(Error::new(ErrorCode::OperationInvalid, "cgroup blkio controller is not mounted")
        .hint("see which controllers this host has: cat /proc/self/cgroup /sys/fs/cgroup/cgroup.controllers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_limited_one_by_one() {
        let set = |field: &str, text: &str| Changes::of(&[TypedParam::new(field, text)]);
        let mut tune = None;
        set("device_read_bytes_sec", "/dev/sda,100,/dev/sdb,7").unwrap().note(&mut tune);
        set("device_write_iops_sec", "/dev/sdb,3").unwrap().note(&mut tune);
        let params = written(tune.as_ref().unwrap());
        assert_eq!(params[4], TypedParam::new("device_read_bytes_sec", "/dev/sda,100,/dev/sdb,7"));
        assert_eq!(params[3], TypedParam::new("device_write_iops_sec", "/dev/sdb,3"));
        set("device_read_bytes_sec", "/dev/sda,0").unwrap().note(&mut tune);
        assert_eq!(tune.as_ref().unwrap().devices.len(), 1);
        assert!(set("device_read_bytes_sec", "/dev/sda").is_err());
        assert!(set("device_read_bytes_sec", "").unwrap().devices.is_empty());
        assert!(set("weights", "1").is_err());
    }
}

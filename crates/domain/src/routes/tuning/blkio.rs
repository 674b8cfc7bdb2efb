// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a guest shares the disks of the host with others: its weight, and what it may do with single devices.

use std::fmt::Write as _;
use std::sync::Arc;

use virtus_api::params::domain_blkio as name;
use virtus_api::{
    DomainGetBlkioParameters, DomainGetBlkioParametersReply, DomainModificationImpact as Impact,
    DomainSetBlkioParameters, Error, ErrorCode, Result, TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_xml::Domain;
use virtus_xml::domain::tuning::{BlkioDevice, Blkiotune};

use super::super::{HasMachines, amend, by, check_flags, find, targets};
use super::{TYPED_STRINGS, no_more_than};
use crate::tuner::{BlkioChange, Shares};

pub(super) fn routes<D: HasMachines>() -> Routes<D>
where
    D::Machine: Shares,
{
    Routes::new().on(by(get::<D>)).on(by(set::<D>))
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
            let field = &*param.field;
            let invalid = |what: &str| {
                let text = format!("{what} for parameter '{field}'");
                Error::new(ErrorCode::InvalidArg, text)
            };
            if field == name::WEIGHT {
                let weight = param.value.as_u64().and_then(|weight| u32::try_from(weight).ok());
                let weight = weight.ok_or_else(|| invalid("invalid value"))?;
                changes.weight = Some(weight);
                continue;
            }
            let row = ROWS
                .iter()
                .position(|row| row.name == field)
                .ok_or_else(|| Error::unknown_param(field))?;
            let text = param.value.as_str().ok_or_else(|| invalid("invalid type"))?;
            for (path, value) in pairs(text).ok_or_else(|| {
                let text = format!("unable to parse blkio device '{field}' '{text}'");
                Error::new(ErrorCode::InvalidArg, text).hint("write PATH,VALUE[,PATH,VALUE…]")
            })? {
                changes.devices.push((row, path.to_owned(), value));
            }
        }
        Ok(changes)
    }

    /// The same for a guest that runs; `noted` are the limits as they will be.
    fn live(&self, noted: Option<&Blkiotune>) -> BlkioChange {
        let known = noted.map(|tune| tune.devices.as_slice()).unwrap_or_default();
        let devices = self.devices.iter().map(|(_, path, _)| {
            let device = known.iter().find(|device| device.path == *path).cloned();
            device.unwrap_or_else(|| BlkioDevice { path: path.clone(), ..BlkioDevice::default() })
        });
        let weights = |(row, ..): &(usize, String, u64)| ROWS[*row].name == name::DEVICE_WEIGHT;
        BlkioChange {
            weight: self.weight,
            devices: devices.collect(),
            device_weights: self.devices.iter().any(weights),
        }
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

async fn get<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetBlkioParameters,
) -> Result<DomainGetBlkioParametersReply>
where
    D::Machine: Shares,
{
    let known = Impact::all().bits() | TYPED_STRINGS;
    check_flags(request.flags, known, "virDomainGetBlkioParameters")?;
    let (handle, snapshot) = find(&*driver, &request.dom)?;
    let wanted = targets(request.flags & !TYPED_STRINGS, &snapshot)?;
    let live = handle.running().filter(|_| wanted.live);
    let def = if live.is_some() { snapshot.live()?.clone() } else { snapshot.persistent()? };
    let mut tune = def.blkiotune.clone().unwrap_or_default();
    if let Some(running) = live {
        tune.weight = driver.machines().machine().blkio_weight(&running, tune.weight)?;
    }
    let (params, nparams) = no_more_than(request.nparams, written(&tune));
    Ok(DomainGetBlkioParametersReply { params, nparams })
}

async fn set<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSetBlkioParameters,
) -> Result<()>
where
    D::Machine: Shares,
{
    const NAME: &str = "virDomainSetBlkioParameters";
    let changes = Arc::new(Changes::of(&request.params)?);
    let noted = changes.clone();
    let note = move |def: &mut Domain| {
        noted.note(&mut def.blkiotune);
        Ok(())
    };
    let apply = move |machine: &D::Machine, guest: &_, _: &_, after: &Domain| {
        machine.share_disks(guest, &changes.live(after.blkiotune.as_ref()))
    };
    amend(&*driver, &request.dom, request.flags, NAME, note, apply).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_limited_one_by_one() {
        let set = |field: &'static str, text: &str| Changes::of(&[TypedParam::new(field, text)]);
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

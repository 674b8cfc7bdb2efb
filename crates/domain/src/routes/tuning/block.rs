// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How much a guest may read from and write to one of its disks.
//!
//! Invariant: limits that were not named stay as they are, but those of one kind are changed together: who sets the
//! total of reads and writes lifts the single limits, and the reverse.

use std::sync::Arc;

use virtus_api::params::domain_block_iotune as name;
use virtus_api::{
    DomainEventTunable, DomainGetBlockIoTune, DomainGetBlockIoTuneReply,
    DomainModificationImpact as Impact, DomainSetBlockIoTune, Error, ErrorCode, Result, TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_xml::domain::disk::Iotune;

use super::super::{HasMachines, by, check_flags, find, targets};
use super::{TYPED_STRINGS, no_more_than};
use crate::iotune::{LIMITS, Limit, MOST};
use crate::jobs::Job;
use crate::named;
use crate::tuner::{Throttling, Tuner};

/// In clients' lists the group's name stands after so many limits.
const BEFORE_GROUP: usize = 13;

pub(super) fn routes<D: HasMachines>() -> Routes<D>
where
    D::Machine: Tuner,
{
    Routes::new().on(by(get::<D>)).on(by(set::<D>))
}

async fn get<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetBlockIoTune,
) -> Result<DomainGetBlockIoTuneReply>
where
    D::Machine: Tuner,
{
    let known = Impact::all().bits() | TYPED_STRINGS;
    check_flags(request.flags, known, "virDomainGetBlockIoTune")?;
    let (handle, snapshot) = find(&*driver, &request.dom)?;
    let wanted = targets(request.flags & !TYPED_STRINGS, &snapshot)?;
    let live = handle.running().filter(|_| wanted.live);
    let def = if live.is_some() { snapshot.live()?.clone() } else { snapshot.persistent()? };
    let tune = match (&request.disk, live) {
        // Clients ask first how much room they need.
        (None, _) => Iotune::default(),
        (Some(disk), None) => {
            named::disk(&def, disk)?.iotune.as_deref().cloned().unwrap_or_default()
        }
        (Some(disk), Some(guest)) => {
            driver.machines().machine().throttled(&guest, named::disk(&def, disk)?).await?
        }
    };
    let (params, nparams) = no_more_than(request.nparams, written(&tune));
    Ok(DomainGetBlockIoTuneReply { params, nparams })
}

fn written(tune: &Iotune) -> Vec<TypedParam> {
    let mut params: Vec<_> =
        LIMITS.iter().map(|limit| TypedParam::new(limit.name, limit.value(tune))).collect();
    let group = tune.group_name.as_deref().unwrap_or_default();
    params.insert(BEFORE_GROUP, TypedParam::new(name::GROUP_NAME, group));
    params
}

/// Limits that are changed together, by their names.
const KINDS: &[[&str; 3]] = &[
    [name::TOTAL_BYTES_SEC, name::READ_BYTES_SEC, name::WRITE_BYTES_SEC],
    [name::TOTAL_IOPS_SEC, name::READ_IOPS_SEC, name::WRITE_IOPS_SEC],
    [name::TOTAL_BYTES_SEC_MAX, name::READ_BYTES_SEC_MAX, name::WRITE_BYTES_SEC_MAX],
    [name::TOTAL_IOPS_SEC_MAX, name::READ_IOPS_SEC_MAX, name::WRITE_IOPS_SEC_MAX],
];

/// A limit, the burst above it, and how long the burst may be.
const BURSTS: &[[&str; 3]] = &[
    [name::TOTAL_BYTES_SEC, name::TOTAL_BYTES_SEC_MAX, name::TOTAL_BYTES_SEC_MAX_LENGTH],
    [name::READ_BYTES_SEC, name::READ_BYTES_SEC_MAX, name::READ_BYTES_SEC_MAX_LENGTH],
    [name::WRITE_BYTES_SEC, name::WRITE_BYTES_SEC_MAX, name::WRITE_BYTES_SEC_MAX_LENGTH],
    [name::TOTAL_IOPS_SEC, name::TOTAL_IOPS_SEC_MAX, name::TOTAL_IOPS_SEC_MAX_LENGTH],
    [name::READ_IOPS_SEC, name::READ_IOPS_SEC_MAX, name::READ_IOPS_SEC_MAX_LENGTH],
    [name::WRITE_IOPS_SEC, name::WRITE_IOPS_SEC_MAX, name::WRITE_IOPS_SEC_MAX_LENGTH],
];

/// What a call wants to change.
#[derive(Debug, Clone, PartialEq, Default)]
struct Wish {
    values: Vec<(&'static str, u64)>,
    group: Option<String>,
}

impl Wish {
    fn of(params: &[TypedParam]) -> Result<Self> {
        let mut wish = Self::default();
        for param in params {
            let field = &*param.field;
            let wrong_type = || {
                let text = format!("invalid type for parameter '{field}'");
                Error::new(ErrorCode::InvalidArg, text)
            };
            if field == name::GROUP_NAME {
                wish.group = Some(param.value.as_str().ok_or_else(wrong_type)?.to_owned());
                continue;
            }
            let limit = Limit::of(field).ok_or_else(|| Error::unknown_param(field))?;
            let value = param.value.as_u64().ok_or_else(wrong_type)?;
            if value > MOST {
                let text = format!("block I/O throttle limit value must be no more than {MOST}");
                return Err(Error::new(ErrorCode::ArgumentUnsupported, text));
            }
            wish.values.push((limit.name, value));
        }
        one_of_a_kind(|name| {
            wish.values.iter().any(|(field, value)| *field == name && *value > 0)
        })?;
        Ok(wish)
    }

    fn names(&self, name: &str) -> bool {
        self.values.iter().any(|(field, _)| *field == name)
    }

    /// The limits as they will be.
    fn after(&self, before: &Iotune, how: Throttling) -> Result<Iotune> {
        let mut tune = before.clone();
        let put = |tune: &mut Iotune, name: &str, value| {
            if let Some(limit) = Limit::of(name) {
                limit.set(tune, value);
            }
        };
        let replaced = KINDS.iter().filter(|kind| kind.iter().any(|name| self.names(name)));
        for kind in replaced.filter(|_| how == Throttling::Replace) {
            kind.iter().for_each(|name| put(&mut tune, name, 0));
        }
        self.values.iter().for_each(|(name, value)| put(&mut tune, name, *value));
        if let Some(group) = &self.group {
            tune.group_name = Some(group.clone()).filter(|group| !group.is_empty());
        }
        let value =
            |tune: &Iotune, name: &str| Limit::of(name).map_or(0, |limit| limit.value(tune));
        if how == Throttling::Add {
            one_of_a_kind(|name| value(&tune, name) > 0)?;
            let above = |[rate, burst, _]: &&[&str; 3]| value(&tune, rate) > value(&tune, burst);
            return BURSTS.iter().find(above).map_or(Ok(tune.clone()), |[rate, burst, _]| {
                let text = format!("{rate} cannot be set higher than {burst}");
                Err(Error::new(ErrorCode::InvalidArg, text))
            });
        }
        for [rate, burst, length] in BURSTS {
            let most = value(&tune, burst);
            if most == 0 {
                put(&mut tune, length, 0);
            } else if value(&tune, rate) == 0 {
                let text = format!("cannot reset '{rate}' when '{burst}' is set");
                return Err(Error::new(ErrorCode::ConfigUnsupported, text));
            } else if most <= value(&tune, rate) {
                let text = format!("value '{burst}' cannot be smaller than or equal to '{rate}'");
                return Err(Error::new(ErrorCode::ConfigUnsupported, text));
            }
        }
        Ok(tune)
    }

    fn told(&self, target: &str) -> Vec<TypedParam> {
        let mut params = vec![TypedParam::new("blkdeviotune.disk", target)];
        let named = |field: &str| format!("blkdeviotune.{field}");
        params
            .extend(self.values.iter().map(|(field, value)| TypedParam::new(named(field), *value)));
        params.extend(
            self.group.iter().map(|group| TypedParam::new(named(name::GROUP_NAME), group.as_str())),
        );
        params
    }
}

/// Refuses a total beside its single limits.
fn one_of_a_kind(is_set: impl Fn(&str) -> bool) -> Result<()> {
    match KINDS.iter().find(|[total, read, write]| is_set(total) && (is_set(read) || is_set(write)))
    {
        None => Ok(()),
        Some([total, ..]) => {
            let kind = total.trim_start_matches("total_");
            let text = format!("total and read/write of {kind} cannot be set at the same time");
            Err(Error::new(ErrorCode::InvalidArg, text))
        }
    }
}

fn kept(tune: Iotune) -> Option<Iotune> {
    Some(tune).filter(|tune| *tune != Iotune::default())
}

async fn set<D: HasMachines>(driver: Arc<D>, _: Call, request: DomainSetBlockIoTune) -> Result<()>
where
    D::Machine: Tuner,
{
    const NAME: &str = "virDomainSetBlockIoTune";
    check_flags(request.flags, Impact::all().bits(), NAME)?;
    let wish = Wish::of(&request.params)?;
    let (handle, _) = find(&*driver, &request.dom)?;
    handle
        .job(Job::modify(NAME), move |context| async move {
            let wanted = targets(request.flags, &context.snapshot())?;
            if wanted.config {
                context.change_persistent(|def| {
                    let target = named::disk(def, &request.disk)?.target.dev.clone();
                    let mut all = def.devices.disks.iter_mut();
                    if let Some(disk) = all.find(|disk| disk.target.dev == target) {
                        let before = disk.iotune.clone().unwrap_or_default();
                        disk.iotune =
                            kept(wish.after(&before, D::Machine::THROTTLING)?).map(Box::new);
                    }
                    Ok(())
                })?;
            }
            if wanted.live {
                let live = context.live()?;
                let disk = named::disk(&live, &request.disk)?;
                let target = disk.target.dev.clone();
                let before = disk.iotune.clone().unwrap_or_default();
                let tune = wish.after(&before, D::Machine::THROTTLING)?;
                // An empty drive takes the limits when it gets a medium.
                if disk.source.is_some() {
                    let guest = context.running()?;
                    context.machine().throttle(&guest, disk, &tune).await?;
                }
                context.change_live(|def| {
                    let mut all = def.devices.disks.iter_mut();
                    if let Some(disk) = all.find(|disk| disk.target.dev == target) {
                        disk.iotune = kept(tune).map(Box::new);
                    }
                })?;
                let params = wish.told(&target);
                context.emit(|dom| DomainEventTunable { dom, params }.into());
            }
            Ok(())
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(values: &[(&'static str, u64)]) -> Result<Wish> {
        let params: Vec<_> =
            values.iter().map(|(field, value)| TypedParam::new(*field, *value)).collect();
        Wish::of(&params)
    }

    #[test]
    fn limits_of_one_kind_are_changed_together() {
        let before =
            Iotune { read_bytes_sec: Some(5), total_iops_sec: Some(9), ..Iotune::default() };
        let after =
            wish(&[("total_bytes_sec", 7)]).unwrap().after(&before, Throttling::Replace).unwrap();
        assert_eq!((after.read_bytes_sec, after.total_bytes_sec), (None, Some(7)));
        assert_eq!(after.total_iops_sec, Some(9));
        let both = wish(&[("total_bytes_sec", 7), ("read_bytes_sec", 5)]).unwrap_err();
        assert_eq!(both.text(), "total and read/write of bytes_sec cannot be set at the same time");
    }

    #[test]
    fn a_burst_needs_a_limit_below_it() {
        let burst = wish(&[("total_bytes_sec", 1), ("total_bytes_sec_max", 2)]).unwrap();
        let before = burst.after(&Iotune::default(), Throttling::Replace).unwrap();
        let refused = wish(&[("read_bytes_sec", 10)]).unwrap();
        let refused = refused.after(&before, Throttling::Replace).unwrap_err();
        assert_eq!(
            refused.text(),
            "cannot reset 'total_bytes_sec' when 'total_bytes_sec_max' is set"
        );
        assert!(wish(&[("total_iops_sec", MOST + 1)]).is_err());
        assert!(wish(&[("total", 1)]).is_err());
    }

    #[test]
    fn limits_that_only_add_need_a_burst() {
        let after = |values: &[(&'static str, u64)], before: &Iotune| {
            wish(values).unwrap().after(before, Throttling::Add)
        };
        let refused = after(&[("total_bytes_sec", 1)], &Iotune::default()).unwrap_err();
        assert_eq!(refused.text(), "total_bytes_sec cannot be set higher than total_bytes_sec_max");
        let both = [("total_bytes_sec", 1), ("total_bytes_sec_max", 2)];
        let tune = after(&both, &Iotune::default()).unwrap();
        assert!(after(&[("read_bytes_sec", 1), ("read_bytes_sec_max", 1)], &tune).is_err());
        let tune = after(&[("read_bytes_sec", 0), ("size_iops_sec", 4)], &tune).unwrap();
        assert_eq!((tune.total_bytes_sec, tune.size_iops_sec), (Some(1), Some(4)));
    }

    #[test]
    fn the_groups_name_stands_where_clients_print_it() {
        let params = written(&Iotune { group_name: Some("g".into()), ..Iotune::default() });
        assert_eq!(params.len(), 20);
        assert_eq!(params[12].field, "size_iops_sec");
        assert_eq!(params[13], TypedParam::new("group_name", "g"));
    }
}

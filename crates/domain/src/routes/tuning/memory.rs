// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How much of the host's memory a guest may take.

use std::sync::Arc;

use virtus_api::params::domain_memory as name;
use virtus_api::{
    DomainGetMemoryParameters, DomainGetMemoryParametersReply, DomainModificationImpact as Impact,
    DomainSetMemoryParameters, Error, ErrorCode, Result, TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_xml::Domain;
use virtus_xml::domain::memory::Memtune;
use virtus_xml::units::Kib;

use super::super::{HasMachines, amend, by, check_flags, find, targets};
use super::{TYPED_STRINGS, no_more_than};
use crate::tuner::{MemoryLimits as Limits, Shares, UNLIMITED};

pub(super) fn routes<D: HasMachines>() -> Routes<D>
where
    D::Machine: Shares,
{
    Routes::new().on(by(get::<D>)).on(by(set::<D>))
}

impl Limits {
    fn of(params: &[TypedParam]) -> Result<Self> {
        let mut limits = Self::default();
        for param in params {
            let field = &*param.field;
            let place = match field {
                name::HARD_LIMIT => &mut limits.hard,
                name::SOFT_LIMIT => &mut limits.soft,
                name::SWAP_HARD_LIMIT => &mut limits.swap_hard,
                _ => return Err(Error::unknown_param(field)),
            };
            let value = param.value.as_u64().ok_or_else(|| {
                let text = format!("invalid type for parameter '{field}', a number is expected");
                Error::new(ErrorCode::InvalidArg, text)
            })?;
            *place = Some(value.min(UNLIMITED));
        }
        Ok(limits)
    }

    fn noted(memtune: Option<&Memtune>) -> Self {
        let kib = |limit: Option<Kib>| limit.map(|limit| limit.0);
        memtune.map_or_else(Self::default, |tune| Self {
            hard: kib(tune.hard_limit),
            soft: kib(tune.soft_limit),
            swap_hard: kib(tune.swap_hard_limit),
        })
    }

    fn note(self, memtune: &mut Option<Memtune>) -> Result<()> {
        let mut tune = memtune.clone().unwrap_or_default();
        for (value, place) in [
            (self.hard, &mut tune.hard_limit),
            (self.soft, &mut tune.soft_limit),
            (self.swap_hard, &mut tune.swap_hard_limit),
        ] {
            if let Some(kib) = value {
                *place = (kib < UNLIMITED).then_some(Kib(kib));
            }
        }
        let (hard, swap) = (kib(tune.hard_limit), kib(tune.swap_hard_limit));
        if hard > swap {
            let text = "memory hard_limit tunable value must be lower than or equal to \
                        swap_hard_limit";
            return Err(Error::new(ErrorCode::InvalidArg, text));
        }
        *memtune = (tune != Memtune::default()).then_some(tune);
        Ok(())
    }
}

fn kib(limit: Option<Kib>) -> u64 {
    limit.map_or(UNLIMITED, |limit| limit.0)
}

async fn get<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetMemoryParameters,
) -> Result<DomainGetMemoryParametersReply>
where
    D::Machine: Shares,
{
    let known = Impact::all().bits() | TYPED_STRINGS;
    check_flags(request.flags, known, "virDomainGetMemoryParameters")?;
    let (handle, snapshot) = find(&*driver, &request.dom)?;
    let wanted = targets(request.flags & !TYPED_STRINGS, &snapshot)?;
    let live = handle.running().filter(|_| wanted.live);
    let def = if live.is_some() { snapshot.live()?.clone() } else { snapshot.persistent()? };
    let mut limits = Limits::noted(def.memtune.as_ref());
    if let Some(running) = live {
        limits = driver.machines().machine().memory_limits(&running, limits)?;
    }
    let params = [
        (name::HARD_LIMIT, limits.hard),
        (name::SOFT_LIMIT, limits.soft),
        (name::SWAP_HARD_LIMIT, limits.swap_hard),
    ];
    let params = params.map(|(field, kib)| TypedParam::new(field, kib.unwrap_or(UNLIMITED)));
    let (params, nparams) = no_more_than(request.nparams, params.into());
    Ok(DomainGetMemoryParametersReply { params, nparams })
}

async fn set<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSetMemoryParameters,
) -> Result<()>
where
    D::Machine: Shares,
{
    const NAME: &str = "virDomainSetMemoryParameters";
    let limits = Limits::of(&request.params)?;
    let note = move |def: &mut Domain| limits.note(&mut def.memtune);
    let apply =
        move |machine: &D::Machine, guest: &_, _: &_, _: &_| machine.limit_memory(guest, limits);
    amend(&*driver, &request.dom, request.flags, NAME, note, apply).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_kept_until_they_are_lifted() {
        let set =
            |field: &'static str, kib: u64| Limits::of(&[TypedParam::new(field, kib)]).unwrap();
        let mut tune = None;
        set("hard_limit", 4096).note(&mut tune).unwrap();
        set("soft_limit", 2048).note(&mut tune).unwrap();
        assert_eq!(tune.as_ref().and_then(|tune| tune.hard_limit), Some(Kib(4096)));
        let refused = set("swap_hard_limit", 1024).note(&mut tune).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidArg);
        set("hard_limit", UNLIMITED).note(&mut tune).unwrap();
        set("soft_limit", u64::MAX).note(&mut tune).unwrap();
        assert_eq!(tune, None);
        assert!(Limits::of(&[TypedParam::new("min_guarantee", 1_u64)]).is_err());
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How much of the host's memory a guest's QEMU may take.

use std::sync::Arc;

use virtus_api::params::domain_memory as name;
use virtus_api::{
    DomainGetMemoryParameters, DomainGetMemoryParametersReply, DomainModificationImpact as Impact,
    DomainSetMemoryParameters, Error, ErrorCode, Result, TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_domain::Job;
use virtus_domain::routes::{check_flags, find, targets};
use virtus_host::cgroup::{Group, UNLIMITED as NO_LIMIT};
use virtus_xml::domain::memory::Memtune;
use virtus_xml::units::Kib;

use super::{by, no_more_than};
use crate::driver::{Qemu, QemuDriver};
use crate::guest::Guest;
use crate::launch::cgroup;

/// How clients say "no limit", in KiB.
const UNLIMITED: u64 = 9_007_199_254_740_991;
/// Clients that can read texts say so; nothing here is one.
const TYPED_STRINGS: u32 = 4;

pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(get)).on(by(set))
}

/// The limits of one call, in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Limits {
    hard: Option<u64>,
    soft: Option<u64>,
    swap_hard: Option<u64>,
}

impl Limits {
    fn of(params: &[TypedParam]) -> Result<Self> {
        let mut limits = Self::default();
        for param in params {
            let field = param.field.as_str();
            let place = match field {
                name::HARD_LIMIT => &mut limits.hard,
                name::SOFT_LIMIT => &mut limits.soft,
                name::SWAP_HARD_LIMIT => &mut limits.swap_hard,
                _ => {
                    let text = format!("parameter '{field}' not supported");
                    return Err(Error::new(ErrorCode::InvalidArg, text));
                }
            };
            let value = param.value.as_u64().ok_or_else(|| {
                let text = format!("invalid type for parameter '{field}', a number is expected");
                Error::new(ErrorCode::InvalidArg, text)
            })?;
            *place = Some(value.min(UNLIMITED));
        }
        Ok(limits)
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

async fn get(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetMemoryParameters,
) -> Result<DomainGetMemoryParametersReply> {
    let known = Impact::all().bits() | TYPED_STRINGS;
    check_flags(request.flags, known, "virDomainGetMemoryParameters")?;
    let (handle, snapshot) = find(&*driver, &request.dom)?;
    let wanted = targets(request.flags & !TYPED_STRINGS, &snapshot)?;
    let live = handle.running().filter(|_| wanted.live);
    let def = if live.is_some() { snapshot.live()? } else { snapshot.persistent()? };
    let tune = def.memtune.clone().unwrap_or_default();
    let (hard, soft) = match live {
        Some(guest) => {
            let group = existing(&driver.qemu, &guest)?;
            (in_kib(group.memory_limit()?), in_kib(group.memory_soft_limit()?))
        }
        None => (kib(tune.hard_limit), kib(tune.soft_limit)),
    };
    let params = vec![
        TypedParam::new(name::HARD_LIMIT, hard),
        TypedParam::new(name::SOFT_LIMIT, soft),
        TypedParam::new(name::SWAP_HARD_LIMIT, kib(tune.swap_hard_limit)),
    ];
    let (params, nparams) = no_more_than(request.nparams, params);
    Ok(DomainGetMemoryParametersReply { params, nparams })
}

fn in_kib(bytes: u64) -> u64 {
    if bytes == NO_LIMIT { UNLIMITED } else { bytes / 1024 }
}

fn in_bytes(kib: u64) -> u64 {
    if kib >= UNLIMITED { NO_LIMIT } else { kib.saturating_mul(1024) }
}

async fn set(driver: Arc<QemuDriver>, _: Call, request: DomainSetMemoryParameters) -> Result<()> {
    const NAME: &str = "virDomainSetMemoryParameters";
    check_flags(request.flags, Impact::all().bits(), NAME)?;
    let limits = Limits::of(&request.params)?;
    let (handle, _) = find(&*driver, &request.dom)?;
    handle
        .job(Job::modify(NAME), move |context| async move {
            let wanted = targets(request.flags, &context.snapshot())?;
            if wanted.config {
                context.change_persistent(|def| limits.note(&mut def.memtune))?;
            }
            if wanted.live {
                let mut noted = context.live()?.memtune.clone();
                limits.note(&mut noted)?;
                if limits.swap_hard.is_some() {
                    return Err(Error::new(
                        ErrorCode::OperationUnsupported,
                        "the swap limit of a running domain cannot be changed on this host",
                    )
                    .hint("set it for the next start with '--config'"));
                }
                let group = existing(context.machine(), &*context.running()?)?;
                if let Some(hard) = limits.hard {
                    group.set_memory_limit(in_bytes(hard))?;
                }
                if let Some(soft) = limits.soft {
                    group.set_memory_soft_limit(in_bytes(soft))?;
                }
                context.change_live(|def| def.memtune = noted)?;
            }
            Ok(())
        })
        .await
}

fn existing(qemu: &Qemu, guest: &Guest) -> Result<Group> {
    let group = cgroup::of(&qemu.cgroups, guest.facts.id, &guest.facts.name);
    if group.exists() {
        return Ok(group);
    }
    Err(Error::new(ErrorCode::OperationInvalid, "cgroup memory controller is not mounted")
        .hint("see which controllers this host has: cat /proc/self/cgroup /sys/fs/cgroup/cgroup.controllers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_kept_until_they_are_lifted() {
        let set = |field: &str, kib: u64| Limits::of(&[TypedParam::new(field, kib)]).unwrap();
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

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a container shares the CPUs of the host with others: its share, and a quota of CPU time.
//!
//! Invariants: a parameter that is unknown, of the wrong type or out of range changes nothing; limits of a
//! running container are the kernel's own, read back from it.

use std::sync::Arc;

use virtus_api::params::domain_scheduler as name;
use virtus_api::{
    DomainGetSchedulerParameters, DomainGetSchedulerParametersFlags, DomainGetSchedulerType,
    DomainGetSchedulerTypeReply, DomainModificationImpact as Impact, DomainRef,
    DomainSetSchedulerParameters, DomainSetSchedulerParametersFlags, Error, ErrorCode, Result,
    TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_domain::Job;
use virtus_domain::routes::{by, check_flags, find, targets};
use virtus_host::cgroup::{CpuQuota, Group};
use virtus_xml::domain::tuning::Cputune;

use crate::driver::LxcDriver;

/// Clients that can read texts say so; nothing here is one.
const TYPED_STRINGS: u32 = 4;
/// How many parameters there are.
const PARAMETERS: i32 = 3;

/// The routes of this file.
pub(super) fn routes() -> Routes<LxcDriver> {
    Routes::new().on(by(get_type)).on(by(get)).on(by(get_flags)).on(by(set)).on(by(set_flags))
}

/// What a call wants to change; what holds, where all are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Parameters {
    shares: Option<u64>,
    period: Option<u64>,
    quota: Option<i64>,
}

impl Parameters {
    fn of(params: &[TypedParam]) -> Result<Self> {
        let mut all = Self::default();
        for param in params {
            let field = param.field.as_str();
            let wrong_type = || {
                let text = format!("invalid type for parameter '{field}', a number is expected");
                Error::new(ErrorCode::InvalidArg, text)
            };
            let unsigned = || param.value.as_u64().ok_or_else(wrong_type);
            match field {
                name::CPU_SHARES => all.shares = Some(unsigned()?),
                name::VCPU_PERIOD => {
                    let period = unsigned()?;
                    // The kernel's own limits, in microseconds.
                    in_range(field, i128::from(period), 1_000, 1_000_000)?;
                    all.period = Some(period);
                }
                name::VCPU_QUOTA => {
                    let quota = param.value.as_i64().ok_or_else(wrong_type)?;
                    in_range(field, i128::from(quota), 1_000, 17_592_186_044_415)?;
                    all.quota = Some(quota);
                }
                _ => {
                    let text = format!("parameter '{field}' not supported");
                    return Err(Error::new(ErrorCode::InvalidArg, text)
                        .hint("see which there are with 'virsh schedinfo DOMAIN'"));
                }
            }
        }
        Ok(all)
    }

    fn noted(tune: &Cputune) -> Self {
        Self { shares: tune.shares, period: tune.period, quota: tune.quota }
    }

    fn holding(group: &Group) -> Result<Self> {
        let CpuQuota { period, quota } = group.cpu_quota()?;
        let quota = quota.map_or(-1, |quota| i64::try_from(quota).unwrap_or(i64::MAX));
        Ok(Self { shares: Some(group.cpu_shares()?), period: Some(period), quota: Some(quota) })
    }

    /// Zero means "not set".
    fn note(self, tune: &mut Cputune) {
        tune.shares = self.shares.or(tune.shares).filter(|shares| *shares > 0);
        tune.period = self.period.or(tune.period).filter(|period| *period > 0);
        tune.quota = self.quota.or(tune.quota).filter(|quota| *quota != 0);
    }

    fn apply(self, group: &Group) -> Result<()> {
        if let Some(shares) = self.shares {
            group.set_cpu_shares(shares)?;
        }
        if self.period.is_none() && self.quota.is_none() {
            return Ok(());
        }
        let before = group.cpu_quota()?;
        let quota = match self.quota {
            Some(quota) => u64::try_from(quota).ok().filter(|quota| *quota > 0),
            None => before.quota,
        };
        let period = self.period.filter(|period| *period > 0).unwrap_or(before.period);
        group.set_cpu_quota(CpuQuota { period, quota })
    }

    fn tell(self, most: i32) -> Vec<TypedParam> {
        let mut params = vec![
            TypedParam::new(name::CPU_SHARES, self.shares.unwrap_or_default()),
            TypedParam::new(name::VCPU_PERIOD, self.period.unwrap_or_default()),
            TypedParam::new(name::VCPU_QUOTA, self.quota.unwrap_or_default()),
        ];
        params.truncate(usize::try_from(most).unwrap_or_default());
        params
    }
}

/// Zero and less mean "not set" and "no limit".
fn in_range(field: &str, value: i128, least: i128, most: i128) -> Result<()> {
    if value > most || (value > 0 && value < least) {
        let text = format!("value of '{field}' is out of range [{least}, {most}]");
        return Err(Error::new(ErrorCode::InvalidArg, text));
    }
    Ok(())
}

async fn get_type(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainGetSchedulerType,
) -> Result<DomainGetSchedulerTypeReply> {
    find(&*driver, &request.dom)?;
    Ok(DomainGetSchedulerTypeReply { r#type: "posix".to_owned(), nparams: PARAMETERS })
}

async fn get(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainGetSchedulerParameters,
) -> Result<Vec<TypedParam>> {
    read(&driver, &request.dom, request.nparams, 0)
}

async fn get_flags(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainGetSchedulerParametersFlags,
) -> Result<Vec<TypedParam>> {
    const NAME: &str = "virDomainGetSchedulerParametersFlags";
    check_flags(request.flags, Impact::all().bits() | TYPED_STRINGS, NAME)?;
    read(&driver, &request.dom, request.nparams, request.flags & !TYPED_STRINGS)
}

fn read(driver: &LxcDriver, dom: &DomainRef, most: i32, flags: u32) -> Result<Vec<TypedParam>> {
    let (handle, snapshot) = find(driver, dom)?;
    let wanted = targets(flags, &snapshot)?;
    let parameters = match handle.running().filter(|_| wanted.live) {
        Some(container) => Parameters::holding(&container.group)?,
        None => Parameters::noted(&snapshot.persistent()?.cputune),
    };
    Ok(parameters.tell(most))
}

async fn set(driver: Arc<LxcDriver>, _: Call, request: DomainSetSchedulerParameters) -> Result<()> {
    write(&driver, &request.dom, &request.params, 0, "virDomainSetSchedulerParameters").await
}

async fn set_flags(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainSetSchedulerParametersFlags,
) -> Result<()> {
    const NAME: &str = "virDomainSetSchedulerParametersFlags";
    check_flags(request.flags, Impact::all().bits(), NAME)?;
    write(&driver, &request.dom, &request.params, request.flags, NAME).await
}

async fn write(
    driver: &LxcDriver,
    dom: &DomainRef,
    params: &[TypedParam],
    flags: u32,
    call: &'static str,
) -> Result<()> {
    let change = Parameters::of(params)?;
    let (handle, _) = find(driver, dom)?;
    handle
        .job(Job::modify(call), move |context| async move {
            let wanted = targets(flags, &context.snapshot())?;
            if wanted.config {
                context.change_persistent(|def| {
                    change.note(&mut def.cputune);
                    Ok(())
                })?;
            }
            if wanted.live {
                change.apply(&context.running()?.group)?;
                context.change_live(|def| change.note(&mut def.cputune))?;
            }
            Ok(())
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_keeps_what_is_set() {
        let mut tune = Cputune::default();
        let params =
            [TypedParam::new("cpu_shares", 512_u64), TypedParam::new("vcpu_quota", -1_i64)];
        Parameters::of(&params).unwrap().note(&mut tune);
        assert_eq!((tune.shares, tune.quota), (Some(512), Some(-1)));
        let params = [TypedParam::new("vcpu_quota", 0_i64)];
        Parameters::of(&params).unwrap().note(&mut tune);
        assert_eq!(Parameters::noted(&tune).tell(3)[0], TypedParam::new("cpu_shares", 512_u64));
        assert_eq!(tune.quota, None);
        for (name, value) in [("vcpu_period", 999_u64), ("emulator_period", 5_000)] {
            assert!(Parameters::of(&[TypedParam::new(name, value)]).is_err(), "{name}");
        }
    }
}

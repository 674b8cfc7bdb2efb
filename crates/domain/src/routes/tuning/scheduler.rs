// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a machine shares the CPUs of the host with others: shares and quotas of CPU time.
//!
//! Invariants: a parameter that is unknown, of the wrong type or out of range changes nothing; limits of a running
//! machine are the kernel's own, read back from it.

use std::sync::Arc;

use virtus_api::params::domain_scheduler as name;
use virtus_api::{
    DomainEventTunable, DomainGetSchedulerParameters, DomainGetSchedulerParametersFlags,
    DomainGetSchedulerType, DomainGetSchedulerTypeReply, DomainModificationImpact as Impact,
    DomainRef, DomainSetSchedulerParameters, DomainSetSchedulerParametersFlags, Error, ErrorCode,
    Result, TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_host::cgroup::CpuQuota;
use virtus_xml::domain::tuning::Cputune;

use super::super::{HasMachines, by, check_flags, find, targets};
use super::TYPED_STRINGS;
use crate::jobs::Job;
use crate::tuner::{Scheduled, Scope};

/// What every driver answers whose machines can be held to a share of the CPUs.
#[must_use]
pub fn scheduler_routes<D: HasMachines>() -> Routes<D>
where
    D::Machine: Scheduled,
{
    Routes::new()
        .on(by(get_type::<D>))
        .on(by(get::<D>))
        .on(by(get_flags::<D>))
        .on(by(set::<D>))
        .on(by(set_flags::<D>))
}

/// A scope with its names.
struct Row {
    scope: Scope,
    period: &'static str,
    quota: &'static str,
    place: fn(&mut Cputune) -> (&mut Option<u64>, &mut Option<i64>),
    value: fn(&Cputune) -> (Option<u64>, Option<i64>),
}

/// In the order in which clients print them, which is that of [`Scope`].
macro_rules! rows {
    ($($scope:ident $period:ident $quota:ident $p:ident $q:ident;)+) => {
        const ROWS: &[Row] = &[$(Row {
            scope: Scope::$scope,
            period: name::$period,
            quota: name::$quota,
            place: |tune| (&mut tune.$p, &mut tune.$q),
            value: |tune| (tune.$p, tune.$q),
        }),+];
    };
}

rows! {
    Vcpu VCPU_PERIOD VCPU_QUOTA period quota;
    Emulator EMULATOR_PERIOD EMULATOR_QUOTA emulator_period emulator_quota;
    Global GLOBAL_PERIOD GLOBAL_QUOTA global_period global_quota;
    Iothread IOTHREAD_PERIOD IOTHREAD_QUOTA iothread_period iothread_quota;
}

/// What a call wants to change.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    Shares(u64),
    Period(Scope, u64),
    Quota(Scope, i64),
}

impl Scope {
    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}

impl Change {
    /// Reads and checks one parameter.
    fn read(scopes: &[Scope], param: &TypedParam) -> Result<Self> {
        let field = &*param.field;
        let wrong_type = || {
            let text = format!("invalid type for parameter '{field}', a number is expected");
            Error::new(ErrorCode::InvalidArg, text)
        };
        if field == name::CPU_SHARES {
            return param.value.as_u64().map(Self::Shares).ok_or_else(wrong_type);
        }
        for row in scopes.iter().map(|scope| scope.row()) {
            if field == row.period {
                let period = param.value.as_u64().ok_or_else(wrong_type)?;
                // The kernel's own limits, in microseconds.
                in_range(field, i128::from(period), 1_000, 1_000_000)?;
                return Ok(Self::Period(row.scope, period));
            }
            if field == row.quota {
                let quota = param.value.as_i64().ok_or_else(wrong_type)?;
                in_range(field, i128::from(quota), 1_000, 17_592_186_044_415)?;
                return Ok(Self::Quota(row.scope, quota));
            }
        }
        Err(Error::unknown_param(field).hint("see which there are with 'virsh schedinfo DOMAIN'"))
    }

    fn note(&self, tune: &mut Cputune) {
        match *self {
            Self::Shares(shares) => tune.shares = Some(shares),
            Self::Period(scope, period) => {
                *(scope.row().place)(tune).0 = Some(period).filter(|period| *period > 0);
            }
            Self::Quota(scope, quota) => {
                *(scope.row().place)(tune).1 = Some(quota).filter(|quota| *quota != 0);
            }
        }
    }

    /// How the event names it; clients of events know the limits of vCPUs by their full name.
    fn told(&self) -> TypedParam {
        let named = |field: &str| format!("cputune.{field}");
        match *self {
            Self::Shares(shares) => TypedParam::new(named(name::CPU_SHARES), shares),
            Self::Period(scope, period) => TypedParam::new(named(scope.row().period), period),
            Self::Quota(scope, quota) => TypedParam::new(named(scope.row().quota), quota),
        }
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

/// What a definition says; zero is "not set".
fn written(scopes: &[Scope], tune: &Cputune) -> Vec<TypedParam> {
    let mut params = vec![TypedParam::new(name::CPU_SHARES, tune.shares.unwrap_or_default())];
    for row in scopes.iter().map(|scope| scope.row()) {
        let (period, quota) = (row.value)(tune);
        params.push(TypedParam::new(row.period, period.unwrap_or_default()));
        params.push(TypedParam::new(row.quota, quota.unwrap_or_default()));
    }
    params
}

/// What the kernel holds a machine to.
async fn holding<M: Scheduled>(machine: &M, running: &M::Running) -> Result<Vec<TypedParam>> {
    let mut params = vec![TypedParam::new(name::CPU_SHARES, machine.cpu_shares(running)?)];
    for scope in M::SCOPES {
        let CpuQuota { period, quota } = machine.cpu_quota(running, *scope).await?;
        let quota = quota.map_or(-1, |quota| i64::try_from(quota).unwrap_or(i64::MAX));
        params.push(TypedParam::new(scope.row().period, period));
        params.push(TypedParam::new(scope.row().quota, quota));
    }
    Ok(params)
}

/// Period and quota as they will be: changed together if both are asked for.
fn limit(scope: Scope, before: &Cputune, all: &[Change]) -> CpuQuota {
    let (mut period, mut quota) = (scope.row().value)(before);
    for change in all {
        match *change {
            Change::Period(other, value) if other == scope => period = Some(value),
            Change::Quota(other, value) if other == scope => quota = Some(value),
            _ => {}
        }
    }
    CpuQuota::of(period, quota).unwrap_or(CpuQuota::UNLIMITED)
}

async fn get_type<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetSchedulerType,
) -> Result<DomainGetSchedulerTypeReply>
where
    D::Machine: Scheduled,
{
    find(&*driver, &request.dom)?;
    driver.machines().machine().can_schedule()?;
    let nparams = 1 + 2 * D::Machine::SCOPES.len();
    Ok(DomainGetSchedulerTypeReply {
        r#type: "posix".to_owned(),
        nparams: i32::try_from(nparams).unwrap_or(i32::MAX),
    })
}

async fn get<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetSchedulerParameters,
) -> Result<Vec<TypedParam>>
where
    D::Machine: Scheduled,
{
    read(&*driver, &request.dom, request.nparams, 0).await
}

async fn get_flags<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetSchedulerParametersFlags,
) -> Result<Vec<TypedParam>>
where
    D::Machine: Scheduled,
{
    const NAME: &str = "virDomainGetSchedulerParametersFlags";
    check_flags(request.flags, Impact::all().bits() | TYPED_STRINGS, NAME)?;
    read(&*driver, &request.dom, request.nparams, request.flags & !TYPED_STRINGS).await
}

async fn read<D: HasMachines>(
    driver: &D,
    dom: &DomainRef,
    most: i32,
    flags: u32,
) -> Result<Vec<TypedParam>>
where
    D::Machine: Scheduled,
{
    let (handle, snapshot) = find(driver, dom)?;
    let wanted = targets(flags, &snapshot)?;
    let mut params = match handle.running().filter(|_| wanted.live) {
        Some(running) => holding(&**driver.machines().machine(), &running).await?,
        None => written(D::Machine::SCOPES, &snapshot.persistent()?.cputune),
    };
    params.truncate(usize::try_from(most).unwrap_or_default());
    Ok(params)
}

async fn set<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSetSchedulerParameters,
) -> Result<()>
where
    D::Machine: Scheduled,
{
    const NAME: &str = "virDomainSetSchedulerParameters";
    write(&*driver, &request.dom, &request.params, 0, NAME).await
}

async fn set_flags<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSetSchedulerParametersFlags,
) -> Result<()>
where
    D::Machine: Scheduled,
{
    const NAME: &str = "virDomainSetSchedulerParametersFlags";
    check_flags(request.flags, Impact::all().bits(), NAME)?;
    write(&*driver, &request.dom, &request.params, request.flags, NAME).await
}

async fn write<D: HasMachines>(
    driver: &D,
    dom: &DomainRef,
    params: &[TypedParam],
    flags: u32,
    call: &'static str,
) -> Result<()>
where
    D::Machine: Scheduled,
{
    let read = |param| Change::read(D::Machine::SCOPES, param);
    let changes = params.iter().map(read).collect::<Result<Vec<_>>>()?;
    let (handle, _) = find(driver, dom)?;
    handle
        .job(Job::modify(call), move |context| async move {
            let wanted = targets(flags, &context.snapshot())?;
            if wanted.config {
                context.change_persistent(|def| {
                    changes.iter().for_each(|change| change.note(&mut def.cputune));
                    Ok(())
                })?;
            }
            if !wanted.live {
                return Ok(());
            }
            let (machine, running) = (context.machine(), context.running()?);
            let before = context.live()?.cputune.clone();
            for change in &changes {
                let done = match *change {
                    // The kernel may have taken the nearest that it can.
                    Change::Shares(shares) => {
                        Change::Shares(machine.set_cpu_shares(&running, shares)?)
                    }
                    Change::Period(scope, _) | Change::Quota(scope, _) => {
                        let limit = limit(scope, &before, &changes);
                        machine.set_cpu_quota(&running, scope, limit).await?;
                        change.clone()
                    }
                };
                context.change_live(|def| done.note(&mut def.cputune))?;
            }
            let params = changes.iter().map(Change::told).collect();
            context.emit(|dom| DomainEventTunable { dom, params }.into());
            Ok(())
        })
        .await
}

#[cfg(test)]
mod tests {
    use virtus_api::TypedValue;

    use super::*;

    const ALL: &[Scope] = &[Scope::Vcpu, Scope::Emulator, Scope::Global, Scope::Iothread];

    fn change(field: &'static str, value: impl Into<TypedValue>) -> Result<Change> {
        Change::read(ALL, &TypedParam::new(field, value))
    }

    #[test]
    fn each_scope_finds_its_row() {
        assert!(ALL.iter().all(|scope| scope.row().scope == *scope));
        let foreign = TypedParam::new("emulator_period", 5_000_u64);
        assert!(Change::read(&[Scope::Vcpu], &foreign).is_err());
    }

    #[test]
    fn period_and_quota_are_changed_together() {
        let before = Cputune { period: Some(50_000), ..Cputune::default() };
        let all = [Change::Quota(Scope::Vcpu, 20_000), Change::Quota(Scope::Global, 7_000)];
        let limit = |scope, all: &[Change]| limit(scope, &before, all);
        assert_eq!(limit(Scope::Vcpu, &all), CpuQuota { period: 50_000, quota: Some(20_000) });
        assert_eq!(limit(Scope::Global, &all), CpuQuota { period: 100_000, quota: Some(7_000) });
        assert_eq!(limit(Scope::Vcpu, &[Change::Quota(Scope::Vcpu, -1)]).quota, None);
    }

    #[test]
    fn values_are_checked_as_libvirt_does() {
        let refused = change("vcpu_quota", 5_i64).unwrap_err();
        assert_eq!(refused.text(), "value of 'vcpu_quota' is out of range [1000, 17592186044415]");
        assert!(change("vcpu_period", 999_u64).is_err());
        assert_eq!(change("bogus", 3).unwrap_err().text(), "parameter 'bogus' not supported");
        assert!(change("cpu_shares", "many").is_err());
        assert_eq!(change("vcpu_quota", -1_i64).unwrap(), Change::Quota(Scope::Vcpu, -1));
    }

    #[test]
    fn a_definition_keeps_what_is_set() {
        let mut tune = Cputune::default();
        change("cpu_shares", 2048_u64).unwrap().note(&mut tune);
        change("emulator_quota", 50_000_i64).unwrap().note(&mut tune);
        let params = written(ALL, &tune);
        assert_eq!(params.len(), 9);
        assert_eq!(params[0], TypedParam::new("cpu_shares", 2048_u64));
        assert_eq!(params[4], TypedParam::new("emulator_quota", 50_000_i64));
        change("emulator_quota", 0_i64).unwrap().note(&mut tune);
        assert_eq!(tune.emulator_quota, None);
        assert_eq!(Change::Shares(2).told().field, "cputune.cpu_shares");
    }
}

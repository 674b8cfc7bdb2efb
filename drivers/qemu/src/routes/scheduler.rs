// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a guest shares the CPUs of the host with others: shares and quotas of CPU time.
//!
//! Invariants: a parameter that is unknown, of the wrong type or out of range changes nothing; limits of a running
//! guest are the kernel's own, read back from it.

mod group;

use std::sync::Arc;

use virtus_api::params::domain_scheduler as name;
use virtus_api::{
    DomainEventTunable, DomainGetSchedulerParameters, DomainGetSchedulerParametersFlags,
    DomainGetSchedulerType, DomainGetSchedulerTypeReply, DomainModificationImpact as Impact,
    DomainRef, DomainSetSchedulerParameters, DomainSetSchedulerParametersFlags, Error, ErrorCode,
    Result, TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_domain::Job;
use virtus_domain::routes::{check_flags, find, targets};
use virtus_host::cgroup::Controller;
use virtus_xml::domain::tuning::Cputune;

use super::{by, count};
use crate::driver::QemuDriver;

/// Clients that can read texts say so; nothing here is one.
const TYPED_STRINGS: u32 = 4;

pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(get_type)).on(by(get)).on(by(get_flags)).on(by(set)).on(by(set_flags))
}

/// What is limited: a kind of threads, by the group that they are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Each vCPU.
    Vcpu,
    /// What is neither vCPU nor I/O thread.
    Emulator,
    /// Everything.
    Global,
    /// Each I/O thread.
    Iothread,
}

/// A scope with its names, in the order in which clients print them.
struct Row {
    scope: Scope,
    period: &'static str,
    quota: &'static str,
    place: fn(&mut Cputune) -> (&mut Option<u64>, &mut Option<i64>),
    value: fn(&Cputune) -> (Option<u64>, Option<i64>),
}

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
    Period(usize, u64),
    Quota(usize, i64),
}

impl Change {
    /// Reads and checks one parameter.
    fn read(param: &TypedParam) -> Result<Self> {
        let field = param.field.as_str();
        let wrong_type = || {
            let text = format!("invalid type for parameter '{field}', a number is expected");
            Error::new(ErrorCode::InvalidArg, text)
        };
        if field == name::CPU_SHARES {
            return param.value.as_u64().map(Self::Shares).ok_or_else(wrong_type);
        }
        for (at, row) in ROWS.iter().enumerate() {
            if field == row.period {
                let period = param.value.as_u64().ok_or_else(wrong_type)?;
                // The kernel's own limits, in microseconds.
                in_range(field, i128::from(period), 1_000, 1_000_000)?;
                return Ok(Self::Period(at, period));
            }
            if field == row.quota {
                let quota = param.value.as_i64().ok_or_else(wrong_type)?;
                in_range(field, i128::from(quota), 1_000, 17_592_186_044_415)?;
                return Ok(Self::Quota(at, quota));
            }
        }
        Err(Error::unknown_param(field).hint("see which there are with 'virsh schedinfo DOMAIN'"))
    }

    fn note(&self, tune: &mut Cputune) {
        match *self {
            Self::Shares(shares) => tune.shares = Some(shares),
            Self::Period(at, period) => {
                *(ROWS[at].place)(tune).0 = Some(period).filter(|period| *period > 0);
            }
            Self::Quota(at, quota) => {
                *(ROWS[at].place)(tune).1 = Some(quota).filter(|quota| *quota != 0);
            }
        }
    }

    /// How the event names it; clients of events know the limits of vCPUs by their full name.
    fn told(&self) -> TypedParam {
        let named = |field: &str| format!("cputune.{field}");
        match *self {
            Self::Shares(shares) => TypedParam::new(named(name::CPU_SHARES), shares),
            Self::Period(at, period) => TypedParam::new(named(ROWS[at].period), period),
            Self::Quota(at, quota) => TypedParam::new(named(ROWS[at].quota), quota),
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

async fn get_type(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetSchedulerType,
) -> Result<DomainGetSchedulerTypeReply> {
    find(&*driver, &request.dom)?;
    if !driver.qemu.cgroups.has(Controller::Cpu) {
        return Err(no_controller());
    }
    Ok(DomainGetSchedulerTypeReply {
        r#type: "posix".to_owned(),
        nparams: count(1 + 2 * ROWS.len()),
    })
}

/// The answer where CPU time cannot be limited.
fn no_controller() -> Error {
    Error::new(ErrorCode::OperationInvalid, "cgroup CPU controller is not mounted")
        .hint("see which controllers this host has: cat /proc/self/cgroup /sys/fs/cgroup/cgroup.controllers")
}

async fn get(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetSchedulerParameters,
) -> Result<Vec<TypedParam>> {
    read(&driver, &request.dom, request.nparams, 0).await
}

async fn get_flags(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetSchedulerParametersFlags,
) -> Result<Vec<TypedParam>> {
    const NAME: &str = "virDomainGetSchedulerParametersFlags";
    check_flags(request.flags, Impact::all().bits() | TYPED_STRINGS, NAME)?;
    read(&driver, &request.dom, request.nparams, request.flags & !TYPED_STRINGS).await
}

async fn read(
    driver: &QemuDriver,
    dom: &DomainRef,
    most: i32,
    flags: u32,
) -> Result<Vec<TypedParam>> {
    let (handle, snapshot) = find(driver, dom)?;
    let wanted = targets(flags, &snapshot)?;
    let mut params = match handle.running().filter(|_| wanted.live) {
        Some(guest) => group::read(driver, &guest).await?,
        None => written(&snapshot.persistent()?.cputune),
    };
    params.truncate(usize::try_from(most).unwrap_or_default());
    Ok(params)
}

/// What a definition says; zero is "not set".
fn written(tune: &Cputune) -> Vec<TypedParam> {
    let mut params = vec![TypedParam::new(name::CPU_SHARES, tune.shares.unwrap_or_default())];
    for row in ROWS {
        let (period, quota) = (row.value)(tune);
        params.push(TypedParam::new(row.period, period.unwrap_or_default()));
        params.push(TypedParam::new(row.quota, quota.unwrap_or_default()));
    }
    params
}

async fn set(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainSetSchedulerParameters,
) -> Result<()> {
    write(&driver, &request.dom, &request.params, 0, "virDomainSetSchedulerParameters").await
}

async fn set_flags(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainSetSchedulerParametersFlags,
) -> Result<()> {
    const NAME: &str = "virDomainSetSchedulerParametersFlags";
    check_flags(request.flags, Impact::all().bits(), NAME)?;
    write(&driver, &request.dom, &request.params, request.flags, NAME).await
}

async fn write(
    driver: &QemuDriver,
    dom: &DomainRef,
    params: &[TypedParam],
    flags: u32,
    call: &'static str,
) -> Result<()> {
    let changes = params.iter().map(Change::read).collect::<Result<Vec<_>>>()?;
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
            let guest = context.running()?;
            let before = context.live()?.cputune.clone();
            for change in &changes {
                let done =
                    group::apply(context.machine(), &guest, &before, &changes, change).await?;
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

    fn change(field: &str, value: impl Into<TypedValue>) -> Result<Change> {
        Change::read(&TypedParam::new(field, value))
    }

    #[test]
    fn values_are_checked_as_libvirt_does() {
        let refused = change("vcpu_quota", 5_i64).unwrap_err();
        assert_eq!(refused.text(), "value of 'vcpu_quota' is out of range [1000, 17592186044415]");
        assert!(change("vcpu_period", 999_u64).is_err());
        assert_eq!(change("bogus", 3).unwrap_err().text(), "parameter 'bogus' not supported");
        assert!(change("cpu_shares", "many").is_err());
        assert_eq!(change("vcpu_quota", -1_i64).unwrap(), Change::Quota(0, -1));
    }

    #[test]
    fn a_definition_keeps_what_is_set() {
        let mut tune = Cputune::default();
        change("cpu_shares", 2048_u64).unwrap().note(&mut tune);
        change("emulator_quota", 50_000_i64).unwrap().note(&mut tune);
        let params = written(&tune);
        assert_eq!(params.len(), 9);
        assert_eq!(params[0], TypedParam::new("cpu_shares", 2048_u64));
        assert_eq!(params[4], TypedParam::new("emulator_quota", 50_000_i64));
        change("emulator_quota", 0_i64).unwrap().note(&mut tune);
        assert_eq!(tune.emulator_quota, None);
        assert_eq!(Change::Shares(2).told().field, "cputune.cpu_shares");
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Limits of a running guest, in its cgroup: the whole guest in its own, each kind of threads in one below.
//!
//! A group of threads is made when it is first needed; until then what holds for it is what the kernel gives to
//! every new group.

use virtus_api::params::domain_scheduler as name;
use virtus_api::{Result, TypedParam};
use virtus_host::cgroup::{CpuQuota, Group};
use virtus_xml::domain::tuning::Cputune;

use super::{Change, ROWS, Scope, no_controller};
use crate::driver::{Qemu, QemuDriver};
use crate::guest::Guest;
use crate::launch::cgroup;
use crate::routes::iothreads;
use crate::tuning::emulator_threads;

/// What a group has that nobody limited.
const UNLIMITED: CpuQuota = CpuQuota { period: 100_000, quota: None };

/// What holds for a guest.
pub(super) async fn read(driver: &QemuDriver, guest: &Guest) -> Result<Vec<TypedParam>> {
    let group = existing(&driver.qemu, guest)?;
    let mut params = vec![TypedParam::new(name::CPU_SHARES, group.cpu_shares()?)];
    for row in ROWS {
        let limited = match row.scope {
            Scope::Global => Some(group.clone()),
            Scope::Vcpu => Some(group.child("vcpu0")),
            Scope::Emulator => Some(group.child("emulator")),
            Scope::Iothread => {
                let first = iothreads::numbers_of(guest).await?.first().copied();
                first.map(|id| group.child(&format!("iothread{id}")))
            }
        };
        let limit = match limited.filter(Group::exists) {
            Some(group) => group.cpu_quota()?,
            None => UNLIMITED,
        };
        params.push(TypedParam::new(row.period, limit.period));
        params.push(TypedParam::new(row.quota, signed(limit.quota)));
    }
    Ok(params)
}

/// Carries one change out; answers what holds then.
pub(super) async fn apply(
    qemu: &Qemu,
    guest: &Guest,
    before: &Cputune,
    all: &[Change],
    change: &Change,
) -> Result<Change> {
    let group = existing(qemu, guest)?;
    let at = match *change {
        Change::Shares(shares) => {
            group.set_cpu_shares(shares)?;
            // The kernel may have taken the nearest that it can.
            return Ok(Change::Shares(group.cpu_shares()?));
        }
        Change::Period(at, _) | Change::Quota(at, _) => at,
    };
    let limit = limit(at, before, all);
    match ROWS[at].scope {
        Scope::Global => group.set_cpu_quota(limit)?,
        Scope::Vcpu => {
            for (number, tid) in guest.vcpu_threads().into_iter().enumerate() {
                of_threads(&group, &format!("vcpu{number}"), &[tid], limit)?;
            }
        }
        Scope::Emulator => {
            let threads = emulator_threads(guest).await?;
            of_threads(&group, "emulator", &threads, limit)?;
        }
        Scope::Iothread => {
            for thread in iothreads::of_guest(guest).await? {
                of_threads(&group, &format!("iothread{}", thread.id), &[thread.tid], limit)?;
            }
        }
    }
    Ok(change.clone())
}

/// Period and quota as they will be: changed together if both are asked for.
fn limit(at: usize, before: &Cputune, all: &[Change]) -> CpuQuota {
    let (mut period, mut quota) = (ROWS[at].value)(before);
    for change in all {
        match *change {
            Change::Period(other, value) if other == at => period = Some(value),
            Change::Quota(other, value) if other == at => quota = Some(value),
            _ => {}
        }
    }
    cgroup::quota(period, quota).unwrap_or(UNLIMITED)
}

/// Puts threads into a group of their own and limits it.
fn of_threads(group: &Group, name: &str, threads: &[u32], limit: CpuQuota) -> Result<()> {
    let own = group.child(name).make_for_threads()?;
    own.set_cpu_quota(limit)?;
    threads.iter().try_for_each(|tid| own.put_thread(*tid))
}

/// The group of a guest that runs in one.
fn existing(qemu: &Qemu, guest: &Guest) -> Result<Group> {
    let group = cgroup::of(&qemu.cgroups, guest.facts.id, &guest.facts.name);
    if group.exists() { Ok(group) } else { Err(no_controller()) }
}

fn signed(quota: Option<u64>) -> i64 {
    quota.map_or(-1, |quota| i64::try_from(quota).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn period_and_quota_are_changed_together() {
        let before = Cputune { period: Some(50_000), ..Cputune::default() };
        let all = [Change::Quota(0, 20_000), Change::Quota(2, 7_000)];
        assert_eq!(limit(0, &before, &all), CpuQuota { period: 50_000, quota: Some(20_000) });
        assert_eq!(limit(2, &before, &all), CpuQuota { period: 100_000, quota: Some(7_000) });
        assert_eq!(limit(0, &before, &[Change::Quota(0, -1)]).quota, None);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The guest's cgroup: made before QEMU runs, so that everything it does is counted and can be limited.

use std::path::PathBuf;

use virtus_api::{ErrorDomain, Result};
use virtus_domain::Undo;
use virtus_host::cgroup::{Cgroups, CpuQuota, Group, machine_group};
use virtus_xml::Domain;

use crate::config::Config;
use crate::cpu_map;

/// The guest's group, whether it exists or not.
pub(crate) fn of(cgroups: &Cgroups, id: i32, name: &str) -> Group {
    cgroups.group(&machine_group("qemu", id, name))
}

/// Makes the group with the limits of the definition; answers the files by which QEMU joins it. A host
/// without usable cgroups runs guests without, unless the definition asks for limits.
pub(super) async fn make(
    cgroups: &Cgroups,
    config: &Config,
    def: &Domain,
    id: i32,
    undo: &mut Undo,
) -> Result<Vec<PathBuf>> {
    if !config.cgroups {
        return Ok(Vec::new());
    }
    let group = of(cgroups, id, &def.name);
    let made = match group.make() {
        Ok(made) => made,
        Err(error) if !asks_for_limits(def) => {
            tracing::warn!("domain '{}' runs without a cgroup: {error}", def.name);
            return Ok(Vec::new());
        }
        Err(error) => return Err(error.in_domain(ErrorDomain::Qemu)),
    };
    undo.push("cgroup", async move { remove_group(group).await });
    set_limits(&made, def)?;
    Ok(made.procs_files())
}

fn asks_for_limits(def: &Domain) -> bool {
    let tune = &def.cputune;
    tune.shares.is_some() || tune.global_quota.is_some() || def.memtune.is_some()
}

fn set_limits(group: &Group, def: &Domain) -> Result<()> {
    let tune = &def.cputune;
    if let Some(shares) = tune.shares {
        group.set_cpu_shares(shares)?;
    }
    if let Some(limit) = CpuQuota::of(tune.global_period, tune.global_quota) {
        group.set_cpu_quota(limit)?;
    }
    if let Some(memory) = &def.memtune {
        if let Some(limit) = &memory.hard_limit {
            group.set_memory_limit(limit.0.saturating_mul(1024))?;
        }
        if let Some(limit) = &memory.soft_limit {
            group.set_memory_soft_limit(limit.0.saturating_mul(1024))?;
        }
    }
    if let Some(weight) = def.blkiotune.as_ref().and_then(|tune| tune.weight) {
        group.set_blkio_weight(u64::from(weight))?;
    }
    Ok(())
}

/// Pins QEMU's threads and limits them one by one, as far as the definition says so.
pub(crate) fn tune_threads(
    cgroups: &Cgroups,
    def: &Domain,
    id: i32,
    pid: u32,
    vcpus: &[u32],
) -> Result<()> {
    let tune = &def.cputune;
    let all = def.vcpu.as_ref().and_then(|vcpu| vcpu.cpuset.clone());
    let emulator = tune.emulatorpin.as_ref().map(|pin| pin.cpuset.clone()).or_else(|| all.clone());
    if let Some(list) = emulator {
        for thread in virtus_host::process::ThreadStat::of_process(pid) {
            if !vcpus.contains(&thread.tid) {
                cpu_map::pin(thread.tid, &list)?;
            }
        }
    }
    for (number, tid) in (0_u32..).zip(vcpus) {
        let own = tune.vcpupins.iter().find(|pin| pin.vcpu == number);
        if let Some(list) = own.map(|pin| pin.cpuset.clone()).or_else(|| all.clone()) {
            cpu_map::pin(*tid, &list)?;
        }
    }
    limit_vcpus(cgroups, def, id, vcpus)?;
    if let Some(limit) = CpuQuota::of(tune.emulator_period, tune.emulator_quota) {
        let group = of(cgroups, id, &def.name).child("emulator").make_for_threads()?;
        group.set_cpu_quota(limit)?;
        for thread in virtus_host::process::ThreadStat::of_process(pid) {
            if !vcpus.contains(&thread.tid) {
                group.put_thread(thread.tid)?;
            }
        }
    }
    Ok(())
}

/// Limits the CPU time of each vCPU as the definition says; those that are limited already stay so.
pub(crate) fn limit_vcpus(cgroups: &Cgroups, def: &Domain, id: i32, vcpus: &[u32]) -> Result<()> {
    let Some(limit) = CpuQuota::of(def.cputune.period, def.cputune.quota) else { return Ok(()) };
    for (number, tid) in (0_u32..).zip(vcpus) {
        let group = of(cgroups, id, &def.name).child(&format!("vcpu{number}"));
        let group = group.make_for_threads()?;
        group.set_cpu_quota(limit)?;
        group.put_thread(*tid)?;
    }
    Ok(())
}

/// Removes the group of a run that is over.
pub(crate) async fn remove(cgroups: &Cgroups, id: i32, name: &str) {
    remove_group(of(cgroups, id, name)).await;
}

async fn remove_group(group: Group) {
    let removed =
        tokio::task::spawn_blocking(move || if group.exists() { group.remove() } else { Ok(()) });
    if let Ok(Err(error)) = removed.await {
        tracing::warn!("{error}");
    }
}

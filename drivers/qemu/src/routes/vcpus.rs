// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the vCPUs of a guest do on the host, and how much CPU time the guest has used.

use std::sync::Arc;
use std::time::Duration;

use virtus_api::params::domain_cpu_stats as name;
use virtus_api::{
    DomainGetCpuStats, DomainGetCpuStatsReply, DomainGetVcpus, DomainGetVcpusReply, Error,
    ErrorCode, Result, TypedParam, VcpuHostCpuState, VcpuInfo, VcpuState,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::check_flags;
use virtus_host::cgroup::Group;
use virtus_host::process::ThreadStat;

use super::stats::{cpu_usage, nanos};
use super::{by, count, running};
use crate::cpu_map;
use crate::driver::QemuDriver;
use crate::guest::Guest;
use crate::launch::cgroup;

/// Clients that can read texts say so; nothing here is one.
const TYPED_STRINGS: u32 = 4;

pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(get_vcpus)).on(by(get_cpu_stats))
}

async fn get_vcpus(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetVcpus,
) -> Result<DomainGetVcpusReply> {
    cpu_map::check_room(request.maxinfo, request.maplen)?;
    let (guest, _) = running(&driver, &request.dom).map_err(|error| match error.code() {
        // virsh turns to the definition on this code.
        ErrorCode::OperationInvalid => Error::new(
            ErrorCode::OperationInvalid,
            "cannot retrieve vcpu information for inactive domain",
        ),
        _ => error,
    })?;
    let wanted = usize::try_from(request.maxinfo).unwrap_or_default();
    let length = usize::try_from(request.maplen).unwrap_or_default();
    let cpus = driver.qemu.node.topology().cpus.len();
    let (mut info, mut cpumaps) = (Vec::new(), Vec::new());
    for (number, tid) in (0_u32..).zip(guest.vcpu_threads()).take(wanted) {
        let thread = ThreadStat::read(guest.process.pid(), tid);
        let last_cpu = thread.as_ref().and_then(|thread| i32::try_from(thread.stat.last_cpu).ok());
        info.push(VcpuInfo {
            number,
            state: VcpuState::Running.number(),
            cpu_time: thread.as_ref().map_or(0, |thread| nanos(thread.cpu_time())),
            cpu: last_cpu.unwrap_or(VcpuHostCpuState::Unavailable.number()),
        });
        let set = cpu_map::of_thread(tid).unwrap_or_else(|| cpu_map::all(cpus));
        cpumaps.extend(cpu_map::to_map(&set, cpus, length));
    }
    Ok(DomainGetVcpusReply { info, cpumaps })
}

async fn get_cpu_stats(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetCpuStats,
) -> Result<DomainGetCpuStatsReply> {
    check_flags(request.flags, TYPED_STRINGS, "virDomainGetCPUStats")?;
    let (guest, _) = running(&driver, &request.dom)?;
    let facts = &guest.facts;
    let group = cgroup::of(&driver.qemu.cgroups, facts.id, &facts.name);
    if request.start_cpu == -1 {
        let usage = cpu_usage(&guest, &group);
        let mut params = vec![
            TypedParam::new(name::CPUTIME, nanos(usage.total)),
            TypedParam::new(name::USERTIME, nanos(usage.user)),
            TypedParam::new(name::SYSTEMTIME, nanos(usage.system)),
        ];
        let fields = count(params.len());
        let room = usize::try_from(request.nparams).unwrap_or(usize::MAX);
        params.truncate(room);
        let nparams = if room == 0 { fields } else { count(params.len()) };
        return Ok(DomainGetCpuStatsReply { params, nparams });
    }
    let cpus = driver.qemu.node.topology().cpus.len();
    if request.ncpus == 0 {
        // How many CPUs there are to ask for.
        return Ok(DomainGetCpuStatsReply { params: Vec::new(), nparams: count(cpus) });
    }
    let table = by_cpu(&group, &guest)?;
    if request.nparams == 0 {
        // How many fields there are for each.
        let nparams = 1 + i32::from(table.vcpus.is_some());
        return Ok(DomainGetCpuStatsReply { params: Vec::new(), nparams });
    }
    let start = usize::try_from(request.start_cpu).unwrap_or(usize::MAX);
    if start >= cpus {
        let most = cpus.saturating_sub(1);
        let text = format!("start_cpu {} larger than maximum of {most}", request.start_cpu);
        return Err(Error::new(ErrorCode::InvalidArg, text));
    }
    let end = start.saturating_add(usize::try_from(request.ncpus).unwrap_or_default());
    let wide = request.nparams > 1 && table.vcpus.is_some();
    let mut params = Vec::new();
    for cpu in start..end.min(table.all.len()) {
        params.push(TypedParam::new(name::CPUTIME, nanos(table.all[cpu])));
        if wide {
            let time = table.vcpus.as_ref().and_then(|times| times.get(cpu).copied());
            params.push(TypedParam::new(name::VCPUTIME, nanos(time.unwrap_or_default())));
        }
    }
    Ok(DomainGetCpuStatsReply { params, nparams: 1 + i32::from(wide) })
}

/// CPU time on each CPU of the host.
struct ByCpu {
    /// Of everything in the guest's group.
    all: Vec<Duration>,
    /// Of its vCPUs, where each has been in a group of its own since it started.
    vcpus: Option<Vec<Duration>>,
}

fn by_cpu(group: &Group, guest: &Guest) -> Result<ByCpu> {
    let all = group.cpu_usage_by_cpu().unwrap_or_default();
    if all.is_empty() {
        return Err(Error::new(
            ErrorCode::OperationUnsupported,
            "this host does not count the CPU time of a guest on each of its CPUs",
        )
        .hint("only the cgroup controller 'cpuacct' of version 1 does; ask for the sum: --total"));
    }
    let mut sum = vec![Duration::ZERO; all.len()];
    for (number, tid) in guest.vcpu_threads().into_iter().enumerate() {
        let own = group.child(&format!("vcpu{number}"));
        let times =
            if own.exists() { own.cpu_usage_by_cpu().unwrap_or_default() } else { Vec::new() };
        let counted: Duration = times.iter().sum();
        let used = ThreadStat::read(guest.process.pid(), tid).map(|thread| thread.cpu_time());
        if times.is_empty() || !is_whole(counted, used.unwrap_or_default()) {
            return Ok(ByCpu { all, vcpus: None });
        }
        sum.iter_mut().zip(times).for_each(|(sum, time)| *sum += time);
    }
    Ok(ByCpu { all, vcpus: Some(sum) })
}

/// Whether a group has counted what its thread used: one that was made later, for a limit, has not.
fn is_whole(counted: Duration, used: Duration) -> bool {
    const MEANWHILE: Duration = Duration::from_millis(100);
    counted + used / 20 + MEANWHILE >= used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_was_made_later_is_told_from_one_that_counted_all() {
        let ms = Duration::from_millis;
        assert!(is_whole(ms(2950), ms(3000)));
        assert!(is_whole(ms(0), ms(50)));
        assert!(!is_whole(ms(10), ms(3000)));
    }
}

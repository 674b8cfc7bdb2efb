// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a container uses: CPU time, memory, disks, network.

use std::sync::Arc;
use std::time::Duration;

use virtus_api::params::{domain_block_stats as block, domain_cpu_stats as cpu};
use virtus_api::{
    DomainBlockStats, DomainBlockStatsFlags, DomainBlockStatsFlagsReply, DomainBlockStatsReply,
    DomainGetCpuStats, DomainGetCpuStatsReply, DomainInterfaceStats, DomainInterfaceStatsReply,
    DomainMemoryStat, DomainMemoryStatTags as Tag, DomainMemoryStats, DomainRef, Error, ErrorCode,
    Result, TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_domain::named;
use virtus_domain::routes::{by, check_flags, no_more_than};
use virtus_host::cgroup::DiskTraffic;
use virtus_host::net::Counters;

use super::{count, running};
use crate::driver::LxcDriver;
use crate::plan::disk_node;
use crate::start::node;

/// Clients that can read texts say so; nothing here is one.
const TYPED_STRINGS: u32 = 4;

/// The routes of this file.
pub(super) fn routes() -> Routes<LxcDriver> {
    Routes::new()
        .on(by(get_cpu))
        .on(by(get_memory))
        .on(by(get_block))
        .on(by(get_block_flags))
        .on(by(get_interface))
}

async fn get_cpu(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainGetCpuStats,
) -> Result<DomainGetCpuStatsReply> {
    check_flags(request.flags, TYPED_STRINGS, "virDomainGetCPUStats")?;
    let (container, _) = running(&driver, &request.dom)?;
    let reply = |(params, nparams)| DomainGetCpuStatsReply { params, nparams };
    let room = i32::try_from(request.nparams).unwrap_or(i32::MAX);
    if request.start_cpu == -1 {
        let usage = container.group.cpu_usage()?;
        let times = [
            (cpu::CPUTIME, usage.total),
            (cpu::USERTIME, usage.user),
            (cpu::SYSTEMTIME, usage.system),
        ];
        let params = times.map(|(name, time)| TypedParam::new(name, nanos(time)));
        return Ok(reply(no_more_than(room, params.into())));
    }
    let cpus = driver.node.topology().cpus.len();
    if request.ncpus == 0 {
        // How many CPUs there are to ask for.
        return Ok(reply((Vec::new(), count(cpus))));
    }
    let all = container.group.cpu_usage_by_cpu()?;
    if all.is_empty() {
        let text = "this host does not count the CPU time of a container on each of its CPUs";
        return Err(Error::new(ErrorCode::OperationUnsupported, text).hint(
            "only the cgroup controller 'cpuacct' of version 1 does; ask for the sum: --total",
        ));
    }
    let start = usize::try_from(request.start_cpu).unwrap_or(usize::MAX);
    if start >= cpus {
        let most = cpus.saturating_sub(1);
        let text = format!("start_cpu {} larger than maximum of {most}", request.start_cpu);
        return Err(Error::new(ErrorCode::InvalidArg, text));
    }
    let wanted = if room == 0 { 0 } else { usize::try_from(request.ncpus).unwrap_or(usize::MAX) };
    let times = all.into_iter().skip(start).take(wanted);
    let params = times.map(|time| TypedParam::new(cpu::CPUTIME, nanos(time))).collect();
    Ok(reply((params, 1)))
}

async fn get_memory(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainMemoryStats,
) -> Result<Vec<DomainMemoryStat>> {
    check_flags(request.flags, 0, "virDomainMemoryStats")?;
    let (container, snapshot) = running(&driver, &request.dom)?;
    let def = snapshot.live()?;
    let known = def.current_memory.map_or(def.memory.kib, |current| current.0);
    let used = container.group.memory_usage()? / 1024;
    let most = usize::try_from(request.max_stats).unwrap_or(usize::MAX);
    let stats = [(Tag::ActualBalloon, known), (Tag::Rss, used)].into_iter().take(most);
    Ok(stats.map(|(tag, val)| DomainMemoryStat { tag: tag.number(), val }).collect())
}

/// What one disk was used for; with no name, what all of the host's were.
async fn traffic(driver: &LxcDriver, dom: &DomainRef, path: &str) -> Result<DiskTraffic> {
    let (container, snapshot) = running(driver, dom)?;
    if path.is_empty() {
        return container.group.disk_traffic(None);
    }
    let disk = named::find_disk(snapshot.live()?, path).ok_or_else(|| {
        Error::new(ErrorCode::InvalidArg, format!("invalid path: {path}"))
            .hint(format!("see the targets with 'virsh domblklist {}'", snapshot.name))
    })?;
    let device = node(&disk_node(disk)?).await?;
    container.group.disk_traffic(Some((device.major, device.minor)))
}

/// The old form.
async fn get_block(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainBlockStats,
) -> Result<DomainBlockStatsReply> {
    let traffic = traffic(&driver, &request.dom, &request.path).await?;
    Ok(DomainBlockStatsReply {
        rd_req: signed(traffic.reads),
        rd_bytes: signed(traffic.read_bytes),
        wr_req: signed(traffic.writes),
        wr_bytes: signed(traffic.written_bytes),
        // The kernel does not count them.
        errs: -1,
    })
}

async fn get_block_flags(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainBlockStatsFlags,
) -> Result<DomainBlockStatsFlagsReply> {
    check_flags(request.flags, TYPED_STRINGS, "virDomainBlockStatsFlags")?;
    let traffic = traffic(&driver, &request.dom, &request.path).await?;
    let params = [
        (block::WRITE_BYTES, traffic.written_bytes),
        (block::WRITE_REQ, traffic.writes),
        (block::READ_BYTES, traffic.read_bytes),
        (block::READ_REQ, traffic.reads),
    ];
    let params = params.map(|(name, value)| TypedParam::new(name, signed(value)));
    let (params, nparams) = no_more_than(request.nparams, params.into());
    Ok(DomainBlockStatsFlagsReply { params, nparams })
}

async fn get_interface(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainInterfaceStats,
) -> Result<DomainInterfaceStatsReply> {
    let (_, snapshot) = running(&driver, &request.dom)?;
    let interface = named::interface(snapshot.live()?, &request.device)?;
    let counters = interface.target_dev().and_then(Counters::read).ok_or_else(|| {
        let text = format!("interface '{}' has no device on this host", request.device);
        Error::new(ErrorCode::OperationUnsupported, text)
            .hint("only interfaces with a device on this host are counted")
    })?;
    let seen = counters.seen_by_guest();
    Ok(DomainInterfaceStatsReply {
        rx_bytes: signed(seen.rx_bytes),
        rx_packets: signed(seen.rx_packets),
        rx_errs: signed(seen.rx_errors),
        rx_drop: signed(seen.rx_dropped),
        tx_bytes: signed(seen.tx_bytes),
        tx_packets: signed(seen.tx_packets),
        tx_errs: signed(seen.tx_errors),
        tx_drop: signed(seen.tx_dropped),
    })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

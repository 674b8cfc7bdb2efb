// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is counted of a guest. The numbers are made up as libvirt's driver makes them up: some stand, the others
//! grow with the clock.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use virtus_api::params::domain_cpu_stats as cpu_name;
use virtus_api::{
    DomainBlockStats, DomainBlockStatsReply, DomainDiskError, DomainGetBlockInfo,
    DomainGetBlockInfoReply, DomainGetCpuStats, DomainGetCpuStatsReply, DomainGetDiskErrors,
    DomainGetDiskErrorsReply, DomainInterfaceStats, DomainInterfaceStatsReply, Error, ErrorCode,
    Result, TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_domain::named;
use virtus_domain::routes::{by, check_flags, find};

use super::{count, running};
use crate::world::World;

/// Clients that can read texts say so; nothing here is one.
const TYPED_STRINGS: u32 = 4;
/// The CPU time of a guest, in nanoseconds.
const CPU_TIME: u64 = 48_772_617_035;
/// What a vCPU's own time lacks of it on each CPU.
const OUTSIDE_VCPUS: u64 = 1_234_567_890;

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new()
        .on(by(get_cpu))
        .on(by(get_block))
        .on(by(get_block_info))
        .on(by(get_disk_errors))
        .on(by(get_interface))
}

/// Microseconds since the epoch.
pub(super) fn clock() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

async fn get_cpu(
    world: Arc<World>,
    _: Call,
    request: DomainGetCpuStats,
) -> Result<DomainGetCpuStatsReply> {
    check_flags(request.flags, TYPED_STRINGS, "virDomainGetCPUStats")?;
    running(&world, &request.dom)?;
    let only_told = |nparams| Ok(DomainGetCpuStatsReply { params: Vec::new(), nparams });
    let Ok(start) = u32::try_from(request.start_cpu) else {
        let mut params = vec![
            TypedParam::new(cpu_name::CPUTIME, CPU_TIME),
            TypedParam::new(cpu_name::USERTIME, 5_540_000_000_u64),
            TypedParam::new(cpu_name::SYSTEMTIME, 6_460_000_000_u64),
        ];
        if request.nparams == 0 {
            return only_told(count(params.len()));
        }
        params.truncate(usize::try_from(request.nparams).unwrap_or(usize::MAX));
        let nparams = count(params.len());
        return Ok(DomainGetCpuStatsReply { params, nparams });
    };
    let cpus = world.node.cores;
    if request.ncpus == 0 {
        return only_told(i32::try_from(cpus).unwrap_or(i32::MAX));
    }
    if request.nparams == 0 {
        return only_told(2);
    }
    if start >= cpus {
        let most = cpus.saturating_sub(1);
        let text = format!("start_cpu {start} larger than maximum of {most}");
        return Err(Error::new(ErrorCode::InvalidArg, text));
    }
    let mut params = Vec::new();
    for cpu in start..cpus.min(start.saturating_add(request.ncpus)) {
        let time = CPU_TIME / u64::from(cpus) + u64::from(cpu);
        params.push(TypedParam::new(cpu_name::CPUTIME, time));
        if request.nparams > 1 {
            params.push(TypedParam::new(cpu_name::VCPUTIME, time.saturating_sub(OUTSIDE_VCPUS)));
        }
    }
    let nparams = i32::try_from(request.nparams.min(2)).unwrap_or(2);
    Ok(DomainGetCpuStatsReply { params, nparams })
}

async fn get_block(
    world: Arc<World>,
    _: Call,
    request: DomainBlockStats,
) -> Result<DomainBlockStatsReply> {
    if request.path.is_empty() {
        let text = "summary statistics are not supported yet";
        return Err(Error::new(ErrorCode::OperationUnsupported, text));
    }
    let (_, snapshot) = running(&world, &request.dom)?;
    if named::find_disk(snapshot.live()?, &request.path).is_none() {
        let text = format!("invalid path: {}", request.path);
        return Err(Error::new(ErrorCode::InvalidArg, text));
    }
    let now = clock();
    Ok(DomainBlockStatsReply {
        rd_req: now / 10,
        rd_bytes: now / 20,
        wr_req: now / 30,
        wr_bytes: now / 40,
        errs: now / 2_000_000,
    })
}

async fn get_block_info(
    world: Arc<World>,
    _: Call,
    request: DomainGetBlockInfo,
) -> Result<DomainGetBlockInfoReply> {
    check_flags(request.flags, 0, "virDomainGetBlockInfo")?;
    let (_, snapshot) = find(&*world, &request.dom)?;
    let path = &request.path;
    let invalid = |text: String| Error::new(ErrorCode::InvalidArg, text);
    let def = snapshot.def()?;
    let disk = named::find_disk(&def, path)
        .ok_or_else(|| invalid(format!("invalid path {path} not assigned to domain")))?;
    if disk.source.is_none() {
        let text = format!("disk '{path}' does not currently have a source assigned");
        return Err(invalid(text));
    }
    Ok(DomainGetBlockInfoReply {
        capacity: 1_099_506_450_432,
        allocation: 1 << 40,
        physical: 1 << 40,
    })
}

/// The disks have the errors that there are, one after the other.
async fn get_disk_errors(
    world: Arc<World>,
    _: Call,
    request: DomainGetDiskErrors,
) -> Result<DomainGetDiskErrorsReply> {
    /// "unspecified" and "no space".
    const KINDS: [i32; 2] = [1, 2];
    check_flags(request.flags, 0, "virDomainGetDiskErrors")?;
    let (_, snapshot) = running(&world, &request.dom)?;
    let disks = &snapshot.live()?.devices.disks;
    let wanted = usize::try_from(request.maxerrors).unwrap_or(usize::MAX);
    if wanted == 0 {
        return Ok(DomainGetDiskErrorsReply { errors: Vec::new(), nerrors: count(disks.len()) });
    }
    let errors = disks.iter().zip(KINDS.iter().cycle()).take(wanted);
    let errors: Vec<_> = errors
        .map(|(disk, error)| DomainDiskError { disk: disk.target.dev.clone(), error: *error })
        .collect();
    Ok(DomainGetDiskErrorsReply { nerrors: count(errors.len()), errors })
}

async fn get_interface(
    world: Arc<World>,
    _: Call,
    request: DomainInterfaceStats,
) -> Result<DomainInterfaceStatsReply> {
    let (_, snapshot) = running(&world, &request.dom)?;
    named::interface(snapshot.live()?, &request.device)?;
    let now = clock();
    Ok(DomainInterfaceStatsReply {
        rx_bytes: now / 10,
        rx_packets: now / 100,
        rx_errs: now / 1_000_000,
        rx_drop: now / 2_000_000,
        tx_bytes: now / 20,
        tx_packets: now / 110,
        tx_errs: now / 3_000_000,
        tx_drop: now / 4_000_000,
    })
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which long operation runs on a machine.

use std::sync::Arc;
use std::time::Duration;

use virtus_api::{
    DomainAbortJob, DomainAbortJobFlags, DomainAbortJobFlagsValues, DomainGetJobInfo,
    DomainGetJobInfoReply, DomainGetJobStats, DomainGetJobStatsFlags, DomainGetJobStatsReply,
    DomainJobType, DomainRef, Error, ErrorCode, Result, TypedParam, params,
};
use virtus_core::Call;

use super::{HasMachines, check_flags, find};
use crate::jobs::{Kind, Long};
use crate::snapshot::not_running;

pub(super) async fn info<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetJobInfo,
) -> Result<DomainGetJobInfoReply> {
    let (kind, elapsed) = match current(&*driver, &request.dom)? {
        Some((_, elapsed)) => (DomainJobType::Unbounded, elapsed),
        None => (DomainJobType::None, 0),
    };
    Ok(DomainGetJobInfoReply {
        r#type: kind as i32,
        time_elapsed: elapsed,
        time_remaining: 0,
        data_total: 0,
        data_processed: 0,
        data_remaining: 0,
        mem_total: 0,
        mem_processed: 0,
        mem_remaining: 0,
        file_total: 0,
        file_processed: 0,
        file_remaining: 0,
    })
}

pub(super) async fn stats<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetJobStats,
) -> Result<DomainGetJobStatsReply> {
    let known = DomainGetJobStatsFlags::all().bits();
    check_flags(request.flags, known, "virDomainGetJobStats")?;
    let flags = DomainGetJobStatsFlags::from_bits_truncate(request.flags);
    if flags.contains(DomainGetJobStatsFlags::COMPLETED) {
        find(&*driver, &request.dom)?;
        // Statistics are not kept beyond the end of an operation.
        return Ok(DomainGetJobStatsReply {
            r#type: DomainJobType::None as i32,
            params: Vec::new(),
        });
    }
    Ok(match current(&*driver, &request.dom)? {
        Some((long, elapsed)) => DomainGetJobStatsReply {
            r#type: DomainJobType::Unbounded as i32,
            params: vec![
                TypedParam::new(params::domain_job_stats::OPERATION, long.operation() as i32),
                TypedParam::new(params::domain_job_stats::TIME_ELAPSED, elapsed),
            ],
        },
        None => DomainGetJobStatsReply { r#type: DomainJobType::None as i32, params: Vec::new() },
    })
}

pub(super) async fn abort<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainAbortJob,
) -> Result<()> {
    refuse_abort(&*driver, &request.dom)
}

pub(super) async fn abort_flags<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainAbortJobFlags,
) -> Result<()> {
    let known = DomainAbortJobFlagsValues::all().bits();
    check_flags(request.flags, known, "virDomainAbortJobFlags")?;
    refuse_abort(&*driver, &request.dom)
}

/// No long operation that exists yet can be aborted by itself.
fn refuse_abort<D: HasMachines>(driver: &D, dom: &DomainRef) -> Result<()> {
    let error = match current(driver, dom)? {
        None => Error::new(ErrorCode::OperationInvalid, "no job is active on the domain"),
        Some((long, _)) => Error::new(
            ErrorCode::OperationInvalid,
            format!("cannot abort the operation {long:?} of domain '{}'", dom.name),
        )
        .hint(format!("end the domain with 'virsh destroy {}'", dom.name)),
    };
    Err(error)
}

/// The long operation that runs, and for how many milliseconds.
fn current<D: HasMachines>(driver: &D, dom: &DomainRef) -> Result<Option<(Long, u64)>> {
    let (handle, snapshot) = find(driver, dom)?;
    if !snapshot.is_active() {
        return Err(not_running(&snapshot.name));
    }
    Ok(handle.busy().long.and_then(|busy| match busy.kind {
        Kind::Long(long) => Some((long, milliseconds(busy.since.elapsed()))),
        _ => None,
    }))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

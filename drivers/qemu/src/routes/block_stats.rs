// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the disks of a running guest have done, and which of them had errors.

use std::sync::Arc;

use virtus_api::params::domain_block_stats as name;
use virtus_api::{
    DomainBlockStats, DomainBlockStatsFlags, DomainBlockStatsFlagsReply, DomainBlockStatsReply,
    DomainDiskError, DomainDiskErrorCode, DomainGetDiskErrors, DomainGetDiskErrorsReply, DomainRef,
    Error, ErrorCode, Result, TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_domain::named;
use virtus_domain::routes::check_flags;

use super::{by, count, no_more_than, running};
use crate::driver::QemuDriver;
use crate::guest::QUERY;
use crate::readings::block::{Counts, Readings, failures};

pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(stats)).on(by(stats_flags)).on(by(disk_errors))
}

/// The old form, which says nothing of flushes and times.
async fn stats(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainBlockStats,
) -> Result<DomainBlockStatsReply> {
    let counts = counts(&driver, &request.dom, &request.path).await?;
    Ok(DomainBlockStatsReply {
        rd_req: signed(counts.reads),
        rd_bytes: signed(counts.read_bytes),
        wr_req: signed(counts.writes),
        wr_bytes: signed(counts.written_bytes),
        // QEMU does not count them.
        errs: -1,
    })
}

async fn stats_flags(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainBlockStatsFlags,
) -> Result<DomainBlockStatsFlagsReply> {
    check_flags(request.flags, TYPED_STRINGS, "virDomainBlockStatsFlags")?;
    let counts = counts(&driver, &request.dom, &request.path).await?;
    let (params, nparams) = no_more_than(request.nparams, fields(&counts));
    Ok(DomainBlockStatsFlagsReply { params, nparams })
}

/// Clients that can read texts say so; nothing here is one.
const TYPED_STRINGS: u32 = 4;

fn fields(counts: &Counts) -> Vec<TypedParam> {
    [
        (name::WRITE_BYTES, counts.written_bytes),
        (name::WRITE_REQ, counts.writes),
        (name::READ_BYTES, counts.read_bytes),
        (name::READ_REQ, counts.reads),
        (name::FLUSH_REQ, counts.flushes),
        (name::WRITE_TOTAL_TIMES, counts.write_ns),
        (name::READ_TOTAL_TIMES, counts.read_ns),
        (name::FLUSH_TOTAL_TIMES, counts.flush_ns),
    ]
    .into_iter()
    .map(|(field, value)| TypedParam::new(field, signed(value)))
    .collect()
}

/// What one disk did; with no name, what all did together.
async fn counts(driver: &QemuDriver, dom: &DomainRef, path: &str) -> Result<Counts> {
    let (guest, snapshot) = running(driver, dom)?;
    let def = snapshot.live()?;
    let alias = match path {
        "" => None,
        path => {
            Some(named::find_disk(def, path).and_then(|disk| disk.info.alias.clone()).ok_or_else(
                || {
                    Error::new(ErrorCode::InvalidArg, format!("invalid path: {path}"))
                        .hint(format!("see the targets with 'virsh domblklist {}'", snapshot.name))
                },
            )?)
        }
    };
    let mut readings = Readings::default();
    readings.read_stats(&guest.execute("query-blockstats", None, QUERY).await?);
    match alias {
        None => Ok(readings.sum()),
        Some(alias) => readings.devices.get(&alias).copied().ok_or_else(|| {
            let text = format!("QEMU has no counts of the disk '{path}' ({alias})");
            Error::new(ErrorCode::OperationFailed, text)
        }),
    }
}

async fn disk_errors(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetDiskErrors,
) -> Result<DomainGetDiskErrorsReply> {
    check_flags(request.flags, 0, "virDomainGetDiskErrors")?;
    let (guest, snapshot) = running(&driver, &request.dom)?;
    let all = &snapshot.live()?.devices.disks;
    if request.maxerrors == 0 {
        // Clients ask first how much room they need.
        return Ok(DomainGetDiskErrorsReply { errors: Vec::new(), nerrors: count(all.len()) });
    }
    let failed = failures(&guest.execute("query-block", None, QUERY).await?);
    let most = usize::try_from(request.maxerrors).unwrap_or(usize::MAX);
    let errors: Vec<_> = all
        .iter()
        .filter_map(|disk| {
            let full = *failed.get(disk.info.alias.as_deref()?)?;
            let code =
                if full { DomainDiskErrorCode::NoSpace } else { DomainDiskErrorCode::Unspec };
            Some(DomainDiskError { disk: disk.target.dev.clone(), error: code.number() })
        })
        .take(most)
        .collect();
    Ok(DomainGetDiskErrorsReply { nerrors: count(errors.len()), errors })
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

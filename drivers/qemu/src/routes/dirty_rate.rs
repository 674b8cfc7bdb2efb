// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Has QEMU measure how fast a guest changes its memory; the statistics tell the result.

use std::sync::Arc;

use serde_json::json;
use virtus_api::{
    DomainDirtyRateCalcFlags as Flags, DomainStartDirtyRateCalc, Error, ErrorCode, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::Job;
use virtus_domain::routes::{check_flags, exclusive, find};

use super::by;
use crate::driver::QemuDriver;
use crate::guest::WORK;

/// QEMU's own limits, in seconds.
const SECONDS: std::ops::RangeInclusive<i32> = 1..=60;

pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(start))
}

async fn start(driver: Arc<QemuDriver>, _: Call, request: DomainStartDirtyRateCalc) -> Result<()> {
    const NAME: &str = "virDomainStartDirtyRateCalc";
    check_flags(request.flags, Flags::all().bits(), NAME)?;
    exclusive(
        request.flags,
        (Flags::DIRTY_BITMAP.bits(), "VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_BITMAP"),
        (Flags::DIRTY_RING.bits(), "VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_RING"),
    )?;
    if !SECONDS.contains(&request.seconds) {
        let (least, most) = (SECONDS.start(), SECONDS.end());
        let text = format!(
            "seconds={} is invalid, please choose value within [{least}, {most}].",
            request.seconds
        );
        return Err(Error::new(ErrorCode::InvalidArg, text));
    }
    let flags = Flags::from_bits_truncate(request.flags);
    let mode = match (flags.contains(Flags::DIRTY_BITMAP), flags.contains(Flags::DIRTY_RING)) {
        (true, _) => "dirty-bitmap",
        (_, true) => "dirty-ring",
        _ => "page-sampling",
    };
    let (handle, _) = find(&*driver, &request.dom)?;
    handle
        .job(Job::modify(NAME), move |context| async move {
            let arguments = json!({ "calc-time": request.seconds, "mode": mode });
            context.running()?.execute("calc-dirty-rate", arguments, WORK).await.map(drop)
        })
        .await
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Presses keys of the guest's keyboard, and its NMI button.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use virtus_api::{DomainInjectNmi, DomainSendKey, Error, ErrorCode, KeycodeSet, Result};
use virtus_core::{Call, Routes};
use virtus_domain::Job;
use virtus_domain::keys::qnum;
use virtus_domain::routes::{check_flags, find};

use super::by;
use crate::driver::QemuDriver;
use crate::guest::QUERY;

/// Keys that can be held at once.
const MOST: usize = 16;
/// How long QEMU may hold keys: more is a mistake, and would keep other keys waiting.
const LONGEST_HOLD: Duration = Duration::from_secs(300);

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(send_key)).on(by(inject_nmi))
}

async fn send_key(driver: Arc<QemuDriver>, _: Call, request: DomainSendKey) -> Result<()> {
    check_flags(request.flags, 0, "virDomainSendKey")?;
    if request.keycodes.len() > MOST {
        let text =
            format!("{} keys at once are too many, QEMU takes {MOST}", request.keycodes.len());
        return Err(Error::new(ErrorCode::InvalidArg, text));
    }
    if u128::from(request.holdtime) > LONGEST_HOLD.as_millis() {
        let text = format!(
            "a hold time of {} ms is too long: at most {} ms",
            request.holdtime,
            LONGEST_HOLD.as_millis()
        );
        return Err(Error::new(ErrorCode::InvalidArg, text));
    }
    let set = i32::try_from(request.codeset).ok().and_then(|set| KeycodeSet::try_from(set).ok());
    let set = set.ok_or_else(|| {
        Error::new(ErrorCode::InvalidArg, format!("unknown key code set {}", request.codeset))
    })?;
    let numbers: Result<Vec<u16>> = request.keycodes.iter().map(|code| qnum(set, *code)).collect();
    let keys: Vec<_> =
        numbers?.iter().map(|number| json!({ "type": "number", "data": number })).collect();
    let mut arguments = json!({ "keys": keys });
    if request.holdtime > 0 {
        arguments["hold-time"] = request.holdtime.into();
    }
    let (handle, _) = find(&*driver, &request.dom)?;
    let work = handle.job(Job::query("virDomainSendKey"), move |context| async move {
        context.running()?.execute("send-key", arguments, QUERY).await.map(drop)
    });
    work.await
}

async fn inject_nmi(driver: Arc<QemuDriver>, _: Call, request: DomainInjectNmi) -> Result<()> {
    check_flags(request.flags, 0, "virDomainInjectNMI")?;
    let (handle, _) = find(&*driver, &request.dom)?;
    let work = handle.job(Job::modify("virDomainInjectNMI"), |context| async move {
        context.running()?.execute("inject-nmi", None, QUERY).await.map(drop)
    });
    work.await
}

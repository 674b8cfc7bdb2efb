// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signals for a container's first process.

use std::sync::Arc;

use virtus_api::{DomainSendProcessSignal, Error, ErrorCode, Result};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags};

use super::running;
use crate::driver::LxcDriver;

/// From the one that only asks whether the process is there to the last real-time one.
const SIGNALS: std::ops::RangeInclusive<i32> = 0..=64;

/// The routes of this file.
pub(super) fn routes() -> Routes<LxcDriver> {
    Routes::new().on(by(send))
}

async fn send(driver: Arc<LxcDriver>, _: Call, request: DomainSendProcessSignal) -> Result<()> {
    check_flags(request.flags, 0, "virDomainSendProcessSignal")?;
    let (container, _) = running(&driver, &request.dom)?;
    if request.pid_value != 1 {
        return Err(Error::new(
            ErrorCode::ArgumentUnsupported,
            "only the init process of a container can be sent a signal",
        )
        .hint("its number is 1"));
    }
    // Clients number signals as the kernel does.
    let number = i32::try_from(request.signum).ok().filter(|number| SIGNALS.contains(number));
    let number = number.ok_or_else(|| {
        let text = format!("signal number {} is not supported", request.signum);
        Error::new(ErrorCode::ArgumentUnsupported, text)
    })?;
    container.init_process()?.signal_number(number)
}

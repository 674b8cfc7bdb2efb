// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How long clients want the guest's agent to be waited for. Nothing waits for ever.

use std::sync::Arc;

use virtus_api::{
    DomainAgentResponseTimeoutValues as Patience, DomainAgentSetResponseTimeout, Error, ErrorCode,
    Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::check_flags;

use super::{by, running};
use crate::driver::QemuDriver;

/// What "wait for ever" means.
const LONGEST: u32 = 3600;

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(set))
}

async fn set(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainAgentSetResponseTimeout,
) -> Result<i32> {
    check_flags(request.flags, 0, "virDomainAgentSetResponseTimeout")?;
    let (guest, _) = running(&driver, &request.dom)?;
    guest.set_agent_patience(patience(request.timeout)?);
    Ok(0)
}

/// Seconds; 0 for the usual time of each command.
fn patience(timeout: i32) -> Result<u32> {
    match timeout {
        timeout if timeout == Patience::Block as i32 => Ok(LONGEST),
        timeout if timeout == Patience::Default as i32 => Ok(0),
        timeout if timeout == Patience::Nowait as i32 => Ok(1),
        timeout => u32::try_from(timeout).map(|seconds| seconds.min(LONGEST)).map_err(|_| {
            let text = format!("guest agent timeout '{timeout}' is less than the minimum '-2'");
            Error::new(ErrorCode::InvalidArg, text)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::patience;

    #[test]
    fn every_wait_has_an_end() {
        assert_eq!([-2, -1, 0, 5, i32::MAX].map(|t| patience(t).unwrap()), [3600, 0, 1, 5, 3600]);
        assert!(patience(-3).is_err());
    }
}

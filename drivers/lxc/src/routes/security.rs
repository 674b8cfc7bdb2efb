// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a container is confined: by no security driver.

use std::sync::Arc;

use virtus_api::{DomainGetSecurityLabel, DomainGetSecurityLabelReply, Result, chars};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, find};

use crate::driver::LxcDriver;

/// The routes of this file.
pub(super) fn routes() -> Routes<LxcDriver> {
    Routes::new().on(by(label))
}

async fn label(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainGetSecurityLabel,
) -> Result<DomainGetSecurityLabelReply> {
    find(&*driver, &request.dom)?;
    Ok(DomainGetSecurityLabelReply { label: chars::with_nul(""), enforcing: 0 })
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a guest is confined. Only Unix ownership is used: the first model is "none", the second "dac".

use std::sync::Arc;

use virtus_api::{
    DomainGetSecurityLabel, DomainGetSecurityLabelList, DomainGetSecurityLabelListReply,
    DomainGetSecurityLabelReply, Result, chars,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::find;

use super::by;
use crate::driver::QemuDriver;

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(label)).on(by(labels))
}

fn labelled(text: &str) -> DomainGetSecurityLabelReply {
    DomainGetSecurityLabelReply { label: chars::with_nul(text), enforcing: 0 }
}

async fn label(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetSecurityLabel,
) -> Result<DomainGetSecurityLabelReply> {
    find(&*driver, &request.dom)?;
    Ok(labelled(""))
}

async fn labels(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetSecurityLabelList,
) -> Result<DomainGetSecurityLabelListReply> {
    let (_, snapshot) = find(&*driver, &request.dom)?;
    // Nothing runs under the rights of a guest that is off.
    if !snapshot.is_active() {
        return Ok(DomainGetSecurityLabelListReply { labels: Vec::new(), ret: 0 });
    }
    let identity = driver.qemu.config().identity.clone();
    let owner = format!("+{}:+{}", identity.uid, identity.gid);
    Ok(DomainGetSecurityLabelListReply { labels: vec![labelled(""), labelled(&owner)], ret: 2 })
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which extensions of the protocol this driver understands, as libvirt's client library asks.

use std::sync::Arc;

use virtus_api::{ConnectSupportsFeature, Result};
use virtus_core::{Call, Routes};

use super::by;
use crate::driver::QemuDriver;

/// Typed parameters may be texts; without it clients leave such parameters out.
const TYPED_PARAM_STRING: i32 = 9;
/// XML can be told in a form that older daemons read.
const XML_MIGRATABLE: i32 = 10;

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(supports))
}

/// Migration is not there yet: its features are answered with no.
async fn supports(_: Arc<QemuDriver>, _: Call, request: ConnectSupportsFeature) -> Result<i32> {
    Ok(i32::from(matches!(request.feature, TYPED_PARAM_STRING | XML_MIGRATABLE)))
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this host's firmware says of the host.

use std::sync::Arc;

use virtus_api::{ConnectGetSysinfo, Result};
use virtus_core::{Call, Routes};
use virtus_domain::routes::check_flags;
use virtus_host::sysinfo;
use virtus_xml::FormatFlags;
use virtus_xml::reader::Element as _;
use virtus_xml::writer::Writer;

use super::by;
use crate::driver::QemuDriver;

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(get))
}

async fn get(_: Arc<QemuDriver>, _: Call, request: ConnectGetSysinfo) -> Result<String> {
    check_flags(request.flags, 0, "virConnectGetSysinfo")?;
    let mut out = Writer::new(FormatFlags::empty());
    sysinfo::host().await?.write("sysinfo", &mut out);
    Ok(out.finish())
}

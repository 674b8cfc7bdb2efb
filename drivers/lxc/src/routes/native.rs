// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Configurations of the LXC tools as definitions. The way back does not exist, as in libvirt.

use std::sync::Arc;

use virtus_api::{ConnectDomainXmlFromNative, Error, ErrorCode, Result};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags};
use virtus_domain::{HasMachines, Machine, Origin};
use virtus_xml::FormatFlags;

use crate::driver::LxcDriver;
use crate::native::{self, FORMAT};

/// The routes of this file.
pub(super) fn routes() -> Routes<LxcDriver> {
    Routes::new().on(by(from_native))
}

async fn from_native(
    driver: Arc<LxcDriver>,
    _: Call,
    request: ConnectDomainXmlFromNative,
) -> Result<String> {
    check_flags(request.flags, 0, "virConnectDomainXMLFromNative")?;
    if request.native_format != FORMAT {
        let text = format!("unsupported config type {}", request.native_format);
        return Err(Error::new(ErrorCode::InvalidArg, text)
            .hint(format!("containers have the format '{FORMAT}'")));
    }
    let mut def = native::read(&request.native_config)?;
    driver.machines().machine().complete(&mut def, Origin::Disk)?;
    Ok(def.format(FormatFlags::INACTIVE))
}

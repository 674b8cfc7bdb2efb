// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A definition as the command line that it would be run by. The way back does not exist: libvirt's QEMU
//! driver has it no more either.

use std::sync::Arc;

use virtus_api::{ConnectDomainXmlToNative, Error, ErrorCode, Result};
use virtus_core::{Call, Routes};
use virtus_domain::routes::check_flags;
use virtus_xml::{Domain, ParseFlags};

use super::by;
use crate::driver::QemuDriver;

/// The only format that there is.
const ARGV: &str = "qemu-argv";

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(to_native))
}

async fn to_native(
    driver: Arc<QemuDriver>,
    _: Call,
    request: ConnectDomainXmlToNative,
) -> Result<String> {
    check_flags(request.flags, 0, "virConnectDomainXMLToNative")?;
    if request.native_format != ARGV {
        let text = format!("unsupported config type {}", request.native_format);
        return Err(Error::new(ErrorCode::InvalidArg, text)
            .hint(format!("QEMU guests have the format '{ARGV}'")));
    }
    let def =
        Domain::parse(&request.domain_xml, ParseFlags::INACTIVE | ParseFlags::ABI_UPDATE)?.value;
    driver.qemu.capabilities(&driver.qemu.emulator(&def)?).await?;
    driver.qemu.native(def)
}

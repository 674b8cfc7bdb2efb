// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the connection is.

use std::sync::Arc;

use virtus_api::{
    ConnectGetMaxVcpus, ConnectGetSysinfo, ConnectGetType, ConnectGetVersion, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags};

use crate::strict::MOST_VCPUS;
use crate::world::World;

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new().on(by(get_type)).on(by(get_version)).on(by(get_max_vcpus)).on(by(get_sysinfo))
}

async fn get_type(_: Arc<World>, _: Call, _: ConnectGetType) -> Result<String> {
    Ok("TEST".to_owned())
}

/// Version 0.0.2.
async fn get_version(_: Arc<World>, _: Call, _: ConnectGetVersion) -> Result<u64> {
    Ok(2)
}

async fn get_max_vcpus(_: Arc<World>, _: Call, _: ConnectGetMaxVcpus) -> Result<i32> {
    Ok(MOST_VCPUS.cast_signed())
}

async fn get_sysinfo(_: Arc<World>, _: Call, request: ConnectGetSysinfo) -> Result<String> {
    check_flags(request.flags, 0, "virConnectGetSysinfo")?;
    let bios = [
        ("vendor", "LENOVO"),
        ("version", "G4ETA1WW (2.61 )"),
        ("date", "05/07/2014"),
        ("release", "2.61"),
    ];
    let entries = bios.map(|(name, value)| format!("    <entry name='{name}'>{value}</entry>\n"));
    Ok(format!("<sysinfo type='smbios'>\n  <bios>\n{}  </bios>\n</sysinfo>\n", entries.concat()))
}

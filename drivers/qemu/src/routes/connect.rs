// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the connection is.

use std::sync::Arc;

use virtus_api::{ConnectGetMaxVcpus, ConnectGetType, ConnectGetVersion, Error, ErrorCode, Result};
use virtus_core::Call;

use crate::caps::Accel;
use crate::driver::{Qemu, QemuDriver, no_emulator};

/// The most vCPUs that guests can have without KVM's own limit being asked for.
const TCG_MAX: i32 = 255;

pub(super) async fn get_type(_: Arc<QemuDriver>, _: Call, _: ConnectGetType) -> Result<String> {
    Ok("QEMU".to_owned())
}

pub(super) async fn get_version(
    driver: Arc<QemuDriver>,
    _: Call,
    _: ConnectGetVersion,
) -> Result<u64> {
    let arch = virtus_host::node::arch();
    let binary = Qemu::binary_for(&arch)
        .ok_or_else(|| no_emulator(format!("qemu-system-{arch}").as_ref()))?;
    Ok(u64::from(driver.qemu.capabilities(&binary).await?.version))
}

pub(super) async fn get_max_vcpus(
    driver: Arc<QemuDriver>,
    _: Call,
    request: ConnectGetMaxVcpus,
) -> Result<i32> {
    let kind = request.r#type.as_deref().unwrap_or("qemu").to_lowercase();
    if kind == "qemu" {
        return Ok(16);
    }
    let Some(accel) = Accel::of_domain_type(&kind) else {
        return Err(Error::new(ErrorCode::InvalidArg, format!("unknown type '{kind}'")));
    };
    let binary = Qemu::binary_for(&virtus_host::node::arch());
    let Some(binary) = binary else { return Ok(TCG_MAX) };
    let caps = driver.qemu.capabilities(&binary).await?;
    let machines = caps.accelerator(accel).map(|accel| accel.machines.as_slice());
    let most = machines.unwrap_or_default().iter().map(|machine| machine.max_cpus).max();
    Ok(most.and_then(|most| i32::try_from(most).ok()).unwrap_or(TCG_MAX))
}

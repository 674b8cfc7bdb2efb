// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is noteworthy about a domain: what of its definition QEMU advises against.

use std::sync::Arc;

use virtus_api::{DomainGetMessages, DomainMessageType, Result};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{check_flags, find};
use virtus_xml::Domain;

use super::by;
use crate::caps::{Accel, Capabilities};
use crate::driver::QemuDriver;

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(messages))
}

async fn messages(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetMessages,
) -> Result<Vec<String>> {
    check_flags(request.flags, DomainMessageType::all().bits(), "virDomainGetMessages")?;
    let wanted = DomainMessageType::from_bits_truncate(request.flags);
    let (_, snapshot) = find(&*driver, &request.dom)?;
    if !(wanted.is_empty() || wanted.contains(DomainMessageType::DEPRECATION)) {
        return Ok(Vec::new());
    }
    let def = snapshot.def()?;
    let known = driver.qemu.emulator(&def).ok().and_then(|path| driver.qemu.caps.known(&path));
    Ok(known.map(|caps| deprecations(&def, &caps)).unwrap_or_default())
}

/// What QEMU advises against.
fn deprecations(def: &Domain, caps: &Capabilities) -> Vec<String> {
    let accel = Accel::of_domain_type(def.kind.as_str()).unwrap_or(Accel::Tcg);
    let machine = def.os.kind.machine.as_deref().unwrap_or_default();
    let mut found = Vec::new();
    if caps.machine(accel, machine).is_some_and(|machine| machine.deprecated) {
        found.push(format!("deprecated configuration: machine type '{machine}'"));
    }
    let model = def.cpu.as_ref().and_then(|cpu| cpu.model.as_ref()?.name.as_deref());
    let of_model = |name| caps.accelerator(accel).and_then(|accel| accel.cpu(name));
    if let Some(model) = model
        && of_model(model).is_some_and(|cpu| cpu.deprecated)
    {
        found.push(format!("deprecated configuration: CPU model '{model}'"));
    }
    found
}

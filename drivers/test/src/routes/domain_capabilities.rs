// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What guests can have: nothing is known, whatever is asked for.

use std::sync::Arc;

use virtus_api::{ConnectGetDomainCapabilities, Error, ErrorCode, Result};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags};
use virtus_xml::DomainCapabilities;
use virtus_xml::domain::DomainType;
use virtus_xml::schema::{Described, kinds};
use virtus_xml::value::Value;

use crate::guest::ARCH;
use crate::world::World;

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new().on(by(get))
}

async fn get(_: Arc<World>, _: Call, request: ConnectGetDomainCapabilities) -> Result<String> {
    check_flags(request.flags, 0, "virConnectGetDomainCapabilities")?;
    let kind = request.virttype.as_deref().unwrap_or("test");
    let arch = request.arch.as_deref().unwrap_or(ARCH);
    let unknown = |what, word| Error::new(ErrorCode::InvalidArg, format!("unknown {what}: {word}"));
    if DomainType::parse(kind).is_none() {
        return Err(unknown("virttype", kind));
    }
    if !(kinds::Arch::KIND.accepts)(arch) {
        return Err(unknown("architecture", arch));
    }
    let (path, machine) = (request.emulatorbin.as_deref(), request.machine.as_deref());
    Ok(DomainCapabilities::of(path, kind, machine, arch).format())
}

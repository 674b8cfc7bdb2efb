// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How guests are confined, and what is noteworthy about them.

use std::sync::Arc;

use virtus_api::{
    DomainGetLaunchSecurityInfo, DomainGetMessages, DomainGetOsType, DomainGetSecurityLabel,
    DomainGetSecurityLabelReply, DomainMessageType, Result, TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags, find};

use crate::world::World;

/// Clients that can read texts say so; nothing here is one.
const TYPED_STRINGS: u32 = 4;

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new().on(by(get_label)).on(by(get_launch_security)).on(by(get_messages)).on(by(get_os))
}

async fn get_label(
    world: Arc<World>,
    _: Call,
    request: DomainGetSecurityLabel,
) -> Result<DomainGetSecurityLabelReply> {
    let (_, snapshot) = find(&*world, &request.dom)?;
    let label = if snapshot.is_active() { "libvirt-test" } else { "" };
    let label = label.bytes().map(u8::cast_signed).chain([0]).collect();
    Ok(DomainGetSecurityLabelReply { label, enforcing: snapshot.is_active().into() })
}

/// Guests are not encrypted.
async fn get_launch_security(
    world: Arc<World>,
    _: Call,
    request: DomainGetLaunchSecurityInfo,
) -> Result<Vec<TypedParam>> {
    check_flags(request.flags, TYPED_STRINGS, "virDomainGetLaunchSecurityInfo")?;
    find(&*world, &request.dom)?;
    Ok(Vec::new())
}

/// The one CPU model that is advised against is there for tests.
async fn get_messages(
    world: Arc<World>,
    _: Call,
    request: DomainGetMessages,
) -> Result<Vec<String>> {
    check_flags(request.flags, DomainMessageType::all().bits(), "virDomainGetMessages")?;
    let wanted = DomainMessageType::from_bits_truncate(request.flags);
    let (_, snapshot) = find(&*world, &request.dom)?;
    let model = snapshot.def()?.cpu.as_ref().and_then(|cpu| cpu.model.as_ref()?.name.as_deref());
    let deprecated = model.filter(|model| *model == "Deprecated-Test");
    let told =
        deprecated.filter(|_| wanted.is_empty() || wanted.contains(DomainMessageType::DEPRECATION));
    Ok(told
        .map(|model| format!("deprecated configuration: CPU model {model}"))
        .into_iter()
        .collect())
}

async fn get_os(world: Arc<World>, _: Call, request: DomainGetOsType) -> Result<String> {
    find(&*world, &request.dom)?;
    Ok("linux".to_owned())
}

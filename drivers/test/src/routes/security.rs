// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How guests are confined, and what is noteworthy about them.

use std::sync::Arc;

use virtus_api::{
    DomainGetLaunchSecurityInfo, DomainGetMessages, DomainGetOsType, DomainGetSecurityLabel,
    DomainGetSecurityLabelReply, DomainMessageType as Kinds, Result, TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags, find};
use virtus_xml::Domain;
use virtus_xml::domain::disk::DiskDevice;
use virtus_xml::domain::storage::StorageType;
use virtus_xml::value::YesNo;

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

async fn get_messages(
    world: Arc<World>,
    _: Call,
    request: DomainGetMessages,
) -> Result<Vec<String>> {
    check_flags(request.flags, Kinds::all().bits(), "virDomainGetMessages")?;
    let (_, snapshot) = find(&*world, &request.dom)?;
    let def = snapshot.def()?;
    let wanted = Kinds::from_bits_truncate(request.flags);
    let wants = |kind| wanted.is_empty() || wanted.contains(kind);
    let mut told = Vec::new();
    if wants(Kinds::TAINTING) {
        let found = TAINTS.iter().filter(|taint| (taint.holds)(&def));
        told.extend(found.map(|taint| format!("tainted: {}", taint.text)));
    }
    if wants(Kinds::DEPRECATION) && is_deprecated(&def) {
        told.push(format!("deprecated configuration: CPU model {DEPRECATED}"));
    }
    Ok(told)
}

/// The one CPU model that is advised against is there for tests.
const DEPRECATED: &str = "Deprecated-Test";

/// Something that makes a guest one that nobody promises anything for.
struct Taint {
    holds: fn(&Domain) -> bool,
    text: &'static str,
}

/// In libvirt's order and words.
const TAINTS: [Taint; 5] = [
    Taint { holds: has_raw_io, text: "running with undesirable elevated privileges" },
    Taint { holds: has_scripts, text: "network configuration using opaque shell scripts" },
    Taint { holds: has_host_cdrom, text: "use of host cdrom passthrough" },
    Taint { holds: |def| def.os.dtb.is_some(), text: "custom device tree blob used" },
    Taint { holds: is_deprecated, text: "use of deprecated configuration settings" },
];

fn has_raw_io(def: &Domain) -> bool {
    def.devices.disks.iter().any(|disk| disk.rawio == Some(YesNo::Yes))
        || def.devices.hostdevs.iter().any(|hostdev| hostdev.rawio == Some(YesNo::Yes))
}

fn has_scripts(def: &Domain) -> bool {
    def.devices.interfaces.iter().any(|interface| interface.script.is_some())
}

fn has_host_cdrom(def: &Domain) -> bool {
    def.devices.disks.iter().any(|disk| {
        disk.device == DiskDevice::Cdrom
            && disk.kind == StorageType::Block
            && disk.source.as_ref().is_some_and(|source| source.dev.is_some())
    })
}

fn is_deprecated(def: &Domain) -> bool {
    let model = def.cpu.as_ref().and_then(|cpu| cpu.model.as_ref()?.name.as_deref());
    model == Some(DEPRECATED)
}

async fn get_os(world: Arc<World>, _: Call, request: DomainGetOsType) -> Result<String> {
    find(&*world, &request.dom)?;
    Ok("linux".to_owned())
}

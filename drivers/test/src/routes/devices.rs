// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices that come, change and go, in definitions and in guests that run: there, too, the definition is all there is
//! of a device.

use std::sync::Arc;

use virtus_api::{
    DomainAttachDevice, DomainAttachDeviceFlags, DomainDetachDevice, DomainDetachDeviceAlias,
    DomainDetachDeviceFlags, DomainDeviceModifyFlags as Flags, DomainRef, DomainUpdateDeviceFlags,
    Error, ErrorCode, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::by;
use virtus_domain::{Machine, Origin, attach_to, detach_from, remove_alias, update_in};
use virtus_xml::{AnyDevice, Domain, ParseFlags};

use super::change;
use crate::guest::Test;
use crate::world::World;

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new()
        .on(by(attach))
        .on(by(attach_flags))
        .on(by(update))
        .on(by(detach))
        .on(by(detach_flags))
        .on(by(detach_alias))
}

/// Changes definitions by a device: puts it in, takes it out, gives it another form.
async fn put(
    world: &World,
    dom: &DomainRef,
    xml: String,
    flags: u32,
    name: &'static str,
    put: fn(&mut Domain, AnyDevice) -> Result<()>,
) -> Result<()> {
    let machine = Test { cpus: world.node.most_cpus() };
    let work = change(world, dom, flags, name, move |def| {
        let hvm = def.os.kind.name == "hvm";
        put(def, AnyDevice::parse(&xml, ParseFlags::INACTIVE, hvm)?.value)?;
        machine.complete(def, Origin::User)
    });
    work.await
}

async fn attach(world: Arc<World>, _: Call, request: DomainAttachDevice) -> Result<()> {
    let flags = Flags::LIVE.bits();
    put(&world, &request.dom, request.xml, flags, "virDomainAttachDevice", attach_to).await
}

async fn attach_flags(world: Arc<World>, _: Call, request: DomainAttachDeviceFlags) -> Result<()> {
    let name = "virDomainAttachDeviceFlags";
    put(&world, &request.dom, request.xml, request.flags, name, attach_to).await
}

async fn detach(world: Arc<World>, _: Call, request: DomainDetachDevice) -> Result<()> {
    let flags = Flags::LIVE.bits();
    put(&world, &request.dom, request.xml, flags, "virDomainDetachDevice", detach_from).await
}

async fn detach_flags(world: Arc<World>, _: Call, request: DomainDetachDeviceFlags) -> Result<()> {
    let name = "virDomainDetachDeviceFlags";
    put(&world, &request.dom, request.xml, request.flags, name, detach_from).await
}

/// The device of this alias, which the definition gave it.
async fn detach_alias(world: Arc<World>, _: Call, request: DomainDetachDeviceAlias) -> Result<()> {
    let alias = request.alias;
    let name = "virDomainDetachDeviceAlias";
    let gone = change(&world, &request.dom, request.flags, name, move |def| {
        if remove_alias(def, &alias) {
            return Ok(());
        }
        let text = format!("no device found with alias {alias}");
        Err(Error::new(ErrorCode::DeviceMissing, text))
    });
    gone.await
}

async fn update(world: Arc<World>, _: Call, request: DomainUpdateDeviceFlags) -> Result<()> {
    let name = "virDomainUpdateDeviceFlags";
    let flags = request.flags & !Flags::FORCE.bits();
    put(&world, &request.dom, request.xml, flags, name, update_in).await
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices that come, change and go: those that libvirt's test driver can plug, only in guests that run. What it does
//! not answer at all, to take a device out by its document, works on paper and live alike.

use std::sync::Arc;

use virtus_api::{
    DomainAttachDevice, DomainAttachDeviceFlags, DomainDetachDevice, DomainDetachDeviceAlias,
    DomainDetachDeviceFlags, DomainEvent, DomainEventDeviceAdded, DomainEventDeviceRemoved,
    DomainModificationImpact as Impact, DomainRef, DomainUpdateDeviceFlags, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags, find, targets};
use virtus_domain::{Job, Machine, Origin, detach_from};
use virtus_xml::{AnyDevice, Domain, ParseFlags};

use super::change;
use crate::guest::Test;
use crate::plug;
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

/// Plugs a device into a guest or pulls one out, and tells of it by its alias.
async fn plug(
    world: &World,
    dom: &DomainRef,
    flags: u32,
    name: &'static str,
    change: impl FnOnce(&mut Domain) -> Result<Option<String>> + Send + 'static,
    tell: fn(DomainRef, String) -> DomainEvent,
) -> Result<()> {
    check_flags(flags, Impact::all().bits(), name)?;
    let (handle, _) = find(world, dom)?;
    let plugged = handle.job(Job::modify(name), move |context| async move {
        if targets(flags, &context.snapshot())?.config {
            return check_flags(Impact::CONFIG.bits(), Impact::LIVE.bits(), name);
        }
        let mut live = (*context.live()?).clone();
        let alias = change(&mut live)?;
        context.change_live(|def| *def = live)?;
        if let Some(alias) = alias {
            context.emit(|dom| tell(dom, alias));
        }
        Ok(())
    });
    plugged.await
}

fn read(def: &Domain, xml: &str) -> Result<AnyDevice> {
    let hvm = def.os.kind.name == "hvm";
    Ok(AnyDevice::parse(xml, ParseFlags::INACTIVE, hvm)?.value)
}

async fn attach(world: Arc<World>, call: Call, request: DomainAttachDevice) -> Result<()> {
    let DomainAttachDevice { dom, xml } = request;
    let flags = Impact::CURRENT.bits();
    attach_flags(world, call, DomainAttachDeviceFlags { dom, xml, flags }).await
}

async fn attach_flags(world: Arc<World>, _: Call, request: DomainAttachDeviceFlags) -> Result<()> {
    let xml = request.xml;
    let plug_in = move |def: &mut Domain| plug::plug_in(def, read(def, &xml)?);
    let tell = |dom, dev_alias| DomainEventDeviceAdded { dom, dev_alias }.into();
    plug(&world, &request.dom, request.flags, "virDomainAttachDeviceFlags", plug_in, tell).await
}

/// The device of this alias, which its definition or the driver gave it.
async fn detach_alias(world: Arc<World>, _: Call, request: DomainDetachDeviceAlias) -> Result<()> {
    let alias = request.alias;
    let pull_out = move |def: &mut Domain| plug::pull_out(def, &alias);
    let tell = |dom, dev_alias| DomainEventDeviceRemoved { dom, dev_alias }.into();
    plug(&world, &request.dom, request.flags, "virDomainDetachDeviceAlias", pull_out, tell).await
}

/// Changes definitions by a device.
async fn rewrite(
    world: &World,
    dom: &DomainRef,
    xml: String,
    flags: u32,
    name: &'static str,
    rewrite: fn(&mut Domain, AnyDevice) -> Result<()>,
) -> Result<()> {
    let machine = Test { cpus: world.node.most_cpus() };
    let work = change(world, dom, flags, name, move |def| {
        rewrite(def, read(def, &xml)?)?;
        machine.complete(def, Origin::User)
    });
    work.await
}

async fn update(world: Arc<World>, _: Call, request: DomainUpdateDeviceFlags) -> Result<()> {
    let name = "virDomainUpdateDeviceFlags";
    rewrite(&world, &request.dom, request.xml, request.flags, name, plug::change).await
}

async fn detach(world: Arc<World>, call: Call, request: DomainDetachDevice) -> Result<()> {
    let DomainDetachDevice { dom, xml } = request;
    let flags = Impact::LIVE.bits();
    detach_flags(world, call, DomainDetachDeviceFlags { dom, xml, flags }).await
}

async fn detach_flags(world: Arc<World>, _: Call, request: DomainDetachDeviceFlags) -> Result<()> {
    let name = "virDomainDetachDeviceFlags";
    rewrite(&world, &request.dom, request.xml, request.flags, name, detach_from).await
}

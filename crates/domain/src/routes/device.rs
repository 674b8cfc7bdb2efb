// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices that come, change and go in the persistent definition. Plugging into a machine that runs is
//! the driver's own matter: a driver that can replaces these routes.

use std::sync::Arc;

use virtus_api::{
    DomainAttachDevice, DomainAttachDeviceFlags, DomainDetachDevice, DomainDetachDeviceFlags,
    DomainDeviceModifyFlags as Flags, DomainRef, DomainUpdateDeviceFlags, Result,
};
use virtus_core::Call;
use virtus_xml::domain::any_device::AnyDevice;
use virtus_xml::{Domain, ParseFlags};

use super::{HasMachines, check_flags, find, targets};
use crate::devices::{attach_to, detach_from, update_in};
use crate::jobs::Job;
use crate::machine::{Machine, Origin, unsupported};

type Change = fn(&mut Domain, AnyDevice) -> Result<()>;

pub(super) async fn attach<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainAttachDevice,
) -> Result<()> {
    let live = Flags::LIVE.bits();
    change(&*driver, request.dom, request.xml, live, "virDomainAttachDevice", attach_to).await
}

pub(super) async fn attach_flags<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainAttachDeviceFlags,
) -> Result<()> {
    let name = "virDomainAttachDeviceFlags";
    change(&*driver, request.dom, request.xml, request.flags, name, attach_to).await
}

pub(super) async fn detach<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainDetachDevice,
) -> Result<()> {
    let live = Flags::LIVE.bits();
    change(&*driver, request.dom, request.xml, live, "virDomainDetachDevice", detach_from).await
}

pub(super) async fn detach_flags<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainDetachDeviceFlags,
) -> Result<()> {
    let name = "virDomainDetachDeviceFlags";
    change(&*driver, request.dom, request.xml, request.flags, name, detach_from).await
}

pub(super) async fn update_flags<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainUpdateDeviceFlags,
) -> Result<()> {
    let name = "virDomainUpdateDeviceFlags";
    let flags = request.flags & !Flags::FORCE.bits();
    change(&*driver, request.dom, request.xml, flags, name, update_in).await
}

async fn change<D: HasMachines>(
    driver: &D,
    dom: DomainRef,
    xml: String,
    flags: u32,
    name: &'static str,
    change: Change,
) -> Result<()> {
    check_flags(flags, (Flags::LIVE | Flags::CONFIG).bits(), name)?;
    let (handle, _) = find(driver, &dom)?;
    handle
        .job(Job::modify(name), move |context| async move {
            let snapshot = context.snapshot();
            let wanted = targets(flags, &snapshot)?;
            if wanted.live {
                return Err(unsupported(format!(
                    "{name}: changing devices of domain '{}' while it runs is not supported yet",
                    snapshot.name
                ))
                .hint("change the next start's definition with '--config'"));
            }
            let hvm = snapshot.def()?.os.kind.name == "hvm";
            let device = AnyDevice::parse(&xml, ParseFlags::INACTIVE, hvm)?.value;
            context.change_persistent(|def| {
                change(def, device)?;
                context.machine().complete(def, Origin::User)
            })
        })
        .await
}

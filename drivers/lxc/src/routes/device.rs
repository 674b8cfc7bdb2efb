// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices that come and go, in the definition of the next start and in the container that runs.

use std::sync::Arc;

use virtus_api::{
    DomainAttachDevice, DomainAttachDeviceFlags, DomainDetachDevice, DomainDetachDeviceFlags,
    DomainDeviceModifyFlags as Flags, DomainRef, DomainUpdateDeviceFlags, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags, find, targets};
use virtus_domain::{Job, Machine, Origin, attach_to, detach_from, update_in};
use virtus_xml::ParseFlags;
use virtus_xml::domain::any_device::AnyDevice;

use crate::driver::LxcDriver;
use crate::{hotplug, update};

/// The routes of this file.
pub(super) fn routes() -> Routes<LxcDriver> {
    Routes::new()
        .on(by(attach))
        .on(by(attach_flags))
        .on(by(detach))
        .on(by(detach_flags))
        .on(by(update_flags))
}

/// What is done with a device.
#[derive(Debug, Clone, Copy)]
enum How {
    Attach,
    Detach,
    Update,
}

async fn attach(driver: Arc<LxcDriver>, _: Call, request: DomainAttachDevice) -> Result<()> {
    let live = Flags::LIVE.bits();
    change(&driver, request.dom, request.xml, live, "virDomainAttachDevice", How::Attach).await
}

async fn attach_flags(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainAttachDeviceFlags,
) -> Result<()> {
    let name = "virDomainAttachDeviceFlags";
    change(&driver, request.dom, request.xml, request.flags, name, How::Attach).await
}

async fn detach(driver: Arc<LxcDriver>, _: Call, request: DomainDetachDevice) -> Result<()> {
    let live = Flags::LIVE.bits();
    change(&driver, request.dom, request.xml, live, "virDomainDetachDevice", How::Detach).await
}

async fn detach_flags(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainDetachDeviceFlags,
) -> Result<()> {
    let name = "virDomainDetachDeviceFlags";
    change(&driver, request.dom, request.xml, request.flags, name, How::Detach).await
}

async fn update_flags(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainUpdateDeviceFlags,
) -> Result<()> {
    let name = "virDomainUpdateDeviceFlags";
    change(&driver, request.dom, request.xml, request.flags, name, How::Update).await
}

async fn change(
    driver: &LxcDriver,
    dom: DomainRef,
    xml: String,
    flags: u32,
    name: &'static str,
    how: How,
) -> Result<()> {
    check_flags(flags, (Flags::LIVE | Flags::CONFIG).bits(), name)?;
    let (handle, _) = find(driver, &dom)?;
    handle
        .job(Job::modify(name), move |context| async move {
            let wanted = targets(flags, &context.snapshot())?;
            let device = AnyDevice::parse(&xml, ParseFlags::INACTIVE, false)?.value;
            if wanted.config {
                let device = device.clone();
                context.change_persistent(|def| {
                    match how {
                        How::Attach => attach_to(def, device),
                        How::Detach => detach_from(def, device),
                        How::Update => update_in(def, device),
                    }?;
                    context.machine().complete(def, Origin::User)
                })?;
            }
            if !wanted.live {
                return Ok(());
            }
            match how {
                How::Attach => hotplug::attach(&context, device).await,
                How::Detach => hotplug::detach(&context, device).await,
                How::Update => update::update(&context, device).await,
            }
        })
        .await
}

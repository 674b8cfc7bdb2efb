// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices that come, change and go, in the definition of the next start and in the guest that runs.

use std::sync::Arc;

use virtus_api::{
    DomainAttachDevice, DomainAttachDeviceFlags, DomainDetachDevice, DomainDetachDeviceFlags,
    DomainDeviceModifyFlags as Flags, DomainRef, DomainUpdateDeviceFlags, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{check_flags, find, targets};
use virtus_domain::{Job, Machine, Origin, attach_to, detach_from, update_in};
use virtus_xml::ParseFlags;
use virtus_xml::domain::any_device::AnyDevice;

use super::by;
use crate::driver::QemuDriver;
use crate::hotplug;

/// Plugging in, out, and changing.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new()
        .on(by(attach))
        .on(by(attach_flags))
        .on(by(detach))
        .on(by(detach_flags))
        .on(by(update_flags))
}

/// What becomes of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Attach,
    Detach,
    Update { force: bool },
}

async fn attach(driver: Arc<QemuDriver>, _: Call, request: DomainAttachDevice) -> Result<()> {
    let live = Flags::LIVE.bits();
    change(&driver, request.dom, request.xml, live, "virDomainAttachDevice", How::Attach).await
}

async fn attach_flags(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainAttachDeviceFlags,
) -> Result<()> {
    let name = "virDomainAttachDeviceFlags";
    change(&driver, request.dom, request.xml, request.flags, name, How::Attach).await
}

async fn detach(driver: Arc<QemuDriver>, _: Call, request: DomainDetachDevice) -> Result<()> {
    let live = Flags::LIVE.bits();
    change(&driver, request.dom, request.xml, live, "virDomainDetachDevice", How::Detach).await
}

async fn detach_flags(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainDetachDeviceFlags,
) -> Result<()> {
    let name = "virDomainDetachDeviceFlags";
    change(&driver, request.dom, request.xml, request.flags, name, How::Detach).await
}

async fn update_flags(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainUpdateDeviceFlags,
) -> Result<()> {
    let name = "virDomainUpdateDeviceFlags";
    let how = How::Update { force: request.flags & Flags::FORCE.bits() != 0 };
    let flags = request.flags & !Flags::FORCE.bits();
    change(&driver, request.dom, request.xml, flags, name, how).await
}

async fn change(
    driver: &QemuDriver,
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
            let snapshot = context.snapshot();
            let wanted = targets(flags, &snapshot)?;
            let hvm = snapshot.def()?.os.kind.name == "hvm";
            let device = AnyDevice::parse(&xml, ParseFlags::INACTIVE, hvm)?.value;
            if wanted.config {
                let device = device.clone();
                context.change_persistent(|def| {
                    match how {
                        How::Attach => attach_to(def, device)?,
                        How::Detach => detach_from(def, device)?,
                        How::Update { .. } => update_in(def, device)?,
                    }
                    context.machine().complete(def, Origin::User)
                })?;
            }
            if !wanted.live {
                return Ok(());
            }
            match how {
                How::Attach => hotplug::attach(&context, device).await,
                How::Detach => hotplug::detach(&context, &device).await,
                How::Update { force } => hotplug::change_medium(&context, &device, force).await,
            }
        })
        .await
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices that come, change and go, in the definition of the next start and in the machine that runs.

use std::sync::Arc;

use virtus_api::{
    DomainAttachDevice, DomainAttachDeviceFlags, DomainDetachDevice, DomainDetachDeviceFlags,
    DomainDeviceModifyFlags as Flags, DomainRef, DomainUpdateDeviceFlags, Result,
};
use virtus_core::Routes;
use virtus_xml::ParseFlags;
use virtus_xml::domain::any_device::AnyDevice;

use super::{HasMachines, by, check_flags, find, targets};
use crate::devices::{attach_to, detach_from, update_in};
use crate::hotplug::DeviceChange::{self, Attach, Detach, Update};
use crate::hotplug::Hotplug;
use crate::jobs::Job;
use crate::machine::{Machine, Origin};

const LIVE: u32 = Flags::LIVE.bits();

/// What every driver answers that can change devices of machines that run.
#[must_use]
pub fn device_routes<D: HasMachines>() -> Routes<D>
where
    D::Machine: Hotplug,
{
    Routes::new()
        .on(by(|driver, _, DomainAttachDevice { dom, xml }| {
            change::<D>(driver, "virDomainAttachDevice", Attach, dom, xml, LIVE)
        }))
        .on(by(|driver, _, DomainAttachDeviceFlags { dom, xml, flags }| {
            change::<D>(driver, "virDomainAttachDeviceFlags", Attach, dom, xml, flags)
        }))
        .on(by(|driver, _, DomainDetachDevice { dom, xml }| {
            change::<D>(driver, "virDomainDetachDevice", Detach, dom, xml, LIVE)
        }))
        .on(by(|driver, _, DomainDetachDeviceFlags { dom, xml, flags }| {
            change::<D>(driver, "virDomainDetachDeviceFlags", Detach, dom, xml, flags)
        }))
        .on(by(|driver, _, DomainUpdateDeviceFlags { dom, xml, flags }| {
            let update = Update { force: flags & Flags::FORCE.bits() != 0 };
            change::<D>(driver, "virDomainUpdateDeviceFlags", update, dom, xml, flags)
        }))
}

async fn change<D: HasMachines>(
    driver: Arc<D>,
    name: &'static str,
    change: DeviceChange,
    dom: DomainRef,
    xml: String,
    flags: u32,
) -> Result<()>
where
    D::Machine: Hotplug,
{
    let known = match change {
        Attach | Detach => Flags::LIVE | Flags::CONFIG,
        Update { .. } => D::Machine::UPDATE_FLAGS,
    };
    check_flags(flags, known.bits(), name)?;
    let (handle, _) = find(&*driver, &dom)?;
    let changed = handle.job(Job::modify(name), move |context| async move {
        let snapshot = context.snapshot();
        let wanted = targets(flags, &snapshot)?;
        let hvm = snapshot.def()?.os.kind.name == "hvm";
        let device = AnyDevice::parse(&xml, ParseFlags::INACTIVE, hvm)?.value;
        if wanted.config {
            let device = device.clone();
            context.change_persistent(|def| {
                match change {
                    Attach => attach_to(def, device)?,
                    Detach => detach_from(def, device)?,
                    Update { .. } => update_in(def, device)?,
                }
                context.machine().complete(def, Origin::User)
            })?;
        }
        if wanted.live {
            D::Machine::change_device(&context, change, device).await?;
        }
        Ok(())
    });
    changed.await
}

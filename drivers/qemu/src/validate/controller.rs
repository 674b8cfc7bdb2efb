// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Controllers of disks and USB.

use std::collections::BTreeSet;

use virtus_api::Result;
use virtus_xml::domain::address::Address;
use virtus_xml::domain::controller::{Controller, ControllerDriver, ControllerType};
use virtus_xml::domain::disk::IothreadMap;

use super::{Rules, need, unsupported};
use crate::caps::Flag;
use crate::machine::{has_builtin_esp, has_builtin_ide, is_q35};

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    for controller in &rules.domain.devices.controllers {
        tuning(controller)?;
        match controller.kind {
            ControllerType::Scsi => scsi(rules, controller)?,
            ControllerType::Ide => ide(rules, controller)?,
            ControllerType::Sata => sata(rules, controller)?,
            ControllerType::Usb => usb(rules, controller)?,
            ControllerType::Xenbus | ControllerType::Isa => {
                return Err(unsupported(format!(
                    "<controller type='{}'>: QEMU has none",
                    controller.kind
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

fn index(controller: &Controller) -> u32 {
    controller.index.unwrap_or_default()
}

fn model(controller: &Controller) -> &str {
    controller.model.as_deref().unwrap_or_default()
}

fn is_virtio_scsi(controller: &Controller) -> bool {
    controller.kind == ControllerType::Scsi
        && matches!(
            model(controller),
            "virtio-scsi" | "virtio-transitional" | "virtio-non-transitional"
        )
}

/// Settings that only virtio-scsi has.
fn tuning(controller: &Controller) -> Result<()> {
    let Some(driver) = controller.driver.as_ref().filter(|_| !is_virtio_scsi(controller)) else {
        return Ok(());
    };
    for (name, set) in [
        ("queues", driver.queues.is_some()),
        ("ioeventfd", driver.ioeventfd.is_some()),
        ("cmd_per_lun", driver.cmd_per_lun.is_some()),
        ("max_sectors", driver.max_sectors.is_some()),
        ("iothread", driver.iothread.is_some() || driver.iothreads.is_some()),
    ] {
        need(!set, || {
            format!(
                "<controller type='{}' index='{}'><driver {name}> is for model 'virtio-scsi'",
                controller.kind,
                index(controller)
            )
        })?;
    }
    Ok(())
}

fn scsi(rules: Rules<'_>, controller: &Controller) -> Result<()> {
    let model = model(controller);
    let element = format!("<controller type='scsi' model='{model}'>");
    let flag = match model {
        "lsilogic" => Some(Flag::Lsi),
        "virtio-scsi" | "virtio-transitional" | "virtio-non-transitional" => {
            Some(Flag::VirtioScsiPci)
        }
        "lsisas1068" => Some(Flag::Mptsas1068),
        "lsisas1078" => Some(Flag::Megasas),
        "vmpvscsi" => Some(Flag::Pvscsi),
        "ncr53c90" => {
            need(index(controller) == 0 && has_builtin_esp(rules.domain), || {
                format!(
                    "{element} is the first controller of boards that have it, which {} is not",
                    rules.board()
                )
            })?;
            Some(Flag::Ncr53c90)
        }
        "dc390" => Some(Flag::Dc390),
        "am53c974" => Some(Flag::Am53c974),
        "ibmvscsi" => None,
        _ => return Err(unsupported(format!("{element}: QEMU has no such model"))),
    };
    // On the channel subsystem virtio-scsi is another device.
    if let Some(flag) = flag.filter(|_| !matches!(controller.info.address, Some(Address::Ccw(_)))) {
        rules.needs(flag, &element)?;
    }
    match &controller.driver {
        Some(driver) => iothreads(rules, controller, driver),
        None => Ok(()),
    }
}

fn iothreads(rules: Rules<'_>, controller: &Controller, driver: &ControllerDriver) -> Result<()> {
    if driver.iothread.is_none() && driver.iothreads.is_none() {
        return Ok(());
    }
    let place = &controller.info.address;
    need(matches!(place, None | Some(Address::Pci(_) | Address::Ccw(_))), || {
        "<driver iothread> of virtio-scsi needs an address of type 'pci' or 'ccw'".to_owned()
    })?;
    if let Some(map) = &driver.iothreads {
        rules.needs(Flag::VirtioScsiIothreadMapping, "<iothreads> of a SCSI controller")?;
        mapping(rules, map, driver.queues)?;
    }
    defined(rules, driver.iothread)
}

/// The thread must be there.
pub(super) fn defined(rules: Rules<'_>, thread: Option<u32>) -> Result<()> {
    let known = rules.domain.iothread_ids();
    match thread.filter(|thread| *thread != 0 && known.binary_search(thread).is_err()) {
        Some(thread) => Err(unsupported(format!(
            "<driver iothread='{thread}'>: the domain has no such thread in <iothreadids>"
        ))),
        None => Ok(()),
    }
}

/// Each thread at most once; queues, where they are named, for all threads, and each queue once.
pub(super) fn mapping(rules: Rules<'_>, map: &IothreadMap, queues: Option<u32>) -> Result<()> {
    let explicit = map.iothread.first().is_some_and(|thread| !thread.queues.is_empty());
    let count = queues.unwrap_or_default();
    need(!explicit || count > 0, || {
        "<iothreads> that name queues need <driver queues='…'>".to_owned()
    })?;
    let (mut threads, mut served) = (BTreeSet::new(), BTreeSet::new());
    for thread in &map.iothread {
        defined(rules, Some(thread.id))?;
        need(threads.insert(thread.id), || {
            format!("<iothreads>: thread {} is mapped twice", thread.id)
        })?;
        need(explicit != thread.queues.is_empty(), || {
            "<iothreads>: queues must be named for all threads or for none".to_owned()
        })?;
        for queue in &thread.queues {
            need(queue.id < count, || {
                format!("<iothreads>: queue {} is beyond the {count} queues", queue.id)
            })?;
            need(served.insert(queue.id), || {
                format!("<iothreads>: queue {} is given to two threads", queue.id)
            })?;
        }
    }
    let orphan = (0..count).find(|queue| explicit && !served.contains(queue));
    need(orphan.is_none(), || {
        format!("<iothreads>: no thread serves queue {}", orphan.unwrap_or_default())
    })
}

fn ide(rules: Rules<'_>, controller: &Controller) -> Result<()> {
    let built_in = has_builtin_ide(rules.domain);
    need(built_in, || format!("<controller type='ide'>: {} has none", rules.board()))?;
    need(index(controller) == 0, || {
        format!("<controller type='ide' index='{}'>: {} has one", index(controller), rules.board())
    })
}

fn sata(rules: Rules<'_>, controller: &Controller) -> Result<()> {
    if index(controller) == 0 && is_q35(rules.domain) {
        return Ok(());
    }
    rules.needs(Flag::Ich9Ahci, "<controller type='sata'>")
}

fn usb(rules: Rules<'_>, controller: &Controller) -> Result<()> {
    let model = model(controller);
    let element = format!("<controller type='usb' model='{model}'>");
    let flag = match model {
        // Without a model the start says what is missing.
        "none" | "" => return Ok(()),
        "piix3-uhci" => Flag::Piix3UsbUhci,
        "piix4-uhci" => Flag::Piix4UsbUhci,
        "ehci" => Flag::UsbEhci,
        "ich9-ehci1" | "ich9-uhci1" | "ich9-uhci2" | "ich9-uhci3" => Flag::Ich9UsbEhci1,
        "vt82c686b-uhci" => Flag::Vt82c686bUsbUhci,
        "pci-ohci" => Flag::PciOhci,
        "nec-xhci" => Flag::NecUsbXhci,
        "qemu-xhci" => Flag::QemuXhci,
        _ => return Err(unsupported(format!("{element}: QEMU has no such model"))),
    };
    rules.needs(flag, &element)?;
    need(controller.ports.is_none() || matches!(model, "nec-xhci" | "qemu-xhci"), || {
        format!("{element}: 'ports' can be set for nec-xhci and qemu-xhci")
    })
}

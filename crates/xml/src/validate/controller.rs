// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Controllers: their numbers, and the targets of PCI controllers.

use std::collections::HashSet;

use virtus_api::Result;

use super::need;
use crate::domain::Domain;
use crate::domain::controller::{Controller, ControllerType};
use crate::settle::xml_error;

pub(super) fn validate(domain: &Domain) -> Result<()> {
    let mut seen = HashSet::new();
    for controller in &domain.devices.controllers {
        let index = controller.index.unwrap_or_default();
        if controller.kind != ControllerType::Usb && !seen.insert((controller.kind, index)) {
            return Err(xml_error(format!(
                "Multiple '{}' controllers with index '{index}'",
                controller.kind
            )));
        }
        if controller.kind == ControllerType::Pci {
            pci(domain, controller)?;
        }
        model(controller)?;
        threads(controller)?;
    }
    let no_usb = domain
        .devices
        .controllers
        .iter()
        .any(|c| c.kind == ControllerType::Usb && c.model.as_deref() == Some("none"));
    if no_usb {
        let devices = &domain.devices;
        for (what, there) in
            [("hub", !devices.hubs.is_empty()), ("redirdev", !devices.redirdevs.is_empty())]
        {
            need(!there, || format!("Can't add USB {what}: USB is disabled for this domain"))?;
        }
    }
    Ok(())
}

/// Kinds of controllers of which there is one model, or a few.
fn model(controller: &Controller) -> Result<()> {
    use ControllerType as T;
    let known: &[&str] = match controller.kind {
        T::Ide => &["piix3", "piix4", "ich6"],
        T::VirtioSerial => &["virtio", "virtio-transitional", "virtio-non-transitional"],
        T::Sata | T::Fdc | T::Ccid | T::Xenbus | T::Isa => &[],
        _ => return Ok(()),
    };
    let model = controller.model.as_deref();
    need(model.is_none_or(|model| known.contains(&model)), || {
        format!("Unknown model type '{}'", model.unwrap_or_default())
    })
}

/// The numbers that only a virtio SCSI controller has.
fn threads(controller: &Controller) -> Result<()> {
    let Some(driver) = &controller.driver else { return Ok(()) };
    let stated = driver.iothread.is_some() || driver.iothreads.is_some();
    if stated && controller.kind != ControllerType::Scsi {
        return Err(xml_error("'iothread' attribute only supported for virtio scsi controllers"));
    }
    if driver.iothread.is_some() && driver.iothreads.is_some() {
        return Err(xml_error(
            "<driver> of a controller has 'iothread' and <iothreads>: only one of them can be",
        ));
    }
    Ok(())
}

fn pci(domain: &Domain, controller: &Controller) -> Result<()> {
    let index = controller.index.unwrap_or_default();
    let model = controller.model.as_deref().unwrap_or_default();
    let element = format!("<controller type='pci' index='{index}' model='{model}'>");
    let target = controller.target.as_ref();
    if matches!(model, "pci-root" | "pcie-root") {
        let bridge = domain.os.kind.arch.as_deref().is_some_and(|arch| arch.starts_with("ppc64"));
        if index != 0 && target.is_none_or(|target| target.index.is_none()) && !bridge {
            return Err(xml_error("pci-root and pcie-root controllers should have index 0"));
        }
        need(controller.info.address.is_none(), || {
            format!("{element} is the root and has no <address>")
        })?;
    }
    need(index <= 255, || format!("{element}: 'index' can be at most 255"))?;
    let Some(target) = target else { return Ok(()) };
    let port = target.port.map(|port| u32::try_from(port.0).unwrap_or(u32::MAX));
    for (name, value, allowed) in [
        ("index", target.index, 0..=30),
        ("chassisNr", target.chassis_nr, 1..=255),
        ("chassis", target.chassis, 0..=255),
        ("port", port, 0..=255),
        ("busNr", target.bus_nr, 1..=254),
    ] {
        let Some(value) = value else { continue };
        need(allowed.contains(&value), || {
            format!(
                "{element}<target {name}='{value}'>: allowed are {} to {}",
                allowed.start(),
                allowed.end()
            )
        })?;
    }
    if let Some(number) = target.index {
        need((number == 0) == (index == 0), || {
            format!(
                "{element}<target index='{number}'>: index 0 and target index 0 belong together"
            )
        })?;
    }
    let Some(node) = target.node else { return Ok(()) };
    need(index != 0, || format!("{element}<target><node>: the first one belongs to all nodes"))?;
    let cells = domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()).map_or(0, |n| n.cells.len());
    if node as usize >= cells {
        return Err(xml_error(format!(
            "{element}<target><node> is {node}, but the guest has {cells} NUMA nodes"
        )));
    }
    Ok(())
}

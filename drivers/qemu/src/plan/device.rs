// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What all devices share: the alias, the place in the guest, the option ROM, virtio's options and its names.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::address::{Address, PciAddress};
use virtus_xml::domain::controller::{Controller, ControllerType};
use virtus_xml::domain::device::{Device, VirtioOptions};
use virtus_xml::domain::disk::VirtioModel;

use super::argv::Props;
use super::storage::unsupported;
use crate::machine::{has_many_pci_buses, is_s390};

/// The alias, which `live` has given to every device.
pub(crate) fn alias(info: &Device) -> Result<&str> {
    info.alias.as_deref().ok_or_else(|| {
        Error::new(
            ErrorCode::InternalError,
            "a device has no alias; the definition was not made live",
        )
    })
}

/// What the firmware of s390x reads beside the boot index; other machines have nobody who would.
pub(crate) fn loadparm(domain: &Domain, info: &Device) -> Option<String> {
    let boot = info.boot.as_ref().filter(|_| is_s390(domain))?;
    boot.loadparm.clone()
}

/// The members that say where the guest finds the device.
pub(crate) fn place(domain: &Domain, info: &Device) -> Result<Props> {
    let mut props = Props::new();
    match &info.address {
        Some(Address::Pci(pci)) => {
            props.set("bus", pci_bus(domain, pci)?);
            if let Some(multifunction) = pci.multifunction {
                props.set("multifunction", multifunction.is_on());
            }
            props.set("addr", pci_slot(pci));
        }
        Some(Address::Usb { bus, port }) => {
            let controller = find(domain, ControllerType::Usb, *bus)?;
            props.set("bus", format!("{}.0", alias(&controller.info)?));
            if !port.0.is_empty() {
                let path: Vec<String> = port.0.iter().map(u32::to_string).collect();
                props.set("port", path.join("."));
            }
        }
        Some(Address::SpaprVio { reg: Some(reg) }) => props.set("reg", reg.0),
        Some(Address::Ccw(ccw)) => {
            if let (Some(cssid), Some(ssid), Some(devno)) = (ccw.cssid, ccw.ssid, ccw.devno) {
                props.set("devno", format!("{:x}.{:x}.{:04x}", cssid.0, ssid.0, devno.0));
            }
        }
        Some(Address::Isa { iobase, irq }) => {
            if let Some(iobase) = iobase {
                props.set("iobase", iobase.0);
            }
            if let Some(irq) = irq {
                props.set("irq", irq.0);
            }
        }
        Some(Address::Dimm { slot, base }) => {
            if let Some(slot) = slot {
                props.set("slot", *slot);
            }
            if let Some(base) = base {
                props.set("addr", base.0);
            }
        }
        _ => {}
    }
    if let Some(acpi) = &info.acpi
        && acpi.index != 0
    {
        props.set("acpi-index", acpi.index);
    }
    Ok(props)
}

/// The device that gives a PCI device of s390x its identifiers; `id` is the PCI device's. Memory has none: QEMU
/// makes up its identifiers.
pub(crate) fn zpci(domain: &Domain, id: &str) -> Option<Props> {
    let named = |info: &&Device| info.alias.as_deref() == Some(id);
    if domain.devices.memories.iter().map(|memory| &memory.info).any(|info| named(&info)) {
        return None;
    }
    let info = domain.devices.infos().find(named)?;
    let zpci = info.address.as_ref()?.as_pci()?.zpci?;
    let (uid, fid) = (zpci.uid?.0, zpci.fid?.0);
    Some(
        Props::device("zpci")
            .with("uid", uid)
            .with("fid", fid)
            .with("target", id)
            .with("id", format!("zpci{uid}")),
    )
}

/// `0x1` or `0x1.0x2`.
fn pci_slot(pci: &PciAddress) -> String {
    match pci.function.0 {
        0 => format!("0x{:x}", pci.slot.0),
        function => format!("0x{:x}.0x{function:x}", pci.slot.0),
    }
}

/// The name of the bus behind the controller that an address names.
fn pci_bus(domain: &Domain, pci: &PciAddress) -> Result<String> {
    let index = u32::try_from(pci.bus.0).unwrap_or(u32::MAX);
    let controller = find(domain, ControllerType::Pci, index)?;
    // The root is part of the machine and keeps its name.
    let name = match controller.model.as_deref() {
        Some("pci-root") if index == 0 && !has_many_pci_buses(domain) => "pci",
        Some("pci-root") if index == 0 => "pci.0",
        Some("pcie-root") => "pcie.0",
        _ => alias(&controller.info)?,
    };
    // A host bridge of pSeries carries its bus below it; the first one is built in.
    let phb = controller.model.as_deref() == Some("pci-root") && index != 0;
    Ok(if phb { format!("{name}.0") } else { name.to_owned() })
}

/// The controller of a kind with this index; of a set of USB controllers the master, which stands first.
pub(crate) fn find(domain: &Domain, kind: ControllerType, index: u32) -> Result<&Controller> {
    domain
        .devices
        .controllers
        .iter()
        .find(|controller| controller.kind == kind && controller.index.unwrap_or(0) == index)
        .ok_or_else(|| {
            Error::new(
                ErrorCode::ConfigUnsupported,
                format!("a device is attached to {kind} controller {index}, which is not defined"),
            )
        })
}

/// The members for the option ROM.
pub(crate) fn rom(info: &Device) -> Props {
    let mut props = Props::new();
    let Some(rom) = &info.rom else { return props };
    if rom.enabled.is_some_and(|enabled| !enabled.is_yes()) {
        props.set("romfile", "");
        return props;
    }
    if let Some(bar) = rom.bar {
        props.set("rombar", u8::from(bar.is_on()));
    }
    if let Some(file) = &rom.file {
        props.set("romfile", file.clone());
    }
    props
}

/// A virtio device: its driver's name for the bus that it is on, and the transport's options.
pub(crate) fn virtio(
    base: &str,
    info: &Device,
    model: Option<VirtioModel>,
    options: Option<&VirtioOptions>,
) -> Result<Props> {
    let bus = match &info.address {
        Some(Address::Pci(_)) => "pci",
        Some(Address::Ccw(_)) => "ccw",
        Some(Address::VirtioMmio) => "device",
        Some(other) => {
            return Err(unsupported(format!("{base} at an address of type '{}'", other.kind())));
        }
        None => return Err(unsupported(format!("{base} without an address"))),
    };
    let generation = match model {
        Some(VirtioModel::Transitional) if bus == "pci" => "-transitional",
        Some(VirtioModel::NonTransitional) if bus == "pci" => "-non-transitional",
        _ => "",
    };
    let mut props = Props::device(&format!("{base}-{bus}{generation}"));
    if let Some(options) = options {
        props.extend(virtio_options(options));
    }
    Ok(props)
}

/// The transport's options.
pub(crate) fn virtio_options(options: &VirtioOptions) -> Props {
    Props::new()
        .maybe("iommu_platform", options.iommu.map(|on| on.is_on()))
        .maybe("ats", options.ats.map(|on| on.is_on()))
        .maybe("packed", options.packed.map(|on| on.is_on()))
        .maybe("page-per-vq", options.page_per_vq.map(|on| on.is_on()))
}

/// The generation of a virtio device whose XML spells it in `model='…'`.
pub(crate) fn virtio_model(word: Option<&str>) -> Option<VirtioModel> {
    match word? {
        "virtio-transitional" => Some(VirtioModel::Transitional),
        "virtio-non-transitional" => Some(VirtioModel::NonTransitional),
        _ => None,
    }
}

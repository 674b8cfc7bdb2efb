// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<controller>` and `<hub>`: the buses that are not part of the machine.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::domain::controller::{Controller, ControllerDriver, ControllerType, PciTarget};
use virtus_xml::domain::disk::DiskBus;

use super::argv::Props;
use super::device::{alias, find, place, virtio, virtio_model};
use super::disk::iothread_map;
use super::line::Line;
use super::storage::unsupported;
use crate::machine::{has_builtin_ide, is_q35};

/// The kinds of controllers, in the order in which QEMU gets them.
const ORDER: [ControllerType; 6] = [
    ControllerType::Pci,
    ControllerType::Usb,
    ControllerType::Scsi,
    ControllerType::Ide,
    ControllerType::Sata,
    ControllerType::VirtioSerial,
];

/// Writes all controllers.
pub(crate) fn write(line: &mut Line<'_>) -> Result<()> {
    holes(line);
    for kind in ORDER {
        of_kind(line, kind)?;
    }
    floppy(line);
    Ok(())
}

/// Writes readers of smartcards, which may stand behind a hub.
pub(crate) fn card_readers(line: &mut Line<'_>) -> Result<()> {
    of_kind(line, ControllerType::Ccid)
}

fn of_kind(line: &mut Line<'_>, kind: ControllerType) -> Result<()> {
    for controller in line.domain.devices.controllers.iter().filter(|c| c.kind == kind) {
        if controller.model.as_deref() == Some("pci-root")
            && controller.index == Some(0)
            && let Some(hotplug) = controller.target.as_ref().and_then(|target| target.hotplug)
        {
            line.argv.pair("-global", format!("PIIX4_PM.acpi-root-pci-hotplug={hotplug}"));
        }
        if let Some(props) = device(line, controller)? {
            line.device(props);
        }
    }
    Ok(())
}

/// Writes hubs.
pub(crate) fn hubs(line: &mut Line<'_>) -> Result<()> {
    for hub in &line.domain.devices.hubs {
        let mut props = Props::device("usb-hub").with("id", alias(&hub.info)?.to_owned());
        props.extend(place(line.domain, &hub.info)?);
        line.device(props);
    }
    Ok(())
}

/// The size of the hole for 64-bit addresses below the root.
fn holes(line: &mut Line<'_>) {
    let bridge = if is_q35(line.domain) { "q35-pcihost" } else { "i440FX-pcihost" };
    let sizes: Vec<u64> = line
        .domain
        .devices
        .controllers
        .iter()
        .filter(|controller| matches!(controller.model.as_deref(), Some("pci-root" | "pcie-root")))
        .filter_map(|controller| controller.pcihole64.as_ref().map(|size| size.0))
        .collect();
    for size in sizes {
        line.argv.pair("-global", format!("{bridge}.pci-hole64-size={size}K"));
    }
}

/// The floppy controller: on older machines it is there and learns what boots; on newer ones it is a device.
fn floppy(line: &mut Line<'_>) {
    if !line.domain.devices.disks.iter().any(|disk| disk.target.bus == Some(DiskBus::Fdc)) {
        return;
    }
    let letter = |unit: u32| if unit == 0 { "A" } else { "B" };
    let boots = line.boot.floppies(line.domain);
    if needs_floppy_device(line) {
        let mut props = Props::device("isa-fdc");
        for (unit, index) in boots {
            props.set(&format!("bootindex{}", letter(unit)), index);
        }
        line.device(props);
        return;
    }
    for (unit, index) in boots {
        line.argv.pair("-global", format!("isa-fdc.bootindex{}={index}", letter(unit)));
    }
}

fn needs_floppy_device(line: &Line<'_>) -> bool {
    let machine = crate::machine::machine(line.domain);
    is_q35(line.domain)
        && !["pc-q35-1.", "pc-q35-2.0", "pc-q35-2.1", "pc-q35-2.2", "pc-q35-2.3"]
            .iter()
            .any(|old| machine == *old || (old.ends_with('.') && machine.starts_with(old)))
}

/// The device; `None` for what is part of the machine.
pub(crate) fn device(line: &Line<'_>, controller: &Controller) -> Result<Option<Props>> {
    let index = controller.index.unwrap_or(0);
    let model = controller.model.as_deref();
    let driver = controller.driver.as_ref();
    let mut props = match controller.kind {
        ControllerType::Pci => match pci(controller)? {
            Some(props) => props,
            None => return Ok(None),
        },
        ControllerType::Usb => match usb(line, controller)? {
            Some(props) => props,
            None => return Ok(None),
        },
        ControllerType::Scsi => match scsi(controller)? {
            Some(props) => props,
            None => return Ok(None),
        },
        ControllerType::VirtioSerial => {
            let mut props = virtio(
                "virtio-serial",
                &controller.info,
                virtio_model(model),
                driver.map(|driver| &driver.virtio),
            )?
            .with("id", alias(&controller.info)?.to_owned());
            props = props.maybe("max_ports", controller.ports).maybe("vectors", controller.vectors);
            props
        }
        ControllerType::Ccid => {
            Props::device("usb-ccid").with("id", alias(&controller.info)?.to_owned())
        }
        ControllerType::Sata if index == 0 && is_q35(line.domain) => return Ok(None),
        ControllerType::Sata => {
            Props::device("ahci").with("id", alias(&controller.info)?.to_owned())
        }
        ControllerType::Ide if index == 0 && has_builtin_ide(line.domain) => return Ok(None),
        ControllerType::Ide => return Err(unsupported("a second IDE controller")),
        ControllerType::Fdc | ControllerType::Isa => return Ok(None),
        ControllerType::Xenbus => return Err(unsupported("controller type 'xenbus'")),
    };
    if let Some(driver) = driver {
        props.extend(queues(driver));
    }
    props.extend(place(line.domain, &controller.info)?);
    Ok(Some(props))
}

fn queues(driver: &ControllerDriver) -> Props {
    Props::new()
        .maybe("num_queues", driver.queues)
        .maybe("cmd_per_lun", driver.cmd_per_lun)
        .maybe("max_sectors", driver.max_sectors)
        .maybe("ioeventfd", driver.ioeventfd.map(|on| on.is_on()))
        .maybe("iothread-vq-mapping", driver.iothreads.as_ref().map(iothread_map))
}

fn scsi(controller: &Controller) -> Result<Option<Props>> {
    let id = alias(&controller.info)?.to_owned();
    let model = controller.model.as_deref();
    let name = match model {
        Some("virtio-scsi" | "virtio-transitional" | "virtio-non-transitional") => {
            let driver = controller.driver.as_ref();
            let props = virtio(
                "virtio-scsi",
                &controller.info,
                virtio_model(model),
                driver.map(|driver| &driver.virtio),
            )?;
            let thread = driver.and_then(|driver| driver.iothread);
            return Ok(Some(
                props.maybe("iothread", thread.map(|id| format!("iothread{id}"))).with("id", id),
            ));
        }
        Some("lsilogic") => "lsi",
        Some("ibmvscsi") => "spapr-vscsi",
        Some("lsisas1068") => "mptsas1068",
        Some("lsisas1078") => "megasas",
        Some("vmpvscsi") => "pvscsi",
        Some("dc390") => "dc-390",
        Some("am53c974") => "am53c974",
        Some("ncr53c90") => return Ok(None),
        other => {
            return Err(unsupported(format!(
                "SCSI controller model '{}'",
                other.unwrap_or("default")
            )));
        }
    };
    Ok(Some(Props::device(name).with("id", id)))
}

fn no_model(controller: &Controller) -> Error {
    let index = controller.index.unwrap_or(0);
    Error::new(
        ErrorCode::ConfigUnsupported,
        format!("USB controller {index} has no model, and this QEMU none that the machine knows"),
    )
    .hint("set <controller type='usb' model='…'>, or model='none' for a guest without USB")
}

fn usb(line: &Line<'_>, controller: &Controller) -> Result<Option<Props>> {
    let driver = match controller.model.as_deref() {
        Some("none") => return Ok(None),
        Some("piix3-uhci") => "piix3-usb-uhci",
        None => return Err(no_model(controller)),
        Some("piix4-uhci") => "piix4-usb-uhci",
        Some("ehci") => "usb-ehci",
        Some("ich9-ehci1") => "ich9-usb-ehci1",
        Some("ich9-uhci1") => "ich9-usb-uhci1",
        Some("ich9-uhci2") => "ich9-usb-uhci2",
        Some("ich9-uhci3") => "ich9-usb-uhci3",
        Some("vt82c686b-uhci") => "vt82c686b-usb-uhci",
        Some("pci-ohci") => "pci-ohci",
        Some("nec-xhci") => "nec-usb-xhci",
        Some("qemu-xhci") => "qemu-xhci",
        Some(other) => return Err(unsupported(format!("USB controller model '{other}'"))),
    };
    let mut props =
        Props::device(driver).maybe("p2", controller.ports).maybe("p3", controller.ports);
    match &controller.info.master {
        Some(companion) => {
            let index = controller.index.unwrap_or(0);
            let master = find(line.domain, ControllerType::Usb, index)?;
            props.set("masterbus", format!("{}.0", alias(&master.info)?));
            props.set("firstport", companion.startport);
        }
        None => props.set("id", alias(&controller.info)?.to_owned()),
    }
    Ok(Some(props))
}

fn pci(controller: &Controller) -> Result<Option<Props>> {
    let index = controller.index.unwrap_or(0);
    let model = controller.model.as_deref().unwrap_or_default();
    if model == "pcie-root" || (model == "pci-root" && index == 0) {
        return Ok(None);
    }
    let name = controller.pci_model.as_ref().map(|model| model.name.as_str());
    let name = name.ok_or_else(|| unsupported(format!("PCI controller model '{model}'")))?;
    let none = PciTarget::default();
    let target = controller.target.as_ref().unwrap_or(&none);
    let id = alias(&controller.info)?.to_owned();
    let hotplug = target.hotplug.map(|on| on.is_on());
    Ok(Some(match model {
        "pci-bridge" => Props::device(name)
            .maybe("chassis_nr", target.chassis_nr)
            .maybe("shpc", hotplug)
            .maybe("mem-reserve", target.mem_reserve.map(|kib| kib << 10))
            .with("id", id),
        "pci-expander-bus" | "pcie-expander-bus" => Props::device(name)
            .maybe("bus_nr", target.bus_nr)
            .with("id", id)
            .maybe("numa_node", target.node),
        "pcie-root-port" | "pcie-switch-downstream-port" => Props::device(name)
            .maybe("port", target.port.map(|port| port.0))
            .maybe("chassis", target.chassis)
            .maybe("mem-reserve", target.mem_reserve.map(|kib| kib << 10))
            .with("id", id)
            .maybe("hotplug", hotplug),
        "pci-root" => Props::device(name)
            .maybe("index", target.index)
            .with("id", id)
            .maybe("numa_node", target.node),
        _ => Props::device(name).with("id", id),
    }))
}

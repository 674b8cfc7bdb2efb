// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Addresses, and what depends on the kind of address.

use virtus_api::Result;
use virtus_xml::domain::address::{Address, DriveAddress};
use virtus_xml::domain::controller::ControllerType;
use virtus_xml::domain::device::Device;
use virtus_xml::domain::disk::DiskBus;
use virtus_xml::domain::hostdev::HostdevType;

use super::{Rules, need, unsupported};
use crate::caps::Flag;
use crate::machine::{is_s390_ccw, machine};

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    let devices = &rules.domain.devices;
    devices.infos().try_for_each(|info| common(rules, info))?;
    for disk in &devices.disks {
        if let (Some(Address::Drive(at)), Some(bus)) = (&disk.info.address, disk.target.bus) {
            drive(rules, at, bus, &format!("disk '{}'", disk.target.dev))?;
        }
    }
    for hostdev in devices.hostdevs.iter().filter(|one| one.kind == HostdevType::Scsi) {
        if let Some(Address::Drive(at)) = &hostdev.info.address {
            drive(rules, at, DiskBus::Scsi, "a SCSI device of the host")?;
        }
    }
    Ok(())
}

fn common(rules: Rules<'_>, info: &Device) -> Result<()> {
    match &info.address {
        Some(Address::Pci(pci)) if pci.zpci.is_some() => {
            rules.needs(Flag::Zpci, "<address type='pci'> with <zpci>")?;
        }
        Some(Address::Ccw(_)) => need(is_s390_ccw(rules.domain), || {
            format!(
                "<address type='ccw'> is for s390-ccw machines, not '{}'",
                machine(rules.domain)
            )
        })?,
        _ => {}
    }
    let pci = matches!(info.address, None | Some(Address::Pci(_)));
    if let Some(acpi) = info.acpi.as_ref().filter(|acpi| acpi.index != 0) {
        rules.needs(Flag::AcpiIndex, "<acpi index>")?;
        need(pci, || format!("<acpi index='{}'> is for devices on a PCI bus", acpi.index))?;
    }
    let tuned = info.rom.is_some() && !matches!(info.address, Some(Address::Unassigned));
    need(!tuned || pci, || "<rom> is for devices on a PCI bus".to_owned())
}

fn drive(rules: Rules<'_>, at: &DriveAddress, bus: DiskBus, device: &str) -> Result<()> {
    let must = |name: &str, value: u32| {
        need(value == 0, || {
            format!(
                "{device}: <address {name}='{value}'> must be 0 on a controller of type '{bus}'"
            )
        })
    };
    let only = |name: &str, value: u32| {
        if value == 0 {
            return Ok(());
        }
        Err(unsupported(format!("{device}: <address {name}='{value}'>: type '{bus}' has only 0")))
    };
    match bus {
        DiskBus::Scsi => {
            only("bus", at.bus)?;
            let model = rules
                .domain
                .devices
                .controllers
                .iter()
                .find(|c| c.kind == ControllerType::Scsi && c.index == Some(at.controller))
                .and_then(|controller| controller.model.as_deref());
            match model {
                Some("lsilogic") => must("target", at.target),
                Some(_) if !rules.has(Flag::ScsiDiskChannel) => need(at.target <= 7, || {
                    format!("{device}: <address target='{}'> can be 7 at most", at.target)
                }),
                _ => Ok(()),
            }
        }
        DiskBus::Ide => {
            only("controller", at.controller)?;
            must("target", at.target)
        }
        DiskBus::Fdc => {
            only("controller", at.controller)?;
            only("bus", at.bus)?;
            must("target", at.target)
        }
        DiskBus::Sata => {
            must("bus", at.bus)?;
            must("target", at.target)
        }
        _ => Ok(()),
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All devices but disks.

use std::collections::HashSet;

use virtus_api::Result;

use super::must;
use crate::domain::Domain;
use crate::domain::address::Address;
use crate::domain::controller::ControllerType;
use crate::domain::device::{Boot, Device};
use crate::domain::disk::Disk;
use crate::domain::hostdev::{HostAddress, Hostdev, HostdevType};
use crate::domain::misc::{IommuDriver, IommuModel, Shmem};
use crate::domain::seclabel::DeviceSeclabel;
use crate::settle::{unsupported, xml_error};
use crate::value::OnOff;

pub(super) fn validate(domain: &Domain) -> Result<()> {
    controllers(domain)?;
    hostdevs(domain)?;
    for disk in &domain.devices.disks {
        seclabels(disk)?;
    }
    for interface in &domain.devices.interfaces {
        for (name, size) in interface
            .driver
            .iter()
            .flat_map(|d| [("rx_queue_size", d.rx_queue_size), ("tx_queue_size", d.tx_queue_size)])
        {
            if size.is_some_and(|size| !size.is_power_of_two()) {
                return Err(unsupported(format!("{name} has to be a power of two")));
            }
        }
    }
    for shmem in &domain.devices.shmems {
        shared_memory(shmem)?;
    }
    if let Some(iommu) = &domain.devices.iommu {
        let attributes =
            iommu.driver.as_ref().is_some_and(|driver| *driver != IommuDriver::default());
        if iommu.model == IommuModel::Virtio && attributes {
            return Err(xml_error("iommu model 'virtio' doesn't support additional attributes"));
        }
    }
    let (mut aliases, mut turns) = (HashSet::new(), HashSet::new());
    for info in domain.devices.infos() {
        common(info)?;
        if let Some(alias) = &info.alias {
            must(aliases.insert(alias), || {
                unsupported(format!("non unique alias detected: {alias}"))
            })?;
        }
        let Some(boot) = &info.boot else { continue };
        must(boot.order != 0, || {
            xml_error(
                "Invalid value for attribute 'order' in element 'boot': Zero is not permitted",
            )
        })?;
        must(turns.insert(boot.order), || {
            unsupported(format!("boot order '{}' used for more than one device", boot.order))
        })?;
    }
    Ok(())
}

fn controllers(domain: &Domain) -> Result<()> {
    let mut seen = HashSet::new();
    for controller in &domain.devices.controllers {
        let index = controller.index.unwrap_or_default();
        let model = controller.model.as_deref().unwrap_or_default();
        if controller.kind == ControllerType::Pci
            && matches!(model, "pci-root" | "pcie-root")
            && index != 0
            && controller.target.as_ref().is_none_or(|target| target.index.is_none())
            && !domain.os.kind.arch.as_deref().is_some_and(|arch| arch.starts_with("ppc64"))
        {
            return Err(xml_error("pci-root and pcie-root controllers should have index 0"));
        }
        if controller.kind != ControllerType::Usb && !seen.insert((controller.kind, index)) {
            return Err(xml_error(format!(
                "Multiple '{}' controllers with index '{index}'",
                controller.kind
            )));
        }
        let threads = controller
            .driver
            .as_ref()
            .is_some_and(|d| d.iothread.is_some() || d.iothreads.is_some());
        if threads && controller.kind != ControllerType::Scsi {
            return Err(xml_error(
                "'iothread' attribute only supported for virtio scsi controllers",
            ));
        }
    }
    let no_usb = domain
        .devices
        .controllers
        .iter()
        .any(|c| c.kind == ControllerType::Usb && c.model.as_deref() == Some("none"));
    if no_usb && !domain.devices.hubs.is_empty() {
        return Err(unsupported("Can't add USB hub: USB is disabled for this domain"));
    }
    Ok(())
}

fn hostdevs(domain: &Domain) -> Result<()> {
    let hostdevs = &domain.devices.hostdevs;
    let (mut seen, mut places) = (HashSet::new(), HashSet::new());
    for hostdev in hostdevs {
        if hostdev.kind == HostdevType::Mdev
            && !matches!(
                hostdev.source.as_ref().and_then(|s| s.address.as_ref()),
                Some(HostAddress::Mdev(_))
            )
        {
            return Err(unsupported("Missing 'uuid' attribute for element <address>"));
        }
        if let Some(identity) = identity(hostdev)
            && !seen.insert(identity)
        {
            return Err(xml_error("Hostdev already exists in the domain configuration"));
        }
        let Some(Address::Drive(at)) = &hostdev.info.address else { continue };
        if hostdev.kind == HostdevType::Scsi
            && !places.insert((at.controller, at.bus, at.target, at.unit))
        {
            return Err(unsupported(format!(
                "SCSI host address controller='{}' bus='{}' target='{}' unit='{}' in use by another SCSI host device",
                at.controller, at.bus, at.target, at.unit
            )));
        }
    }
    if hostdevs.iter().filter(|hostdev| hostdev.ramfb == Some(OnOff::On)).count() > 1 {
        return Err(unsupported("Only one vgpu device can have 'ramfb' enabled"));
    }
    Ok(())
}

/// What names the device of the host; the same for two elements that mean the same device.
fn identity(hostdev: &Hostdev) -> Option<String> {
    let source = hostdev.source.as_ref()?;
    let named = source.address.is_some() || source.name.is_some() || source.wwpn.is_some();
    (named || source.vendor.is_some()).then(|| {
        let place = (&source.address, &source.adapter, &source.name, &source.wwpn);
        format!("{:?}", (hostdev.kind, hostdev.mode, place, &source.vendor, &source.product))
    })
}

fn seclabels(disk: &Disk) -> Result<()> {
    let labels: &[DeviceSeclabel] = disk.source.as_ref().map_or(&[], |source| &source.seclabels);
    if labels.len() > 1 && labels.iter().any(|label| label.model.is_none()) {
        return Err(xml_error("missing security model when using multiple labels"));
    }
    let mut models = HashSet::new();
    if labels.iter().any(|label| !models.insert(&label.model)) {
        return Err(xml_error("seclabel for model is already provided"));
    }
    Ok(())
}

fn shared_memory(shmem: &Shmem) -> Result<()> {
    if let Some(size) = &shmem.size
        && (size.bytes < 1 << 20 || !size.bytes.is_power_of_two())
    {
        return Err(xml_error("shmem size must be a power of 2 and at least 1 MiB (1024 KiB)"));
    }
    if shmem.msi.is_some() && shmem.server.is_none() {
        return Err(xml_error("msi option is only supported with a server"));
    }
    Ok(())
}

/// What every device may have.
fn common(info: &Device) -> Result<()> {
    if let Some(loadparm) = info.boot.as_ref().and_then(|boot: &Boot| boot.loadparm.as_deref()) {
        if loadparm.is_empty() || loadparm.len() > 8 {
            return Err(xml_error(format!(
                "loadparm value '{loadparm}' must be between 1 and 8 characters"
            )));
        }
        if !loadparm.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b' ')) {
            return Err(xml_error(format!(
                "invalid loadparm value '{loadparm}', expecting chars in set of [a-zA-Z0-9.] and blank spaces"
            )));
        }
    }
    match &info.address {
        Some(Address::Pci(pci)) => {
            let uid = pci.zpci.and_then(|zpci| zpci.uid);
            if let Some(uid) = uid.filter(|uid| uid.0 == 0 || uid.0 > 0xffff) {
                return Err(xml_error(format!(
                    "Invalid PCI address uid='0x{:04x}', must be > 0x0000 and <= 0xffff",
                    uid.0
                )));
            }
        }
        Some(Address::SpaprVio { reg: Some(reg) }) if reg.0 > 0xffff_ffff => {
            return Err(unsupported(format!(
                "spapr-vio reg='0x{:x}' exceeds maximum possible value (0xffffffff)",
                reg.0
            )));
        }
        _ => {}
    }
    Ok(())
}

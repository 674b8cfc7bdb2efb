// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All devices but disks.

use std::collections::HashSet;

use virtus_api::Result;

use super::{interface, must, need};
use crate::domain::Domain;
use crate::domain::address::Address;
use crate::domain::device::{Boot, Device};
use crate::domain::disk::Disk;
use crate::domain::filesystem::FilesystemDriverType;
use crate::domain::hostdev::{HostAddress, Hostdev, HostdevMode, HostdevType};
use crate::domain::interface::TeamingType;
use crate::domain::misc::{IommuDriver, IommuModel, Shmem};
use crate::domain::seclabel::DeviceSeclabel;
use crate::domain::tpm::{TpmBackendType, TpmSourceType, TpmVersion};
use crate::settle::{unsupported, xml_error};
use crate::value::{OnOff, YesNo};

pub(super) fn validate(domain: &Domain) -> Result<()> {
    hostdevs(domain)?;
    for disk in &domain.devices.disks {
        seclabels(disk)?;
    }
    filesystems(domain)?;
    small(domain)?;
    for shmem in &domain.devices.shmems {
        shared_memory(shmem)?;
    }
    if let Some(iommu) = &domain.devices.iommu {
        let attributes =
            iommu.driver.as_ref().is_some_and(|driver| *driver != IommuDriver::default());
        if iommu.model != IommuModel::Intel && attributes {
            return Err(xml_error(format!(
                "iommu model '{}' doesn't support additional attributes",
                iommu.model
            )));
        }
        if iommu.model != IommuModel::Virtio && iommu.info.address.is_some() {
            return Err(xml_error(format!("iommu model '{}' can't have an address", iommu.model)));
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
        whole(hostdev)?;
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

/// A device of the host goes onto a bus of its own kind.
fn whole(hostdev: &Hostdev) -> Result<()> {
    let kind = hostdev.kind;
    if hostdev.mode != HostdevMode::Subsystem {
        return Ok(());
    }
    let (fits, allowed) = match (kind, &hostdev.info.address) {
        (_, None) => (true, ""),
        (HostdevType::Pci, Some(place)) => {
            (matches!(place, Address::Pci(_) | Address::Unassigned), "pci and unassigned")
        }
        (HostdevType::Scsi, Some(place)) => (matches!(place, Address::Drive(_)), "drive"),
        (HostdevType::ScsiHost, Some(place)) => {
            (matches!(place, Address::Pci(_) | Address::Ccw(_)), "pci and ccw")
        }
        (HostdevType::Usb, Some(place)) => (matches!(place, Address::Usb { .. }), "usb"),
        _ => (true, ""),
    };
    need(fits, || {
        let stated = hostdev.info.address.as_ref().map_or("none", |place| place.kind().as_str());
        format!("<hostdev type='{kind}'><address type='{stated}'>: allowed are {allowed}")
    })?;
    let Some(team) = &hostdev.teaming else { return Ok(()) };
    interface::teaming(team)?;
    need(kind == HostdevType::Pci && team.kind == TeamingType::Transient, || {
        format!(
            "<hostdev type='{kind}'><teaming type='{}'>: allowed is transient on type pci",
            team.kind
        )
    })
}

fn filesystems(domain: &Domain) -> Result<()> {
    let mut tags = HashSet::new();
    for fs in &domain.devices.filesystems {
        let driver = fs.driver.as_ref().and_then(|driver| driver.kind);
        let virtiofs = driver == Some(FilesystemDriverType::Virtiofs);
        need(virtiofs || fs.info.boot.is_none(), || {
            "<filesystem><boot order> needs <driver type='virtiofs'>".to_owned()
        })?;
        let tag = fs.target.as_ref().map(|target| &target.dir);
        need(!virtiofs || tag.is_none() || tags.insert(tag), || {
            format!("two <filesystem>s have <target dir='{}'>", tag.map_or("", String::as_str))
        })?;
    }
    Ok(())
}

fn small(domain: &Domain) -> Result<()> {
    let devices = &domain.devices;
    for backend in devices.tpms.iter().filter_map(|tpm| tpm.backend.as_ref()) {
        let old = backend.version == Some(TpmVersion::V12);
        if old && (backend.active_pcr_banks.is_some() || backend.profile.is_some()) {
            return Err(xml_error("<active_pcr_banks> and <profile> need a TPM of version '2.0'"));
        }
        let source = backend.source.as_ref();
        let socket = source.is_some_and(|source| {
            source.kind == TpmSourceType::Unix && source.mode.as_deref() != Some("bind")
        });
        if backend.kind == TpmBackendType::External && !socket {
            return Err(xml_error(
                "<tpm><backend type='external'> needs <source type='unix' mode='connect' path='…'>",
            ));
        }
    }
    let mut models = HashSet::new();
    for model in devices.panics.iter().filter_map(|panic| panic.model) {
        must(models.insert(model), || {
            xml_error(format!("Multiple panic devices with model '{model}'"))
        })?;
    }
    let size = devices.pstore.as_ref().map(|pstore| pstore.size.unwrap_or_default().0);
    if size.is_some_and(|size| size < 4 || !size.is_power_of_two()) {
        return Err(xml_error("<pstore><size> must be a power of two of at least 4 KiB"));
    }
    for card in &devices.smartcards {
        need(matches!(card.info.address, None | Some(Address::Ccid { .. })), || {
            "<smartcard> needs <address type='ccid'>".to_owned()
        })?;
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
    let name = shmem.name.as_str();
    need(!name.contains('/') && !matches!(name, "." | ".."), || {
        format!("<shmem name='{name}'>: a name cannot be '.', '..' or contain '/'")
    })?;
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
    if let Some(rom) = info.rom.as_ref().filter(|rom| rom.enabled == Some(YesNo::No)) {
        need(rom.bar.is_none() && rom.file.is_none(), || {
            "ROM tuning is not supported when ROM is disabled".to_owned()
        })?;
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

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Makes a definition live: every device gets the alias by which QEMU knows it, every image its number.
//!
//! Aliases and numbers are libvirt's, for they stand in the status files of running guests and are how a guest
//! that was started by the other daemon is found again.

use std::collections::BTreeMap;

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::address::Address;
use virtus_xml::domain::chardev::ChardevTargetType;
use virtus_xml::domain::controller::{Controller, ControllerType};
use virtus_xml::domain::device::{Device, is_user_alias};
use virtus_xml::domain::disk::{Disk, DiskBus};
use virtus_xml::domain::interface::InterfaceType;
use virtus_xml::domain::memory_device::MemoryModel;
use virtus_xml::domain::misc::BalloonModel;
use virtus_xml::domain::storage::StorageSource;

use virtus_xml::settle::disk_index;

use super::storage::has_medium;
use crate::machine::{has_builtin_ide, has_many_pci_buses, is_q35};

/// Gives aliases to all devices and numbers to all images.
pub(super) fn assign(domain: &mut Domain) -> Result<()> {
    crate::complete::plug_usb(domain)?;
    number_images(domain);
    let q35 = is_q35(domain);
    let builtin_ide = has_builtin_ide(domain);
    let many_buses = has_many_pci_buses(domain);
    let narrow: Vec<u32> = domain
        .devices
        .controllers
        .iter()
        .filter(|c| c.kind == ControllerType::Scsi && c.model.as_deref() == Some("lsilogic"))
        .map(|c| c.index.unwrap_or(0))
        .collect();
    let devices = &mut domain.body.devices;
    for disk in &mut devices.disks {
        let alias = disk_alias(disk, &narrow)?;
        name(&mut disk.info, || alias);
    }
    let mut hostdevs = 0;
    for (at, net) in devices.interfaces.iter_mut().enumerate() {
        if net.plugged_kind() == InterfaceType::Hostdev {
            name(&mut net.info, || format!("hostdev{hostdevs}"));
            hostdevs += 1;
        } else {
            name(&mut net.info, || format!("net{at}"));
        }
    }
    each(devices.filesystems.iter_mut().map(|d| &mut d.info), "fs");
    each(devices.sounds.iter_mut().map(|d| &mut d.info), "sound");
    for hostdev in &mut devices.hostdevs {
        // A name of the user's takes no number.
        name(&mut hostdev.info, || {
            hostdevs += 1;
            format!("hostdev{}", hostdevs - 1)
        });
    }
    each(devices.redirdevs.iter_mut().map(|d| &mut d.info), "redir");
    each(devices.videos.iter_mut().map(|d| &mut d.info), "video");
    for controller in &mut devices.controllers {
        let alias = controller_alias(controller, q35, builtin_ide, many_buses);
        name(&mut controller.info, || alias);
    }
    each(devices.inputs.iter_mut().map(|d| &mut d.info), "input");
    each(devices.parallels.iter_mut().map(|d| &mut d.info), "parallel");
    each(devices.serials.iter_mut().map(|d| &mut d.info), "serial");
    each(devices.channels.iter_mut().map(|d| &mut d.info), "channel");
    let first_serial = devices.serials.first().and_then(|serial| serial.info.alias.clone());
    for (at, console) in devices.consoles.iter_mut().enumerate() {
        let kind = console.target.as_ref().and_then(|target| target.kind);
        let twin = first_serial
            .clone()
            .filter(|_| at == 0 && matches!(kind, None | Some(ChardevTargetType::Serial)));
        name(&mut console.info, || twin.unwrap_or_else(|| format!("console{at}")));
    }
    each(devices.hubs.iter_mut().map(|d| &mut d.info), "hub");
    each(devices.shmems.iter_mut().map(|d| &mut d.info), "shmem");
    each(devices.smartcards.iter_mut().map(|d| &mut d.info), "smartcard");
    each(devices.watchdogs.iter_mut().map(|d| &mut d.info), "watchdog");
    let balloon = devices.memballoon.iter_mut().filter(|d| d.model != BalloonModel::None);
    each(balloon.map(|d| &mut d.info), "balloon");
    each(devices.rngs.iter_mut().map(|d| &mut d.info), "rng");
    each(devices.tpms.iter_mut().map(|d| &mut d.info), "tpm");
    each(devices.vsock.iter_mut().map(|d| &mut d.info), "vsock");
    each(devices.cryptos.iter_mut().map(|d| &mut d.info), "crypto");
    each(devices.iommu.iter_mut().map(|d| &mut d.info), "iommu");
    each(devices.pstore.iter_mut().map(|d| &mut d.info), "pstore");
    each(devices.panics.iter_mut().map(|d| &mut d.info), "panic");
    let mut counts = BTreeMap::new();
    for memory in &mut devices.memories {
        let count: &mut u32 = counts.entry(memory.model).or_default();
        let number = match &memory.info.address {
            Some(Address::Dimm { slot: Some(slot), .. }) => *slot,
            _ => *count,
        };
        *count += 1;
        let kind = match memory.model {
            MemoryModel::SgxEpc => "epc".to_owned(),
            model => model.as_str().replace('-', ""),
        };
        name(&mut memory.info, || format!("{kind}{number}"));
    }
    Ok(())
}

fn name(info: &mut Device, make: impl FnOnce() -> String) {
    if !info.alias.as_deref().is_some_and(is_user_alias) {
        info.alias = Some(make());
    }
}

fn each<'a>(infos: impl Iterator<Item = &'a mut Device>, head: &str) {
    for (at, info) in infos.enumerate() {
        name(info, || format!("{head}{at}"));
    }
}

fn controller_alias(
    controller: &Controller,
    q35: bool,
    builtin_ide: bool,
    many_buses: bool,
) -> String {
    let index = controller.index.unwrap_or(0);
    match controller.kind {
        ControllerType::Pci if controller.model.as_deref() == Some("pcie-root") => {
            format!("pcie.{index}")
        }
        ControllerType::Pci if index == 0 && !many_buses => "pci".to_owned(),
        ControllerType::Pci => format!("pci.{index}"),
        ControllerType::Scsi if controller.model.as_deref() == Some("ncr53c90") && index == 0 => {
            "scsi".to_owned()
        }
        ControllerType::Usb if index == 0 => "usb".to_owned(),
        ControllerType::Ide if index == 0 && builtin_ide => "ide".to_owned(),
        // The controller of the machine has the name of its bus.
        ControllerType::Sata if index == 0 && q35 => "ide".to_owned(),
        kind => format!("{kind}{index}"),
    }
}

fn disk_alias(disk: &Disk, narrow: &[u32]) -> Result<String> {
    let bus = disk.target.bus.unwrap_or(DiskBus::Ide);
    if let Some(Address::Drive(at)) = &disk.info.address {
        return Ok(if bus == DiskBus::Scsi && !narrow.contains(&at.controller) {
            format!("scsi{}-{}-{}-{}", at.controller, at.bus, at.target, at.unit)
        } else {
            format!("{bus}{}-{}-{}", at.controller, at.bus, at.unit)
        });
    }
    let number = disk_index(&disk.target.dev).ok_or_else(|| {
        Error::new(
            ErrorCode::XmlError,
            format!("'{}' is not the name of a disk, such as vda", disk.target.dev),
        )
    })?;
    Ok(format!("{bus}-disk{number}"))
}

/// Numbers images from the last disk to the first, and in each chain from the top down. An empty drive has a number,
/// too: that of the medium that may come.
pub(crate) fn number_images(domain: &mut Domain) {
    let mut last = 0;
    for disk in domain.body.devices.disks.iter_mut().rev() {
        if disk.target.bus != Some(DiskBus::Sd) {
            last = number_disk(disk, last);
        }
    }
}

/// Numbers the images of a disk from `last` on; answers the last number that was taken.
pub(crate) fn number_disk(disk: &mut Disk, last: u32) -> u32 {
    let mut last = last;
    let mut number = || {
        last += 1;
        Some(last)
    };
    let own = number();
    if let Some(source) = disk.source.as_mut().filter(|source| has_medium(source)) {
        source.index = own;
        number_data(source, &mut number);
    }
    let mut below = disk.backing_store.as_deref_mut();
    while let Some(store) = below {
        let Some(source) = store.source.as_mut() else { break };
        store.index = number();
        number_data(source, &mut number);
        below = store.backing_store.as_deref_mut();
    }
    last + filter_count(disk)
}

/// The highest number that an image of the guest has, or a filter behind one.
pub(crate) fn highest_number(domain: &Domain) -> u32 {
    let mut highest = 0;
    for disk in &domain.devices.disks {
        let mut of_disk = disk.source.as_ref().map_or(0, highest_of);
        let mut below = disk.backing_store.as_deref();
        while let Some((store, source)) =
            below.and_then(|store| Some((store, store.source.as_ref()?)))
        {
            of_disk = of_disk.max(store.index.unwrap_or(0)).max(highest_of(source));
            below = store.backing_store.as_deref();
        }
        highest = highest.max(of_disk + filter_count(disk));
    }
    highest
}

fn highest_of(source: &StorageSource) -> u32 {
    let data = source.data_store.as_ref().and_then(|data| data.source.as_ref()?.index);
    source.index.max(data).unwrap_or(0)
}

fn filter_count(disk: &Disk) -> u32 {
    let filters = disk.throttlefilters.as_ref().map_or(0, |filters| filters.filters.len());
    u32::try_from(filters).unwrap_or(u32::MAX)
}

/// How many numbers the images of all disks take.
pub(super) fn image_count(domain: &Domain) -> u32 {
    let mut counted = domain.devices.disks.clone();
    let disks = counted.iter_mut().filter(|disk| disk.target.bus != Some(DiskBus::Sd));
    disks.fold(0, |last, disk| number_disk(disk, last))
}

/// The data of an image that keeps them elsewhere.
fn number_data(source: &mut StorageSource, number: &mut impl FnMut() -> Option<u32>) {
    if let Some(data) = source.data_store.as_mut().and_then(|data| data.source.as_mut()) {
        data.index = number();
    }
}

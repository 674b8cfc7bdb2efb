// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which device gets which boot index.
//!
//! A definition says it in one of two ways: `<boot order='…'/>` in the devices, or `<boot dev='…'/>` in `<os>`,
//! where the first device of each kind is meant.

use virtus_xml::Domain;
use virtus_xml::domain::device::Device;
use virtus_xml::domain::disk::{Disk, DiskBus, DiskDevice};
use virtus_xml::domain::interface::InterfaceType;

/// Boot indexes of disks and interfaces, by their place in the definition.
#[derive(Debug, Clone, Default)]
pub(crate) struct BootOrder {
    disks: Vec<Option<u32>>,
    interfaces: Vec<Option<u32>>,
}

impl BootOrder {
    pub(crate) fn of(domain: &Domain) -> Self {
        let own = |info: &Device| info.boot.as_ref().map(|boot| boot.order);
        let devices = &domain.devices;
        let mut order = Self {
            disks: devices.disks.iter().map(|disk| own(&disk.info)).collect(),
            interfaces: devices.interfaces.iter().map(|net| own(&net.info)).collect(),
        };
        for (at, boot) in domain.os.boot.iter().enumerate() {
            let index = u32::try_from(at + 1).ok();
            match boot.dev.as_str() {
                "network" => {
                    let first = devices
                        .interfaces
                        .iter()
                        .position(|net| net.plugged_kind() != InterfaceType::Hostdev);
                    if let Some(slot) = first.and_then(|at| order.interfaces.get_mut(at)) {
                        *slot = slot.or(index);
                    }
                }
                word => {
                    let first = devices.disks.iter().position(|disk| boots_as(disk) == word);
                    if let Some(slot) = first.and_then(|at| order.disks.get_mut(at)) {
                        *slot = slot.or(index);
                    }
                }
            }
        }
        order
    }

    pub(crate) fn disk(&self, at: usize) -> Option<u32> {
        self.disks.get(at).copied().flatten()
    }

    pub(crate) fn interface(&self, at: usize) -> Option<u32> {
        self.interfaces.get(at).copied().flatten()
    }

    /// The floppy drives that boot: unit and index.
    pub(crate) fn floppies(&self, domain: &Domain) -> Vec<(u32, u32)> {
        domain
            .devices
            .disks
            .iter()
            .enumerate()
            .filter(|(_, disk)| disk.target.bus == Some(DiskBus::Fdc))
            .filter_map(|(at, disk)| Some((super::disk::unit(disk), self.disk(at)?)))
            .collect()
    }
}

/// The word by which `<boot dev='…'/>` means this disk.
fn boots_as(disk: &Disk) -> &'static str {
    match disk.device {
        DiskDevice::Cdrom => "cdrom",
        DiskDevice::Floppy => "fd",
        DiskDevice::Disk | DiskDevice::Lun => "hd",
    }
}

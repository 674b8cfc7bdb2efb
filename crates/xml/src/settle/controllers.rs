// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The controllers that devices need and nobody has defined.

use crate::domain::Domain;
use crate::domain::address::{Address, DriveAddress};
use crate::domain::chardev::ChardevTargetType;
use crate::domain::controller::{Controller, ControllerType};
use crate::domain::device::Device;
use crate::domain::disk::DiskBus;
use crate::domain::hostdev::HostdevType;

impl Domain {
    /// Adds the controllers that devices need and nobody has defined, in libvirt's order. A hypervisor calls
    /// it once it has added the devices that it brings itself.
    pub fn add_needed_controllers(&mut self) {
        add(self);
    }
}

fn add(domain: &mut Domain) {
    assign_scsi_hostdevs(domain);
    for (bus, kind) in [
        (DiskBus::Scsi, ControllerType::Scsi),
        (DiskBus::Fdc, ControllerType::Fdc),
        (DiskBus::Ide, ControllerType::Ide),
        (DiskBus::Sata, ControllerType::Sata),
    ] {
        let last = domain
            .devices
            .disks
            .iter()
            .filter(|disk| disk.target.bus == Some(bus))
            .filter_map(|disk| drive_controller(disk.info.address.as_ref()))
            .max();
        add_up_to(domain, kind, last, None);
    }
    virtio_serial(domain);
    smartcards(domain);
    for_scsi_hostdevs(domain);
}

fn has_controller(domain: &Domain, kind: ControllerType, index: u32) -> bool {
    domain.devices.controllers.iter().any(|c| c.kind == kind && c.index == Some(index))
}

fn add_controller(domain: &mut Domain, kind: ControllerType, index: u32, model: Option<&str>) {
    let model = model.map(str::to_owned);
    let controller = Controller { kind, index: Some(index), model, ..Controller::default() };
    domain.body.devices.insert_controller(controller);
}

/// The controllers of SCSI devices of the host, which stand before those that a machine always has; a device that has
/// no place yet takes one on the first. Further controllers are like the one that is there.
pub(super) fn for_scsi_hostdevs(domain: &mut Domain) {
    let hostdevs = domain.devices.hostdevs.iter();
    let last = hostdevs
        .filter(|hostdev| hostdev.kind == HostdevType::Scsi)
        .map(|hostdev| drive_controller(hostdev.info.address.as_ref()).unwrap_or(0))
        .max();
    let mut controllers = domain.devices.controllers.iter();
    let first = controllers.find(|controller| controller.kind == ControllerType::Scsi);
    let model = first.and_then(|controller| controller.model.clone());
    add_up_to(domain, ControllerType::Scsi, last, model.as_deref());
}

fn drive_controller(address: Option<&Address>) -> Option<u32> {
    match address {
        Some(Address::Drive(drive)) => Some(drive.controller),
        _ => None,
    }
}

/// More controllers than this are a mistake in an address.
const MAX_CONTROLLERS: u32 = 256;

fn add_up_to(domain: &mut Domain, kind: ControllerType, last: Option<u32>, model: Option<&str>) {
    let Some(last) = last else { return };
    for index in 0..=last.min(MAX_CONTROLLERS) {
        if !has_controller(domain, kind, index) {
            add_controller(domain, kind, index, model);
        }
    }
}

fn virtio_serial(domain: &mut Domain) {
    let is_virtio = |kind: Option<ChardevTargetType>| kind == Some(ChardevTargetType::Virtio);
    let wanted: Vec<u32> = domain
        .devices
        .channels
        .iter()
        .chain(&domain.devices.consoles)
        .filter(|chardev| is_virtio(chardev.target.as_ref().and_then(|target| target.kind)))
        .map(|chardev| match &chardev.info.address {
            Some(Address::VirtioSerial { controller, .. }) => *controller,
            _ => 0,
        })
        .collect();
    for index in wanted {
        if !has_controller(domain, ControllerType::VirtioSerial, index) {
            add_controller(domain, ControllerType::VirtioSerial, index, None);
        }
    }
}

fn smartcards(domain: &mut Domain) {
    for at in 0..domain.devices.smartcards.len() {
        let controller = match &domain.devices.smartcards[at].info.address {
            Some(Address::Ccid { controller, .. }) => *controller,
            Some(_) => continue,
            None => {
                let used = |slot: u32| {
                    domain.devices.smartcards.iter().any(|card| {
                        card.info.address == Some(Address::Ccid { controller: 0, slot })
                    })
                };
                let slot = (0..MAX_CONTROLLERS).find(|slot| !used(*slot)).unwrap_or(0);
                domain.body.devices.smartcards[at].info.address =
                    Some(Address::Ccid { controller: 0, slot });
                0
            }
        };
        add_up_to(domain, ControllerType::Ccid, Some(controller), None);
    }
}

/// Gives SCSI devices of the host the first free units.
fn assign_scsi_hostdevs(domain: &mut Domain) {
    for at in 0..domain.devices.hostdevs.len() {
        let hostdev = &domain.devices.hostdevs[at];
        if hostdev.kind != HostdevType::Scsi || hostdev.info.address.is_some() {
            continue;
        }
        let used = |controller: u32, unit: u32| {
            let place = Address::Drive(DriveAddress { controller, bus: 0, target: 0, unit });
            let disk = |info: &Device| info.address.as_ref() == Some(&place);
            domain
                .devices
                .disks
                .iter()
                .any(|d| d.target.bus == Some(DiskBus::Scsi) && disk(&d.info))
                || domain.devices.hostdevs.iter().any(|h| disk(&h.info))
        };
        let found = (0..MAX_CONTROLLERS)
            .flat_map(|controller| (0..16).map(move |unit| (controller, unit)))
            .find(|(controller, unit)| *unit != 7 && !used(*controller, *unit));
        if let Some((controller, unit)) = found {
            domain.body.devices.hostdevs[at].info.address =
                Some(Address::Drive(DriveAddress { controller, bus: 0, target: 0, unit }));
        }
    }
}

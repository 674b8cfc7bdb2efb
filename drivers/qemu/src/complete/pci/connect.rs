// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What each device wants of a PCI bus; nothing if it is no PCI device.

use virtus_xml::Domain;
use virtus_xml::domain::chardev::ChardevTargetType;
use virtus_xml::domain::controller::{Controller, ControllerType};
use virtus_xml::domain::disk::{DiskBus, VirtioModel};
use virtus_xml::domain::filesystem::FilesystemDriverType;
use virtus_xml::domain::hostdev::{HostdevMode, HostdevType};
use virtus_xml::domain::input::InputBus;
use virtus_xml::domain::interface::InterfaceType;
use virtus_xml::domain::memory_device::MemoryModel;
use virtus_xml::domain::misc::{BalloonModel, IommuModel, PanicModel, WatchdogModel};
use virtus_xml::domain::sound::SoundModel;
use virtus_xml::domain::video::VideoType;

use super::bus_set::{BusModel, Connect};
use super::slots::Slot;
use super::{has_pcie_root, present};
use crate::caps::{Capabilities, Flag};

/// The three kinds of endpoints on this machine.
struct Kinds {
    pci: Connect,
    pcie: Connect,
    virtio: Connect,
}

impl Kinds {
    /// Virtio devices of the older generation only work in conventional slots.
    fn of(&self, model: Option<VirtioModel>) -> Connect {
        if model == Some(VirtioModel::Transitional) { self.pci } else { self.virtio }
    }

    fn of_word(&self, model: Option<&str>) -> Connect {
        if model == Some("virtio-transitional") { self.pci } else { self.virtio }
    }
}

/// What the device at `slot` wants.
pub(super) fn of(domain: &Domain, caps: &Capabilities, slot: Slot) -> Connect {
    let none = Connect::empty();
    let pci = Connect::AUTO | Connect::PCI_DEVICE;
    let pcie = if has_pcie_root(domain) { Connect::AUTO | Connect::PCIE_DEVICE } else { pci };
    let modern = caps.has(Flag::VirtioPciDisableLegacy) || caps.has(Flag::VirtioPciNonTransitional);
    let kinds = Kinds { pci, pcie, virtio: if modern { pcie } else { pci } };
    let devices = &domain.devices;
    match slot {
        Slot::Controller(at) => controller(&devices.controllers[at], &kinds),
        Slot::Filesystem(at) => {
            let fs = &devices.filesystems[at];
            match fs.driver.as_ref().and_then(|driver| driver.kind) {
                Some(FilesystemDriverType::Mtp) => none,
                _ => kinds.of(fs.model),
            }
        }
        Slot::Net(at) => {
            let net = &devices.interfaces[at];
            if net.kind == InterfaceType::Hostdev {
                return kinds.pcie;
            }
            match net.model.as_ref().map(|model| model.kind.as_str()) {
                Some("usb-net" | "spapr-vlan" | "lan9118" | "smc91c111") => none,
                Some("virtio" | "virtio-non-transitional") => kinds.virtio,
                // The models that are known to be conventional; any other is taken for a modern one.
                Some(
                    "rtl8139"
                    | "e1000"
                    | "virtio-transitional"
                    | "vlance"
                    | "vmxnet"
                    | "vmxnet2"
                    | "vmxnet3"
                    | "Am79C970A"
                    | "Am79C973"
                    | "82540EM"
                    | "82545EM"
                    | "82543GC",
                ) => kinds.pci,
                _ => kinds.pcie,
            }
        }
        Slot::Sound(at) => match devices.sounds[at].model {
            SoundModel::Es1370 | SoundModel::Ac97 | SoundModel::Ich6 | SoundModel::Ich9 => {
                kinds.pci
            }
            SoundModel::Virtio => kinds.virtio,
            _ => none,
        },
        Slot::Disk(at) => {
            let disk = &devices.disks[at];
            if disk.target.bus == Some(DiskBus::Virtio) { kinds.of(disk.model) } else { none }
        }
        Slot::Hostdev(at) => {
            let hostdev = &devices.hostdevs[at];
            if hostdev.mode != HostdevMode::Subsystem {
                return none;
            }
            match hostdev.kind {
                // Nearly all devices that are given away are PCI Express.
                HostdevType::Pci => kinds.pcie,
                HostdevType::Mdev if hostdev.model.as_deref() == Some("vfio-pci") => kinds.pcie,
                HostdevType::ScsiHost => kinds.of_word(hostdev.model.as_deref()),
                _ => none,
            }
        }
        Slot::Balloon => match devices.memballoon.as_ref().map(|balloon| balloon.model) {
            Some(BalloonModel::VirtioTransitional) => kinds.pci,
            Some(BalloonModel::Virtio | BalloonModel::VirtioNonTransitional) => kinds.virtio,
            _ => none,
        },
        Slot::Rng(at) => kinds.of(Some(devices.rngs[at].model)),
        Slot::Watchdog(at) => match devices.watchdogs[at].model {
            WatchdogModel::I6300esb => kinds.pci,
            _ => none,
        },
        Slot::Video(at) => match devices.videos[at].model.kind {
            VideoType::Virtio => kinds.virtio,
            VideoType::Bochs => kinds.pcie,
            VideoType::Default | VideoType::Gop | VideoType::None | VideoType::Ramfb => none,
            _ => kinds.pci,
        },
        Slot::Shmem(_) | Slot::Crypto(_) | Slot::Pstore => kinds.pci,
        Slot::Input(at) => {
            let input = &devices.inputs[at];
            if input.bus == Some(InputBus::Virtio) { kinds.of(input.model) } else { none }
        }
        Slot::Serial(at) => {
            let kind = devices.serials[at].target.as_ref().and_then(|target| target.kind);
            if kind == Some(ChardevTargetType::PciSerial) { kinds.pci } else { none }
        }
        Slot::Iommu => match devices.iommu.as_ref().map(|iommu| iommu.model) {
            Some(IommuModel::Virtio) => kinds.virtio | Connect::INTEGRATED,
            _ => none,
        },
        Slot::Vsock => kinds.of(devices.vsock.as_ref().and_then(|vsock| vsock.model)),
        Slot::Memory(at) => match devices.memories[at].model {
            MemoryModel::VirtioPmem | MemoryModel::VirtioMem => kinds.virtio,
            _ => none,
        },
        Slot::Panic(at) => match devices.panics[at].model {
            Some(PanicModel::Pvpanic) => kinds.pci | Connect::INTEGRATED,
            _ => none,
        },
        _ => none,
    }
}

fn controller(controller: &Controller, kinds: &Kinds) -> Connect {
    let none = Connect::empty();
    let model = controller.model.as_deref();
    match controller.kind {
        ControllerType::Pci => model.and_then(BusModel::from_word).map_or(none, BusModel::connect),
        ControllerType::Sata => kinds.pci,
        // Further IDE controllers only: the first is part of the chipset.
        ControllerType::Ide
            if controller.index == Some(0) && present(&controller.info).is_none() =>
        {
            none
        }
        ControllerType::Ide => kinds.pci,
        ControllerType::Usb => match model {
            Some("nec-xhci" | "qemu-xhci") => kinds.pcie,
            Some("none" | "qusb1" | "qusb2") => none,
            _ => kinds.pci,
        },
        ControllerType::Scsi => match model {
            None | Some("ncr53c90" | "ibmvscsi") => none,
            Some("virtio-scsi" | "virtio-non-transitional") => kinds.virtio,
            Some(_) => kinds.pci,
        },
        ControllerType::VirtioSerial => kinds.of_word(model),
        _ => none,
    }
}

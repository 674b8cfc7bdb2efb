// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<controller>`: the buses of the guest.

use super::device::{Device, VirtioOptions};
use super::disk::IothreadMap;
use crate::schema::kinds;
use crate::units::Kib;
use crate::value::OnOff;

spellings! {
    /// Which bus a controller drives.
    pub enum ControllerType {
        Ide = "ide", Fdc = "fdc", Scsi = "scsi", Sata = "sata", VirtioSerial = "virtio-serial",
        Ccid = "ccid", Usb = "usb", Pci = "pci", Xenbus = "xenbus", Isa = "isa",
    }
}

element! {
    /// `<controller>`.
    pub struct Controller {
        required kind: ControllerType = "type",
        attr index: Option<u32> = "index",
        attr model: Option<String> = "model",
        attr ports: Option<u32> = "ports",
        attr vectors: Option<u32> = "vectors",
        attr max_grant_frames: Option<u32> = "maxGrantFrames",
        attr max_event_channels: Option<u32> = "maxEventChannels",
        child pci_model: Option<PciModel> = "model",
        child target: Option<PciTarget> = "target",
        child driver: Option<ControllerDriver> = "driver",
        part info: Device,
        child pcihole64: Option<Kib> = "pcihole64"
    }
    schema {
        case "type" ["scsi"] { attr kinds::ScsiModel = "model" },
        case "type" ["usb"] { attr kinds::UsbModel = "model" },
        case "type" ["ide"] { attr kinds::IdeModel = "model" },
        case "type" ["pci"] { required kinds::PciControllerModel = "model" },
        case "type" ["virtio-serial"] { attr super::disk::VirtioModel = "model" },
        case "type" ["fdc" "sata" "ccid" "isa" "xenbus"] { without attr "model" }
    }
}

element! {
    /// `<model name='…'/>`: the device that implements a PCI controller.
    pub struct PciModel { required name: String = "name" }
    schema {
        required kinds::PciModelName = "name"
    }
}

element! {
    /// `<target>` of a PCI controller.
    pub struct PciTarget {
        attr chassis_nr: Option<u32> = "chassisNr",
        attr chassis: Option<u32> = "chassis",
        attr port: Option<crate::value::Hex<1>> = "port",
        attr bus_nr: Option<u32> = "busNr",
        attr index: Option<u32> = "index",
        attr hotplug: Option<OnOff> = "hotplug",
        attr mem_reserve: Option<u64> = "memReserve",
        leaf node: Option<u32> = "node"
    }
}

element! {
    /// `<driver>` of a controller.
    pub struct ControllerDriver {
        attr queues: Option<u32> = "queues",
        attr cmd_per_lun: Option<u32> = "cmd_per_lun",
        attr max_sectors: Option<u32> = "max_sectors",
        attr ioeventfd: Option<OnOff> = "ioeventfd",
        attr iothread: Option<u32> = "iothread",
        part virtio: VirtioOptions,
        child iothreads: Option<IothreadMap> = "iothreads"
    }
}

impl Controller {
    /// Whether it is one of the USB controllers that share a slot and, as a set, an index.
    #[must_use]
    pub fn is_usb2(&self) -> bool {
        self.kind == ControllerType::Usb
            && (self.model.as_deref() == Some("ich9-ehci1") || self.companion_port().is_some())
    }

    /// The first port of a companion controller on its master.
    #[must_use]
    pub fn companion_port(&self) -> Option<u32> {
        match (self.kind, self.model.as_deref()) {
            (ControllerType::Usb, Some("ich9-uhci1")) => Some(0),
            (ControllerType::Usb, Some("ich9-uhci2")) => Some(2),
            (ControllerType::Usb, Some("ich9-uhci3")) => Some(4),
            _ => None,
        }
    }
}

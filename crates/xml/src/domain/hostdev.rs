// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<hostdev>`: a device of the host that the guest gets whole.

use uuid::Uuid;
use virtus_api::Result;

use super::address::{AddressType, PciAddress};
use super::device::Device;
use super::disk::Sgio;
use super::interface::{Ip, Teaming};
use super::storage::{Auth, Initiator, Named, Protocol, StartupPolicy, StorageHost, StorageSource};
use crate::netdev::Route;
use crate::reader::{Element, Node, Part};
use crate::schema::{Shape, kinds};
use crate::tree::Tree;
use crate::value::{Hex, OnOff, Value, YesNo};
use crate::writer::Writer;

element! {
    /// `<hostdev>`.
    pub struct Hostdev {
        attr mode: HostdevMode = "mode",
        required kind: HostdevType = "type",
        attr managed: Option<YesNo> = "managed",
        attr sgio: Option<Sgio> = "sgio",
        attr rawio: Option<YesNo> = "rawio",
        attr model: Option<String> = "model",
        attr display: Option<OnOff> = "display",
        attr ramfb: Option<OnOff> = "ramfb",
        child driver: Option<HostdevDriver> = "driver",
        child source: Option<HostdevSource> = "source",
        child teaming: Option<Teaming> = "teaming",
        child ips: Vec<Ip> = "ip",
        child routes: Vec<Route> = "route",
        flag readonly: bool = "readonly",
        flag shareable: bool = "shareable",
        part info: Device
    }
    schema {
        case "type" ["mdev"] {
            required kinds::MdevModel = "model",
            one (one (required Uuid = "uuid") = "address") = "source"
        },
        case "type" ["pci"] {
            one (
                attr StartupPolicy = "startupPolicy",
                attr YesNo = "writeFiltering",
                one PciAddress = "address"
            ) = "source"
        },
        one HostdevSource = "source"
    }
}

spellings! {
    /// How a device is handed over.
    pub enum HostdevMode { Subsystem = "subsystem", Capabilities = "capabilities" }
}

spellings! {
    /// What kind of device it is.
    pub enum HostdevType {
        Usb = "usb", Pci = "pci", Scsi = "scsi", ScsiHost = "scsi_host", Mdev = "mdev",
        Storage = "storage", Misc = "misc", Net = "net",
    }
}

element! {
    /// `<driver>`: what drives the device on the host.
    pub struct HostdevDriver {
        attr name: Option<String> = "name",
        attr model: Option<String> = "model"
    }
}

element! {
    /// `<source>` of a host device.
    pub struct HostdevSource {
        attr startup_policy: Option<StartupPolicy> = "startupPolicy",
        attr guest_reset: Option<GuestReset> = "guestReset",
        attr missing: Option<YesNo> = "missing",
        attr write_filtering: Option<YesNo> = "writeFiltering",
        attr protocol: Option<String> = "protocol",
        attr name: Option<String> = "name",
        attr wwpn: Option<String> = "wwpn",
        child vendor: Option<UsbId> = "vendor",
        child product: Option<UsbId> = "product",
        child adapter: Option<Named> = "adapter",
        child address: Option<HostAddress> = "address",
        status origstates: Option<Box<Tree>> = "origstates",
        child hosts: Vec<StorageHost> = "host",
        status private: Option<Box<Tree>> = "privateData",
        child auth: Option<Box<Auth>> = "auth",
        child initiator: Option<Initiator> = "initiator",
        leaf block: Option<String> = "block",
        leaf char_device: Option<String> = "char",
        leaf interface: Option<String> = "interface"
    }
}

impl Hostdev {
    /// Brings what the source says to the form in which it is kept.
    pub(crate) fn settle(&mut self) {
        let pci = self.mode == HostdevMode::Subsystem && self.kind == HostdevType::Pci;
        let Some(source) = &mut self.source else { return };
        if pci {
            // An address of which nothing is said is the first.
            let first = || HostAddress::Pci { typed: false, pci: PciAddress::default() };
            source.address.get_or_insert_with(first);
        }
        source.settle_unit();
    }
}

impl HostdevSource {
    /// Names the logical unit of an iSCSI target that has none: the first.
    pub(crate) fn settle_unit(&mut self) {
        if let Some(mut storage) = self.as_storage() {
            storage.settle_unit();
            self.name = storage.name;
        }
    }

    /// The image of a SCSI device that a server keeps.
    #[must_use]
    pub fn as_storage(&self) -> Option<StorageSource> {
        let protocol = self.protocol.as_deref().and_then(Protocol::parse)?;
        Some(StorageSource {
            protocol: Some(protocol),
            name: self.name.clone(),
            hosts: self.hosts.clone(),
            auth: self.auth.clone(),
            initiator: self.initiator.clone(),
            private: self.private.clone(),
            ..StorageSource::default()
        })
    }
}

spellings! {
    /// Whether a guest may reset a USB device.
    pub enum GuestReset { Off = "off", Uninitialized = "uninitialized", On = "on" }
}

element! {
    /// `<vendor id='0x…'/>` and `<product id='0x…'/>`.
    pub struct UsbId { required id: Hex<4> = "id" }
}

/// `<address>` of a host device: its `hostdev`'s type says which; the attributes tell.
#[derive(Debug, Clone, PartialEq)]
pub enum HostAddress {
    Pci { typed: bool, pci: PciAddress },
    Usb { bus: u32, device: u32 },
    Scsi { bus: u32, target: u32, unit: u64 },
    Mdev(Uuid),
}

impl Element for HostAddress {
    const SHAPE: &'static Shape = shape!(HostAddress:
        attr AddressType = "type",
        attr Uuid = "uuid",
        attr Hex<1> = "device",
        attr Hex<1> = "target",
        attr u64 = "unit",
        part PciAddress
    );
    fn read(node: Node<'_>) -> Result<Self> {
        if let Some(uuid) = node.get("uuid")? {
            return Ok(Self::Mdev(uuid));
        }
        if node.attr("slot").is_some() || node.attr("domain").is_some() {
            let typed = node.attr("type").is_some();
            return Ok(Self::Pci { typed, pci: PciAddress::read(node)? });
        }
        if node.attr("device").is_some() {
            let number = |name| -> Result<u32> {
                let hex: Hex<1> = node.need(name)?;
                u32::try_from(hex.0)
                    .map_err(|_| node.error(format_args!("'{name}' is out of range")))
            };
            return Ok(Self::Usb { bus: number("bus")?, device: number("device")? });
        }
        Ok(Self::Scsi {
            bus: node.need("bus")?,
            target: node.need("target")?,
            unit: node.need("unit")?,
        })
    }

    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        match self {
            Self::Pci { typed, pci } => {
                if *typed {
                    out.attr_text("type", "pci");
                }
                pci.write_attrs(out);
            }
            Self::Usb { bus, device } => {
                out.attr("bus", bus);
                out.attr("device", device);
            }
            Self::Scsi { bus, target, unit } => {
                out.attr("bus", bus);
                out.attr("target", target);
                out.attr_text("unit", unit);
            }
            Self::Mdev(uuid) => out.attr("uuid", uuid),
        }
        out.end(tag);
    }
}

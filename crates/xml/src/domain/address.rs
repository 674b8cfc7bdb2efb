// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<address>`: where the guest finds a device. Irregular: `type` decides what else there is.

use virtus_api::Result;

use crate::reader::{Element, Node, Part};
use crate::schema::kinds;
use crate::schema::{Data, Shape};
use crate::value::{Allowed, Hex, OnOff, Value, c_number};
use crate::writer::{Escaped, Writer};

/// A device's place in the guest.
#[derive(Debug, Clone, PartialEq)]
pub enum Address {
    Pci(PciAddress),
    Drive(DriveAddress),
    VirtioSerial { controller: u32, bus: u32, port: u32 },
    Ccid { controller: u32, slot: u32 },
    Usb { bus: u32, port: UsbPort },
    SpaprVio { reg: Option<Hex<8>> },
    Ccw(CcwAddress),
    VirtioMmio,
    Isa { iobase: Option<Hex<1>>, irq: Option<Hex<1>> },
    Dimm { slot: Option<u32>, base: Option<Hex<1>> },
    Unassigned,
}

part! {
    /// `domain:bus:slot.function` on a PCI bus, with the s390x extension.
    #[derive(Eq, Copy)]
    pub struct PciAddress {
        attr domain: Hex<4> = "domain",
        attr bus: Hex<2> = "bus",
        attr slot: Hex<2> = "slot",
        attr function: Hex<1> = "function",
        attr multifunction: Option<OnOff> = "multifunction",
        child zpci: Option<Zpci> = "zpci"
    }
    schema {
        attr kinds::PciDomain = "domain",
        attr kinds::PciBus = "bus",
        attr kinds::PciSlot = "slot",
        attr kinds::PciFunction = "function"
    }
}

impl std::fmt::Display for PciAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { domain, bus, slot, function, .. } = self;
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", domain.0, bus.0, slot.0, function.0)
    }
}

element! {
    /// `<zpci>`: the identifiers that s390x gives a PCI device.
    #[derive(Eq, Copy)]
    pub struct Zpci {
        attr uid: Option<Hex<4>> = "uid",
        attr fid: Option<Hex<8>> = "fid"
    }
    schema {
        attr kinds::Uint16 = "uid",
        attr kinds::Uint32 = "fid"
    }
}

part! {
    /// Place on a disk controller.
    #[derive(Eq, Copy)]
    pub struct DriveAddress {
        attr controller: u32 = "controller",
        attr bus: u32 = "bus",
        attr target: u32 = "target",
        attr unit: u32 = "unit"
    }
}

part! {
    /// Place on the channel subsystem of s390x.
    #[derive(Eq, Copy)]
    pub struct CcwAddress {
        attr cssid: Option<Hex<1>> = "cssid",
        attr ssid: Option<Hex<1>> = "ssid",
        attr devno: Option<Hex<4>> = "devno"
    }
}

/// `1.4.2`: the ports from the root hub down to the device; empty if not chosen yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsbPort(pub Vec<u32>);

impl Value for UsbPort {
    const ALLOWED: Allowed = Allowed::A("a port path such as 1.2, of at most 4 parts");
    const DATA: Data = Data::Pattern(r"[0-9]+(\.[0-9]+){0,3}");
    fn parse(text: &str) -> Option<Self> {
        let ports: Option<Vec<u32>> =
            text.split('.').map(|part| part.trim().parse().ok()).collect();
        ports.filter(|ports| ports.len() <= 4).map(Self)
    }
    fn write(&self, out: &mut Escaped<'_>) {
        for (at, port) in self.0.iter().enumerate() {
            if at > 0 {
                out.put('.');
            }
            out.put(port);
        }
    }
}

spellings! {
    /// The kinds of addresses.
    pub enum AddressType {
        Pci = "pci", Drive = "drive", VirtioSerial = "virtio-serial", Ccid = "ccid", Usb = "usb",
        SpaprVio = "spapr-vio", Ccw = "ccw", VirtioMmio = "virtio-mmio", Isa = "isa", Dimm = "dimm",
        Unassigned = "unassigned", VirtioS390 = "virtio-s390",
    }
}

impl Address {
    #[must_use]
    pub fn kind(&self) -> AddressType {
        match self {
            Self::Pci(_) => AddressType::Pci,
            Self::Drive(_) => AddressType::Drive,
            Self::VirtioSerial { .. } => AddressType::VirtioSerial,
            Self::Ccid { .. } => AddressType::Ccid,
            Self::Usb { .. } => AddressType::Usb,
            Self::SpaprVio { .. } => AddressType::SpaprVio,
            Self::Ccw(_) => AddressType::Ccw,
            Self::VirtioMmio => AddressType::VirtioMmio,
            Self::Isa { .. } => AddressType::Isa,
            Self::Dimm { .. } => AddressType::Dimm,
            Self::Unassigned => AddressType::Unassigned,
        }
    }

    #[must_use]
    pub fn as_pci(&self) -> Option<&PciAddress> {
        if let Self::Pci(pci) = self { Some(pci) } else { None }
    }

    /// A PCI address in domain 0.
    #[must_use]
    pub fn pci(bus: u8, slot: u8, function: u8) -> Self {
        Self::Pci(PciAddress {
            bus: Hex(bus.into()),
            slot: Hex(slot.into()),
            function: Hex(function.into()),
            ..PciAddress::default()
        })
    }
}

/// Gives `part` what it knows of `node`; `type` is ours.
fn read_part<P: Part>(node: Node<'_>) -> Result<P> {
    let mut part = P::default();
    for (name, value) in node.attrs() {
        if name != "type" && !part.attr(name, value)? {
            node.unknown_attr(name, P::ATTRS);
        }
    }
    for child in node.children() {
        if !part.child(child.name(), child)? {
            child.unknown(P::CHILDREN);
        }
    }
    Ok(part)
}

impl Element for PciAddress {
    const SHAPE: &'static Shape = shape!(PciAddress: attr AddressType = "type", part Self);
    fn read(node: Node<'_>) -> Result<Self> {
        let pci: Self = read_part(node)?;
        for (field, value, max) in
            [("domain", pci.domain.0, 0xffff), ("bus", pci.bus.0, 0xff), ("slot", pci.slot.0, 0x1f)]
        {
            if value > max {
                return Err(node.error(format_args!(
                    "Invalid PCI address {field}='0x{value:x}', must be <= 0x{max:X}"
                )));
            }
        }
        if pci.function.0 > 7 {
            return Err(node.error(format_args!(
                "Invalid PCI address function=0x{:x}, must be <= 7",
                pci.function.0
            )));
        }
        Ok(pci)
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        self.write_attrs(out);
        self.write_body(out);
        out.end(tag);
    }
}

impl Element for Address {
    const SHAPE: &'static Shape = shape!(Address:
        required AddressType = "type",
        case "type" ["pci"] { part PciAddress },
        case "type" ["drive"] { part DriveAddress },
        case "type" ["virtio-serial"] {
            required u32 = "controller", attr u32 = "bus", attr u32 = "port"
        },
        case "type" ["ccid"] { required u32 = "controller", attr u32 = "slot" },
        case "type" ["usb"] { required u32 = "bus", attr UsbPort = "port", attr u32 = "device" },
        case "type" ["spapr-vio"] { attr kinds::Uint32 = "reg" },
        case "type" ["ccw"] { part CcwAddress },
        case "type" ["isa"] { attr Hex<1> = "iobase", attr Hex<1> = "irq" },
        case "type" ["dimm"] { attr Hex<1> = "slot", attr Hex<1> = "base" }
    );
    fn read(node: Node<'_>) -> Result<Self> {
        let number = |name| -> Result<u32> { Ok(node.get::<u32>(name)?.unwrap_or_default()) };
        Ok(match node.need::<AddressType>("type")? {
            AddressType::Pci => Self::Pci(PciAddress::read(node)?),
            AddressType::Drive => Self::Drive(read_part(node)?),
            AddressType::VirtioSerial => Self::VirtioSerial {
                controller: number("controller")?,
                bus: number("bus")?,
                port: number("port")?,
            },
            AddressType::Ccid => {
                Self::Ccid { controller: number("controller")?, slot: number("slot")? }
            }
            AddressType::Usb => {
                Self::Usb { bus: number("bus")?, port: node.get("port")?.unwrap_or_default() }
            }
            AddressType::SpaprVio => Self::SpaprVio { reg: node.get("reg")? },
            AddressType::Ccw => Self::Ccw(read_part(node)?),
            AddressType::VirtioMmio => Self::VirtioMmio,
            AddressType::Isa => Self::Isa { iobase: node.get("iobase")?, irq: node.get("irq")? },
            AddressType::Dimm => Self::Dimm { slot: dimm_slot(node)?, base: node.get("base")? },
            AddressType::Unassigned => Self::Unassigned,
            AddressType::VirtioS390 => {
                return Err(node.error("virtio-s390 bus doesn't have an address"));
            }
        })
    }

    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        out.attr("type", &self.kind());
        match self {
            Self::Pci(pci) => {
                pci.write_attrs(out);
                pci.write_body(out);
            }
            Self::Drive(drive) => drive.write_attrs(out),
            Self::VirtioSerial { controller, bus, port } => {
                out.attr("controller", controller);
                out.attr("bus", bus);
                out.attr("port", port);
            }
            Self::Ccid { controller, slot } => {
                out.attr("controller", controller);
                out.attr("slot", slot);
            }
            Self::Usb { bus, port } => {
                out.attr("bus", bus);
                if !port.0.is_empty() {
                    out.attr("port", port);
                }
            }
            Self::SpaprVio { reg } => out.opt("reg", reg.as_ref()),
            Self::Ccw(ccw) => ccw.write_attrs(out),
            Self::Isa { iobase, irq } => {
                out.opt("iobase", iobase.as_ref());
                out.opt("irq", irq.as_ref());
            }
            Self::Dimm { slot, base } => {
                out.opt("slot", slot.as_ref());
                out.opt("base", base.as_ref());
            }
            Self::VirtioMmio | Self::Unassigned => {}
        }
        out.end(tag);
    }
}

/// A memory slot may be given in any base.
fn dimm_slot(node: Node<'_>) -> Result<Option<u32>> {
    let Some(slot) = node.attr("slot") else { return Ok(None) };
    let number = c_number(slot.text()).and_then(|number| u32::try_from(number).ok());
    number.map(Some).ok_or_else(|| slot.invalid(&u32::ALLOWED))
}

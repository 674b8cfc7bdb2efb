// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<capability type='pci'>`: a PCI device, its functions, its IOMMU group and its link.

use virtus_api::Result;

use super::capability::{Kind, Sub, sub_capabilities};
use super::mdev::MdevTypes;
use super::vpd::Vpd;
use crate::domain::address::PciAddress;
use crate::reader::Node;
use crate::schema::{Piece, kinds};
use crate::value::HexId;

/// A device of the host is named whole.
const ADDRESS: &[Piece] = pieces!(
    required kinds::PciDomain = "domain",
    required kinds::PciBus = "bus",
    required kinds::PciSlot = "slot",
    required kinds::PciFunction = "function"
);

part! {
    /// What a PCI device can do.
    pub struct PciDevice {
        leaf class: Option<HexId<6>> = "class",
        needed domain: u32 = "domain",
        needed bus: u32 = "bus",
        needed slot: u32 = "slot",
        needed function: u32 = "function",
        child product: Option<Identity> = "product",
        child vendor: Option<Identity> = "vendor",
        part physical_function: Sub<PhysicalFunction>,
        part virtual_functions: Sub<VirtualFunctions>,
        part pci_bridge: Sub<PciBridge>,
        part cardbus_bridge: Sub<CardbusBridge>,
        part mdev_types: Sub<MdevTypes>,
        part vpd: Sub<Vpd>,
        child iommu_group: Option<IommuGroup> = "iommuGroup",
        child numa: Option<NumaNode> = "numa",
        child express: Option<PciExpress> = "pci-express"
    }
    schema {
        pieces (sub_capabilities!(PhysicalFunction, VirtualFunctions, PciBridge, CardbusBridge, MdevTypes, Vpd)),
        one Identity = "product",
        one Identity = "vendor"
    }
}

element! {
    /// `<product id='0x1234'>name</product>`: an identifier and what it stands for.
    pub struct Identity {
        required id: HexId<4> = "id",
        text name: Option<String>
    }
}

part! {
    /// The physical function that a virtual one belongs to.
    pub struct PhysicalFunction { child address: Option<PciAddress> = "address" }
    schema { child (pieces (ADDRESS)) = "address" }
}

part! {
    /// The virtual functions of a physical one.
    pub struct VirtualFunctions {
        attr max_count: Option<u32> = "maxCount",
        child addresses: Vec<PciAddress> = "address"
    }
    schema { many (pieces (ADDRESS)) = "address" }
}

part! {
    /// A bridge to another PCI bus.
    pub struct PciBridge {}
}

part! {
    /// A bridge to a CardBus.
    pub struct CardbusBridge {}
}

element! {
    /// `<iommuGroup>`: the devices that can only be given to a guest together.
    pub struct IommuGroup {
        attr number: u32 = "number",
        child addresses: Vec<PciAddress> = "address"
    }
    schema { required u32 = "number", some (pieces (ADDRESS)) = "address" }
}

element! {
    /// `<numa node='0'/>`: which memory is near.
    pub struct NumaNode { attr node: Option<i32> = "node" }
}

element! {
    /// `<pci-express>`: what the link can do and how it is.
    pub struct PciExpress { child links: Vec<PciLink> = "link" }
}

element! {
    /// `<link>`.
    pub struct PciLink {
        required validity: LinkValidity = "validity",
        attr port: Option<u32> = "port",
        attr speed: Option<LinkSpeed> = "speed",
        required width: u32 = "width"
    }
}

spellings! {
    /// Whether a link's values are what it can do or what it does.
    pub enum LinkValidity { Capability = "cap", Status = "sta" }
}

spellings! {
    /// Speed of a link in GT/s.
    pub enum LinkSpeed {
        G2_5 = "2.5", G5 = "5", G8 = "8", G16 = "16", G32 = "32", G64 = "64",
    }
}

impl Kind for PciDevice {
    const KIND: &'static str = "pci";

    fn check(&mut self, node: Node<'_>) -> Result<()> {
        for (tag, identity) in [("product", &mut self.product), ("vendor", &mut self.vendor)] {
            let identity = identity.as_mut().ok_or_else(|| node.missing_child(tag))?;
            identity.name.take_if(|name| name.is_empty());
        }
        self.iommu_group.take_if(|group| group.addresses.is_empty());
        self.numa.take_if(|numa| numa.node.is_none_or(|node| node < 0));
        if let Some(express) = &mut self.express {
            express.links.sort_by_key(|link| link.validity);
            express.links.dedup_by_key(|link| link.validity);
        }
        Ok(())
    }
}

impl Kind for PhysicalFunction {
    const KIND: &'static str = "phys_function";

    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.address.is_none() {
            return Err(node.error("Missing address in 'phys_function' capability"));
        }
        Ok(())
    }
}

impl Kind for VirtualFunctions {
    const KIND: &'static str = "virt_functions";

    fn check(&mut self, _: Node<'_>) -> Result<()> {
        self.max_count.take_if(|count| *count == 0);
        Ok(())
    }
}

impl Kind for PciBridge {
    const KIND: &'static str = "pci-bridge";
}

impl Kind for CardbusBridge {
    const KIND: &'static str = "cardbus-bridge";
}

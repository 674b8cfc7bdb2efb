// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which PCI slot each device gets, in the order that libvirt has always had, and the bridges that this takes.

pub(crate) mod bus_set;
mod chipset;
mod connect;
mod slots;

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::address::{Address, PciAddress};
use virtus_xml::domain::controller::{ControllerType, PciModel, PciTarget};
use virtus_xml::domain::device::Device;
use virtus_xml::domain::devices::Devices;
use virtus_xml::value::{Hex, OnOff};

use self::bus_set::{Bus, BusModel, BusSet, Connect, Place};
pub(crate) use self::slots::{Slot, slots};
use super::builtin::{add_controller, has_controller};
use crate::caps::{Capabilities, Flag};
use crate::machine::{has_pci, is_i440fx, is_pseries, is_q35, machine};

/// Whether the machine's root bus is PCI Express.
pub(crate) fn has_pcie_root(domain: &Domain) -> bool {
    root_model(domain) == Some("pcie-root")
}

fn root_model(domain: &Domain) -> Option<&str> {
    domain
        .devices
        .controllers
        .iter()
        .find(|c| c.kind == ControllerType::Pci && c.index == Some(0))
        .and_then(|controller| controller.model.as_deref())
}

/// The place in an address, if it names one.
pub(super) fn present(info: &Device) -> Option<Place> {
    let Some(Address::Pci(pci)) = &info.address else { return None };
    let place = place(pci);
    (place != Place::default()).then_some(place)
}

/// Whether a PCI device still needs a place.
pub(super) fn wanted(info: &Device) -> bool {
    match &info.address {
        None => true,
        Some(Address::Pci(pci)) => place(pci) == Place::default(),
        Some(_) => false,
    }
}

fn place(pci: &PciAddress) -> Place {
    let small = |hex: u64| u8::try_from(hex).unwrap_or(u8::MAX);
    Place {
        domain: u32::try_from(pci.domain.0).unwrap_or(u32::MAX),
        bus: u32::try_from(pci.bus.0).unwrap_or(u32::MAX),
        slot: small(pci.slot.0),
        function: small(pci.function.0),
    }
}

/// Writes a place into a device's address; what else stands there is kept.
pub(super) fn store(info: &mut Device, place: Place) {
    let mut pci = match &info.address {
        Some(Address::Pci(pci)) => *pci,
        _ => PciAddress::default(),
    };
    pci.domain = Hex(place.domain.into());
    pci.bus = Hex(place.bus.into());
    pci.slot = Hex(place.slot.into());
    pci.function = Hex(place.function.into());
    info.address = Some(Address::Pci(pci));
}

/// One pass over all devices: the first finds out which bridges are missing, the second assigns.
pub(super) struct Pass {
    pub(super) set: BusSet,
    /// Whether places are written into the definition.
    pub(super) stores: bool,
}

impl Pass {
    /// Reserves the next place for a device and writes it down.
    pub(super) fn next(
        &mut self,
        info: &mut Device,
        connect: Connect,
        function: Option<u8>,
    ) -> Result<()> {
        let place = self.set.next(connect, 0, function)?;
        if self.stores {
            store(info, place);
        }
        Ok(())
    }
}

/// Assigns all PCI addresses.
pub(super) fn assign(domain: &mut Domain, caps: &Capabilities) -> Result<()> {
    if !has_pci(domain) {
        return Ok(());
    }
    let last = domain
        .devices
        .controllers
        .iter()
        .filter(|controller| controller.kind == ControllerType::Pci)
        .filter_map(|controller| controller.index)
        .max();
    let Some(last) = last else { return no_bus(domain, caps) };
    if last > 255 {
        return Err(Error::new(
            ErrorCode::XmlError,
            format!("PCI controller {last} is beyond the last possible one, 255"),
        ));
    }
    let count = bridges(domain, caps, last)?;
    let mut pass = Pass { set: bus_set(domain, caps, count, false)?, stores: true };
    chipset::reserve(domain, &mut pass)?;
    devices(domain, caps, &mut pass)?;
    multifunction(&mut domain.body.devices);
    controllers(domain, caps)
}

/// Without a bus there must be nothing to plug.
fn no_bus(domain: &Domain, caps: &Capabilities) -> Result<()> {
    let homeless = slots::in_order(domain).into_iter().any(|slot| {
        !connect::of(domain, caps, slot).is_empty()
            && slot.info(&domain.devices).is_some_and(wanted)
    });
    if homeless {
        return Err(Error::new(
            ErrorCode::XmlError,
            format!(
                "No PCI buses available on machine '{}', but a device needs one",
                machine(domain)
            ),
        ));
    }
    Ok(())
}

/// Adds the PCI controllers that are missing; the number of buses.
fn bridges(domain: &mut Domain, caps: &Capabilities, last: u32) -> Result<u32> {
    let mut pass = Pass { set: bus_set(domain, caps, last + 1, true)?, stores: false };
    chipset::reserve(domain, &mut pass)?;
    let root = root_model(domain).map(str::to_owned);
    // Room for one more device, so that a bridge is there when it is plugged.
    if root.as_deref() == Some("pci-root") && !pass.set.is_full() {
        pass.set.next(Connect::AUTO | Connect::PCI_DEVICE, 0, None)?;
    }
    devices(domain, caps, &mut pass)?;
    let grown = pass.set.buses.len() > last as usize + 1;
    if last == 0 && grown && root.as_deref() == Some("pcie-root") {
        // One empty port for hot-plug, if nobody manages the controllers by hand.
        pass.set.next(Connect::AUTO | Connect::PCIE_DEVICE, 0, None)?;
    }
    let mut index = 1;
    while index < pass.set.buses.len() {
        let model = pass.set.buses[index].model;
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        if !has_controller(domain, ControllerType::Pci, number) {
            add_controller(domain, ControllerType::Pci, number, Some(model.word()));
            if !matches!(model, BusModel::PciRoot | BusModel::PcieRoot) {
                pass.set.next(model.connect(), 0, None)?;
            }
        }
        index += 1;
    }
    Ok(u32::try_from(pass.set.buses.len()).unwrap_or(u32::MAX))
}

/// The buses of the definition's controllers, with all stated places taken.
fn bus_set(domain: &Domain, caps: &Capabilities, count: u32, grows: bool) -> Result<BusSet> {
    let default = if is_pseries(domain) {
        BusModel::PciRoot
    } else if has_pcie_root(domain) {
        BusModel::RootPort
    } else {
        BusModel::PciBridge
    };
    let mut set = BusSet {
        buses: (0..count).map(|_| Bus::new(default, true)).collect(),
        grows,
        many_roots: is_pseries(domain),
        pcie_to_pci: caps.has(Flag::PciePciBridge),
    };
    for controller in &domain.devices.controllers {
        if controller.kind != ControllerType::Pci {
            continue;
        }
        let index = controller.index.unwrap_or(0) as usize;
        let word = controller.model.as_deref().unwrap_or_default();
        let model = BusModel::from_word(word).ok_or_else(|| {
            Error::new(
                ErrorCode::XmlError,
                format!("PCI controller {index} has an unknown model '{word}'"),
            )
        })?;
        let hotplug = controller.target.as_ref().and_then(|target| target.hotplug);
        if let Some(bus) = set.buses.get_mut(index) {
            *bus = Bus::new(model, hotplug != Some(OnOff::Off));
        }
    }
    for slot in slots(&domain.devices) {
        let Some(place) = slot.info(&domain.devices).and_then(present) else { continue };
        if chipset::is_piix3(domain, slot, place) {
            if !set.root_is_conventional() {
                return Err(Error::new(
                    ErrorCode::XmlError,
                    "Bus 0 must be PCI for integrated PIIX3 USB or IDE controllers",
                ));
            }
            continue;
        }
        let mut connect = connect::of(domain, caps, slot);
        if connect.is_empty() {
            connect = Connect::PCI_DEVICE;
        }
        set.take(place, connect, 0)?;
    }
    Ok(set)
}

/// Reserves a place for every device that has none.
fn devices(domain: &mut Domain, caps: &Capabilities, pass: &mut Pass) -> Result<()> {
    for slot in slots::in_order(domain) {
        let connect = connect::of(domain, caps, slot);
        if connect.is_empty() {
            continue;
        }
        if let Slot::Controller(at) = slot
            && domain.devices.controllers[at].is_usb2()
        {
            companion(domain, at, connect, pass)?;
            continue;
        }
        let Some(info) = slot.info_mut(&mut domain.body.devices) else { continue };
        if wanted(info) {
            pass.next(info, connect, None)?;
        }
    }
    Ok(())
}

fn companion(domain: &mut Domain, at: usize, connect: Connect, pass: &mut Pass) -> Result<()> {
    let controllers = &mut domain.body.devices.controllers;
    if !wanted(&controllers[at].info) {
        return Ok(());
    }
    let index = controllers[at].index;
    let twin = controllers
        .iter()
        .filter(|other| other.is_usb2() && other.index == index)
        .find_map(|other| present(&other.info));
    let (function, first) = match controllers[at].model.as_deref() {
        Some("ich9-ehci1") => (7, false),
        Some("ich9-uhci2") => (1, false),
        Some("ich9-uhci3") => (2, false),
        _ => (0, true),
    };
    let info = &mut controllers[at].info;
    match twin {
        Some(twin) => {
            let place = Place { function, ..twin };
            pass.set.take(place, connect, 0)?;
            store(info, place);
        }
        None => pass.next(info, connect, Some(function))?,
    }
    if let (true, Some(Address::Pci(pci))) = (first && pass.stores, &mut info.address) {
        pci.multifunction = Some(OnOff::On);
    }
    Ok(())
}

/// Marks function 0 of each slot that has others.
fn multifunction(devices: &mut Devices) {
    let all = slots(devices);
    let others: Vec<Place> = all
        .iter()
        .filter_map(|slot| slot.info(devices).and_then(present))
        .filter(|place| place.function != 0)
        .collect();
    for slot in all {
        let Some(info) = slot.info_mut(devices) else { continue };
        let Some(place) = present(info).filter(|place| place.function == 0) else { continue };
        let shared = others.iter().any(|other| Place { function: 0, ..*other } == place);
        if let (true, Some(Address::Pci(pci))) = (shared, &mut info.address) {
            pci.multifunction.get_or_insert(OnOff::On);
        }
    }
}

/// Fills in what a PCI controller says of itself.
fn controllers(domain: &mut Domain, caps: &Capabilities) -> Result<()> {
    let pseries = is_pseries(domain);
    for at in 0..domain.devices.controllers.len() {
        let controller = &domain.devices.controllers[at];
        if controller.kind != ControllerType::Pci {
            continue;
        }
        let index = controller.index.unwrap_or(0);
        let at_place = present(&controller.info).unwrap_or_default();
        let Some(model) = controller.model.as_deref().and_then(BusModel::from_word) else {
            continue;
        };
        let name = default_name(model, caps, pseries);
        let bus_nr = matches!(model, BusModel::Expander | BusModel::PcieExpander)
            .then(|| free_bus_number(&domain.devices))
            .flatten();
        let target_index = (pseries && model == BusModel::PciRoot)
            .then(|| free_target_index(&domain.devices, index));
        if model == BusModel::PciBridge && index <= at_place.bus {
            return Err(Error::new(
                ErrorCode::ConfigUnsupported,
                format!(
                    "PCI bridge {index} is plugged into bus {}, which must be smaller",
                    at_place.bus
                ),
            ));
        }
        let controller = &mut domain.body.devices.controllers[at];
        if controller.pci_model.is_none() {
            controller.pci_model = name.map(|name| PciModel { name: name.to_owned() });
        }
        let mut target = controller.target.clone().unwrap_or_default();
        match model {
            BusModel::PciBridge => {
                target.chassis_nr.get_or_insert(index);
            }
            BusModel::RootPort => {
                target.chassis.get_or_insert(index);
                let port = (u64::from(at_place.slot) << 3) + u64::from(at_place.function);
                target.port.get_or_insert(Hex(port));
            }
            BusModel::DownstreamPort => {
                target.chassis.get_or_insert(index);
                target.port.get_or_insert(Hex(at_place.slot.into()));
            }
            BusModel::Expander | BusModel::PcieExpander => {
                target.bus_nr = target.bus_nr.or(bus_nr);
            }
            BusModel::PciRoot => target.index = target.index.or(target_index),
            _ => {}
        }
        controller.target = (target != PciTarget::default()).then_some(target);
    }
    Ok(())
}

fn default_name(model: BusModel, caps: &Capabilities, pseries: bool) -> Option<&'static str> {
    Some(match model {
        BusModel::PciBridge => "pci-bridge",
        BusModel::DmiToPci => "i82801b11-bridge",
        BusModel::PcieToPci => "pcie-pci-bridge",
        BusModel::RootPort if caps.has(Flag::PcieRootPort) => "pcie-root-port",
        BusModel::RootPort => "ioh3420",
        BusModel::UpstreamPort => "x3130-upstream",
        BusModel::DownstreamPort => "xio3130-downstream",
        BusModel::Expander => "pxb",
        BusModel::PcieExpander => "pxb-pcie",
        BusModel::PciRoot if pseries => "spapr-pci-host-bridge",
        BusModel::PciRoot | BusModel::PcieRoot => return None,
    })
}

/// The bus number of a new expander: below the others, with room for one bus behind it.
fn free_bus_number(devices: &Devices) -> Option<u32> {
    let lowest = devices
        .controllers
        .iter()
        .filter_map(|controller| controller.target.as_ref().and_then(|target| target.bus_nr))
        .min()
        .unwrap_or(256);
    lowest.checked_sub(2).filter(|number| *number > 0)
}

fn free_target_index(devices: &Devices, index: u32) -> u32 {
    if index == 0 {
        return 0;
    }
    let used = |number: u32| {
        devices.controllers.iter().any(|controller| {
            controller.target.as_ref().and_then(|target| target.index) == Some(number)
        })
    };
    (1..=31).find(|number| !used(*number)).unwrap_or(1)
}

/// Whether the machine has one of the two chipsets of PCs.
pub(super) fn chipset_of(domain: &Domain) -> Option<&'static str> {
    if is_i440fx(domain) {
        Some("i440fx")
    } else if is_q35(domain) {
        Some("q35")
    } else {
        None
    }
}

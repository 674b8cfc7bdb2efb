// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which slots of which PCI bus are taken, and where the next device goes.
//!
//! The rules are libvirt's, because a guest must see its devices where it saw them under libvirt: what a bus
//! accepts, which buses take devices that did not ask for a place, and which controller is added when nothing is
//! free. Invariant: a function of a slot is reserved at most once. Only a set that may grow adds buses.

use bitflags::bitflags;
use virtus_api::{Error, ErrorCode, Result};

bitflags! {
    /// What a device wants of a bus, or what a bus accepts.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Connect: u32 {
        /// The place may be, or was, chosen by us.
        const AUTO = 1;
        const HOTPLUG = 1 << 1;
        /// Several of these may share a slot.
        const AGGREGATE = 1 << 2;
        /// Built into the root complex: only bus 0 will do.
        const INTEGRATED = 1 << 3;
        const PCI_DEVICE = 1 << 4;
        const PCIE_DEVICE = 1 << 5;
        const ROOT_PORT = 1 << 6;
        const UPSTREAM_PORT = 1 << 7;
        const DOWNSTREAM_PORT = 1 << 8;
        const DMI_TO_PCI = 1 << 9;
        const PCIE_TO_PCI = 1 << 10;
        const PCI_BRIDGE = 1 << 11;
        const EXPANDER = 1 << 12;
        const PCIE_EXPANDER = 1 << 13;
        /// Every kind of plug.
        const KINDS = Self::PCI_DEVICE.bits() | Self::PCIE_DEVICE.bits() | Self::ROOT_PORT.bits()
            | Self::UPSTREAM_PORT.bits() | Self::DOWNSTREAM_PORT.bits() | Self::DMI_TO_PCI.bits()
            | Self::PCIE_TO_PCI.bits() | Self::PCI_BRIDGE.bits() | Self::EXPANDER.bits()
            | Self::PCIE_EXPANDER.bits();
        const ENDPOINTS = Self::PCI_DEVICE.bits() | Self::PCIE_DEVICE.bits();
    }
}

/// A PCI controller seen from below: the bus that it provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BusModel {
    PciRoot,
    PcieRoot,
    PciBridge,
    DmiToPci,
    PcieToPci,
    RootPort,
    UpstreamPort,
    DownstreamPort,
    Expander,
    PcieExpander,
}

impl BusModel {
    const WORDS: [(Self, &'static str); 10] = [
        (Self::PciRoot, "pci-root"),
        (Self::PcieRoot, "pcie-root"),
        (Self::PciBridge, "pci-bridge"),
        (Self::DmiToPci, "dmi-to-pci-bridge"),
        (Self::PcieToPci, "pcie-to-pci-bridge"),
        (Self::RootPort, "pcie-root-port"),
        (Self::UpstreamPort, "pcie-switch-upstream-port"),
        (Self::DownstreamPort, "pcie-switch-downstream-port"),
        (Self::Expander, "pci-expander-bus"),
        (Self::PcieExpander, "pcie-expander-bus"),
    ];

    /// The model with this word in a `<controller>`.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(model, _)| *model)
    }

    /// The word in a `<controller>`.
    pub(crate) fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(known, _)| *known == self).map_or("", |(_, word)| word)
    }

    /// What the controller itself needs of the bus above it.
    pub(crate) fn connect(self) -> Connect {
        match self {
            Self::PciRoot | Self::PcieRoot => Connect::empty(),
            Self::PciBridge => Connect::PCI_BRIDGE,
            Self::Expander => Connect::EXPANDER,
            Self::PcieExpander => Connect::PCIE_EXPANDER,
            Self::DmiToPci => Connect::DMI_TO_PCI,
            Self::PcieToPci => Connect::PCIE_TO_PCI,
            Self::RootPort => Connect::ROOT_PORT | Connect::AGGREGATE,
            Self::UpstreamPort => Connect::UPSTREAM_PORT,
            Self::DownstreamPort => Connect::DOWNSTREAM_PORT,
        }
    }

    /// What its bus accepts, and its first and last slot.
    fn accepts(self) -> (Connect, u8, u8) {
        let legacy = Connect::AUTO | Connect::PCI_DEVICE | Connect::PCI_BRIDGE;
        match self {
            Self::PciRoot => (legacy | Connect::EXPANDER | Connect::HOTPLUG, 1, 31),
            Self::PciBridge | Self::PcieToPci => (legacy | Connect::HOTPLUG, 1, 31),
            Self::Expander => (legacy | Connect::HOTPLUG, 0, 31),
            Self::PcieRoot => (
                Connect::PCIE_DEVICE
                    | Connect::ROOT_PORT
                    | Connect::DMI_TO_PCI
                    | Connect::PCIE_EXPANDER,
                1,
                31,
            ),
            Self::DmiToPci => (Connect::PCI_DEVICE | Connect::PCI_BRIDGE, 0, 31),
            Self::RootPort | Self::DownstreamPort => (
                Connect::AUTO
                    | Connect::PCIE_DEVICE
                    | Connect::UPSTREAM_PORT
                    | Connect::PCIE_TO_PCI
                    | Connect::HOTPLUG,
                0,
                0,
            ),
            Self::UpstreamPort => (Connect::DOWNSTREAM_PORT, 0, 31),
            Self::PcieExpander => (Connect::ROOT_PORT | Connect::DMI_TO_PCI, 0, 31),
        }
    }
}

/// A place on a bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) domain: u32,
    pub(crate) bus: u32,
    pub(crate) slot: u8,
    pub(crate) function: u8,
}

impl Place {
    /// A place on bus 0.
    pub(crate) fn root(slot: u8, function: u8) -> Self {
        Self { slot, function, ..Self::default() }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { domain, bus, slot, function } = self;
        write!(f, "{domain:04x}:{bus:02x}:{slot:02x}.{function:x}")
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    functions: u8,
    aggregate: bool,
}

/// One bus.
#[derive(Debug, Clone)]
pub(crate) struct Bus {
    pub(crate) model: BusModel,
    accepts: Connect,
    first: u8,
    last: u8,
    slots: [Slot; 32],
    /// Host devices of one group may share a bus with each other only (pSeries).
    pub(crate) group: u32,
    pub(crate) group_locked: bool,
}

impl Bus {
    pub(crate) fn new(model: BusModel, hotplug: bool) -> Self {
        let (mut accepts, first, last) = model.accepts();
        if !hotplug {
            accepts.remove(Connect::HOTPLUG);
        }
        Self {
            model,
            accepts,
            first,
            last,
            slots: [Slot::default(); 32],
            group: 0,
            group_locked: false,
        }
    }

    fn range(&self) -> &[Slot] {
        &self.slots[usize::from(self.first)..=usize::from(self.last)]
    }

    fn is_full(&self) -> bool {
        self.range().iter().all(|slot| slot.functions != 0)
    }

    fn is_empty(&self) -> bool {
        self.range().iter().all(|slot| slot.functions == 0)
    }
}

/// All buses of a machine.
#[derive(Debug, Clone)]
pub(crate) struct BusSet {
    pub(crate) buses: Vec<Bus>,
    /// Whether buses are added when nothing is free.
    pub(crate) grows: bool,
    /// Whether a machine may have several `pci-root` (pSeries).
    pub(crate) many_roots: bool,
    /// Whether QEMU has the PCIe-to-PCI bridge.
    pub(crate) pcie_to_pci: bool,
}

impl BusSet {
    /// Whether any function of the slot is taken.
    pub(crate) fn in_use(&self, place: Place) -> bool {
        self.buses
            .get(place.bus as usize)
            .and_then(|bus| bus.slots.get(usize::from(place.slot)))
            .is_some_and(|slot| slot.functions != 0)
    }

    /// Whether no bus has a free slot.
    pub(crate) fn is_full(&self) -> bool {
        self.buses.iter().all(Bus::is_full)
    }

    /// Whether bus 0 takes conventional devices.
    pub(crate) fn root_is_conventional(&self) -> bool {
        self.buses.first().is_none_or(|bus| bus.accepts.contains(Connect::PCI_DEVICE))
    }

    /// Reserves the place that the definition names.
    pub(crate) fn take(&mut self, place: Place, connect: Connect, group: u32) -> Result<()> {
        self.reserve(place, connect, group, true)
    }

    /// Reserves the next place that suits; `function` if a certain one is wanted.
    pub(crate) fn next(
        &mut self,
        connect: Connect,
        group: u32,
        function: Option<u8>,
    ) -> Result<Place> {
        let place = self.find(connect, group, function)?;
        self.reserve(place, connect, group, false)?;
        Ok(place)
    }

    fn reserve(&mut self, place: Place, connect: Connect, group: u32, given: bool) -> Result<()> {
        if self.grows {
            let mut wanted = place;
            self.grow(&mut wanted, connect)?;
        }
        self.check(place, connect, given)?;
        let bus = &mut self.buses[place.bus as usize];
        let was_empty = bus.is_empty();
        let slot = &mut bus.slots[usize::from(place.slot)];
        let bit = 1u8 << place.function;
        if slot.functions & bit != 0 {
            return Err(refuse(
                given,
                format!("PCI address {place} is given to more than one device"),
            ));
        }
        if slot.functions == 0 && connect.contains(Connect::AGGREGATE) {
            slot.aggregate = true;
        }
        slot.functions |= bit;
        if was_empty && !bus.group_locked {
            bus.group = group;
        } else if bus.group != group && given {
            bus.group = 0;
        }
        Ok(())
    }

    /// Whether the place exists and its bus accepts the device.
    pub(crate) fn check(&self, place: Place, connect: Connect, given: bool) -> Result<()> {
        if place.domain != 0 {
            return Err(refuse(given, format!("PCI address {place} is not in PCI domain 0")));
        }
        let Some(bus) = self.buses.get(place.bus as usize) else {
            let text = match self.buses.len() {
                0 => format!("PCI address {place} is used but the machine has no PCI bus"),
                count => format!("PCI address {place} is beyond the last PCI bus, {}", count - 1),
            };
            return Err(refuse(given, text));
        };
        if let Some(why) = misfit(bus.accepts, place, connect, given) {
            return Err(refuse(given, why));
        }
        if place.slot < bus.first || place.slot > bus.last || place.function > 7 {
            return Err(refuse(
                given,
                format!(
                    "PCI address {place} does not exist: the bus has slots {} to {} of functions 0 to 7",
                    bus.first, bus.last
                ),
            ));
        }
        Ok(())
    }

    fn find(&mut self, connect: Connect, group: u32, function: Option<u8>) -> Result<Place> {
        if self.buses.is_empty() {
            return Err(refuse(
                true,
                "a device needs a PCI bus but the machine has none".to_owned(),
            ));
        }
        let suits = |bus: &Bus, index: usize| free_on(bus, index, connect, function);
        let same_group = self.buses.iter().enumerate().filter(|(_, bus)| bus.group == group);
        let unused =
            self.buses.iter().enumerate().filter(|(_, bus)| bus.is_empty() && !bus.group_locked);
        if let Some(place) = same_group.chain(unused).find_map(|(index, bus)| suits(bus, index)) {
            return Ok(place);
        }
        if !self.grows {
            return Err(refuse(true, "no PCI slot is free for a device".to_owned())
                .hint("add a <controller type='pci'> or remove the device's <address>"));
        }
        let bus = u32::try_from(self.buses.len()).unwrap_or(u32::MAX);
        let mut place = Place { bus, function: function.unwrap_or(0), ..Place::default() };
        self.grow(&mut place, connect)?;
        place.slot = self.buses[place.bus as usize].first;
        Ok(place)
    }

    /// Adds buses until `place` exists. May move `place` one bus further.
    fn grow(&mut self, place: &mut Place, connect: Connect) -> Result<()> {
        let len = self.buses.len();
        if (place.bus as usize) < len {
            return Ok(());
        }
        let mut missing = place.bus as usize - len + 1;
        if missing > 256 {
            return Err(refuse(
                true,
                format!("PCI address {place} is beyond the last possible bus"),
            ));
        }
        let mut bridge_first = false;
        let model = if connect.contains(Connect::PCI_DEVICE) {
            if self.many_roots {
                BusModel::PciRoot
            } else {
                bridge_first =
                    !self.buses.iter().any(|bus| bus.accepts.contains(Connect::PCI_BRIDGE));
                if bridge_first && missing == 1 {
                    // A guest that has only PCIe gets a second controller, which carries the conventional bus.
                    missing += 1;
                    place.bus += 1;
                }
                BusModel::PciBridge
            }
        } else if connect.intersects(Connect::PCIE_DEVICE | Connect::UPSTREAM_PORT) {
            BusModel::RootPort
        } else {
            return Err(refuse(
                true,
                "no PCI slot is free for a PCI controller, and none can be added for it".to_owned(),
            ));
        };
        let end = len + missing;
        if bridge_first && self.pcie_to_pci {
            // The port is kept for the bridge, so that it is not taken for the spare hot-plug port.
            let mut port = Bus::new(BusModel::RootPort, true);
            port.accepts = Connect::PCIE_TO_PCI;
            self.buses.push(port);
            self.buses.push(Bus::new(BusModel::PcieToPci, true));
        } else if bridge_first {
            self.buses.push(Bus::new(BusModel::DmiToPci, false));
        }
        while self.buses.len() < end {
            self.buses.push(Bus::new(model, true));
        }
        Ok(())
    }
}

/// The first free place on a bus that accepts the device.
fn free_on(bus: &Bus, index: usize, connect: Connect, function: Option<u8>) -> Option<Place> {
    let index = u32::try_from(index).ok()?;
    let wanted = function.unwrap_or(0);
    let probe = Place { bus: index, function: wanted, ..Place::default() };
    if misfit(bus.accepts, probe, connect, false).is_some() {
        return None;
    }
    (bus.first..=bus.last).find_map(|number| {
        let slot = bus.slots[usize::from(number)];
        let place = |function| Place { slot: number, function, ..probe };
        if slot.functions == 0 {
            return Some(place(wanted));
        }
        if !(connect.contains(Connect::AGGREGATE) && slot.aggregate) {
            return None;
        }
        let free = |function: u8| slot.functions & (1 << function) == 0;
        match function {
            Some(function) => free(function).then(|| place(function)),
            None => (0..8).find(|function| free(*function)).map(place),
        }
    })
}

/// Why a device does not go onto a bus, if so.
fn misfit(accepts: Connect, place: Place, connect: Connect, given: bool) -> Option<String> {
    let (mut accepts, mut connect) = (accepts, connect);
    if connect.contains(Connect::INTEGRATED) {
        if place.bus != 0 {
            return Some(format!("the device at PCI address {place} can only be on bus 0"));
        }
        accepts |= Connect::AUTO;
        connect -= Connect::HOTPLUG;
        // What is soldered in speaks whatever its bus does.
        if accepts.intersects(Connect::ENDPOINTS) {
            accepts |= Connect::ENDPOINTS;
        }
    }
    if given {
        // Whoever names the place may put a PCI device into a PCIe slot and the reverse.
        if accepts.intersects(Connect::ENDPOINTS) {
            accepts |= Connect::ENDPOINTS;
        }
        if connect.contains(Connect::PCI_BRIDGE) {
            connect |= Connect::PCI_DEVICE;
        }
    } else if connect.contains(Connect::AUTO) && !accepts.contains(Connect::AUTO) {
        return Some(format!("PCI controller {} takes no device without an <address>", place.bus));
    }
    if connect.contains(Connect::HOTPLUG) && !accepts.contains(Connect::HOTPLUG) {
        return Some(format!(
            "the device at PCI address {place} needs hot-plug, which PCI controller {} lacks",
            place.bus
        ));
    }
    if !(connect & accepts).intersects(Connect::KINDS) {
        return Some(format!(
            "the device at PCI address {place} cannot be plugged into PCI controller {}: it needs a \
             controller that accepts {}",
            place.bus,
            plug_name(connect)
        ));
    }
    None
}

fn plug_name(connect: Connect) -> &'static str {
    [
        (Connect::PCI_DEVICE, "a conventional PCI device"),
        (Connect::PCIE_DEVICE, "a PCI Express device"),
        (Connect::ROOT_PORT, "a pcie-root-port"),
        (Connect::UPSTREAM_PORT, "a pcie-switch-upstream-port"),
        (Connect::DOWNSTREAM_PORT, "a pcie-switch-downstream-port"),
        (Connect::DMI_TO_PCI, "a dmi-to-pci-bridge"),
        (Connect::PCIE_TO_PCI, "a pcie-to-pci-bridge"),
        (Connect::EXPANDER, "a pci-expander-bus"),
        (Connect::PCIE_EXPANDER, "a pcie-expander-bus"),
        (Connect::PCI_BRIDGE, "a pci-bridge"),
    ]
    .into_iter()
    .find(|(kind, _)| connect.contains(*kind))
    .map_or("this kind of device", |(_, name)| name)
}

fn refuse(given: bool, text: String) -> Error {
    let code = if given { ErrorCode::XmlError } else { ErrorCode::ConfigUnsupported };
    Error::new(code, text)
}

#[cfg(test)]
mod tests;

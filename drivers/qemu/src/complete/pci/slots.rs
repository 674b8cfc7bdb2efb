// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All devices that may have an address, by kind and place in the definition.

use virtus_xml::Domain;
use virtus_xml::domain::controller::ControllerType;
use virtus_xml::domain::device::Device;
use virtus_xml::domain::devices::Devices;
use virtus_xml::domain::disk::DiskBus;
use virtus_xml::domain::interface::InterfaceType;

/// One device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Disk(usize),
    Net(usize),
    Sound(usize),
    Hostdev(usize),
    Video(usize),
    Controller(usize),
    Smartcard(usize),
    Serial(usize),
    Parallel(usize),
    Channel(usize),
    Console(usize),
    Input(usize),
    Filesystem(usize),
    Watchdog(usize),
    Balloon,
    Rng(usize),
    Nvram,
    Hub(usize),
    Shmem(usize),
    Tpm(usize),
    Panic(usize),
    Redirdev(usize),
    Memory(usize),
    Iommu,
    Vsock,
    Crypto(usize),
    Pstore,
}

impl Slot {
    /// The device's common part.
    pub(crate) fn info(self, devices: &Devices) -> Option<&Device> {
        Some(match self {
            Self::Disk(at) => &devices.disks.get(at)?.info,
            Self::Net(at) => &devices.interfaces.get(at)?.info,
            Self::Sound(at) => &devices.sounds.get(at)?.info,
            Self::Hostdev(at) => &devices.hostdevs.get(at)?.info,
            Self::Video(at) => &devices.videos.get(at)?.info,
            Self::Controller(at) => &devices.controllers.get(at)?.info,
            Self::Smartcard(at) => &devices.smartcards.get(at)?.info,
            Self::Serial(at) => &devices.serials.get(at)?.info,
            Self::Parallel(at) => &devices.parallels.get(at)?.info,
            Self::Channel(at) => &devices.channels.get(at)?.info,
            Self::Console(at) => &devices.consoles.get(at)?.info,
            Self::Input(at) => &devices.inputs.get(at)?.info,
            Self::Filesystem(at) => &devices.filesystems.get(at)?.info,
            Self::Watchdog(at) => &devices.watchdogs.get(at)?.info,
            Self::Balloon => &devices.memballoon.as_ref()?.info,
            Self::Rng(at) => &devices.rngs.get(at)?.info,
            Self::Nvram => &devices.nvram.as_ref()?.info,
            Self::Hub(at) => &devices.hubs.get(at)?.info,
            Self::Shmem(at) => &devices.shmems.get(at)?.info,
            Self::Tpm(at) => &devices.tpms.get(at)?.info,
            Self::Panic(at) => &devices.panics.get(at)?.info,
            Self::Redirdev(at) => &devices.redirdevs.get(at)?.info,
            Self::Memory(at) => &devices.memories.get(at)?.info,
            Self::Iommu => &devices.iommu.as_ref()?.info,
            Self::Vsock => &devices.vsock.as_ref()?.info,
            Self::Crypto(at) => &devices.cryptos.get(at)?.info,
            Self::Pstore => &devices.pstore.as_ref()?.info,
        })
    }

    /// The device's common part, to be changed.
    pub(crate) fn info_mut(self, devices: &mut Devices) -> Option<&mut Device> {
        Some(match self {
            Self::Disk(at) => &mut devices.disks.get_mut(at)?.info,
            Self::Net(at) => &mut devices.interfaces.get_mut(at)?.info,
            Self::Sound(at) => &mut devices.sounds.get_mut(at)?.info,
            Self::Hostdev(at) => &mut devices.hostdevs.get_mut(at)?.info,
            Self::Video(at) => &mut devices.videos.get_mut(at)?.info,
            Self::Controller(at) => &mut devices.controllers.get_mut(at)?.info,
            Self::Smartcard(at) => &mut devices.smartcards.get_mut(at)?.info,
            Self::Serial(at) => &mut devices.serials.get_mut(at)?.info,
            Self::Parallel(at) => &mut devices.parallels.get_mut(at)?.info,
            Self::Channel(at) => &mut devices.channels.get_mut(at)?.info,
            Self::Console(at) => &mut devices.consoles.get_mut(at)?.info,
            Self::Input(at) => &mut devices.inputs.get_mut(at)?.info,
            Self::Filesystem(at) => &mut devices.filesystems.get_mut(at)?.info,
            Self::Watchdog(at) => &mut devices.watchdogs.get_mut(at)?.info,
            Self::Balloon => &mut devices.memballoon.as_mut()?.info,
            Self::Rng(at) => &mut devices.rngs.get_mut(at)?.info,
            Self::Nvram => &mut devices.nvram.as_mut()?.info,
            Self::Hub(at) => &mut devices.hubs.get_mut(at)?.info,
            Self::Shmem(at) => &mut devices.shmems.get_mut(at)?.info,
            Self::Tpm(at) => &mut devices.tpms.get_mut(at)?.info,
            Self::Panic(at) => &mut devices.panics.get_mut(at)?.info,
            Self::Redirdev(at) => &mut devices.redirdevs.get_mut(at)?.info,
            Self::Memory(at) => &mut devices.memories.get_mut(at)?.info,
            Self::Iommu => &mut devices.iommu.as_mut()?.info,
            Self::Vsock => &mut devices.vsock.as_mut()?.info,
            Self::Crypto(at) => &mut devices.cryptos.get_mut(at)?.info,
            Self::Pstore => &mut devices.pstore.as_mut()?.info,
        })
    }
}

/// All devices, in libvirt's order of walking them.
pub(crate) fn slots(devices: &Devices) -> Vec<Slot> {
    let mut out = Vec::new();
    out.extend((0..devices.disks.len()).map(Slot::Disk));
    out.extend((0..devices.interfaces.len()).map(Slot::Net));
    out.extend((0..devices.sounds.len()).map(Slot::Sound));
    out.extend((0..devices.hostdevs.len()).map(Slot::Hostdev));
    out.extend((0..devices.videos.len()).map(Slot::Video));
    out.extend((0..devices.controllers.len()).map(Slot::Controller));
    out.extend((0..devices.smartcards.len()).map(Slot::Smartcard));
    out.extend((0..devices.serials.len()).map(Slot::Serial));
    out.extend((0..devices.parallels.len()).map(Slot::Parallel));
    out.extend((0..devices.channels.len()).map(Slot::Channel));
    out.extend((0..devices.consoles.len()).map(Slot::Console));
    out.extend((0..devices.inputs.len()).map(Slot::Input));
    out.extend((0..devices.filesystems.len()).map(Slot::Filesystem));
    out.extend((0..devices.watchdogs.len()).map(Slot::Watchdog));
    out.extend(devices.memballoon.iter().map(|_| Slot::Balloon));
    out.extend((0..devices.rngs.len()).map(Slot::Rng));
    out.extend(devices.nvram.iter().map(|_| Slot::Nvram));
    out.extend((0..devices.hubs.len()).map(Slot::Hub));
    out.extend((0..devices.shmems.len()).map(Slot::Shmem));
    out.extend((0..devices.tpms.len()).map(Slot::Tpm));
    out.extend((0..devices.panics.len()).map(Slot::Panic));
    out.extend((0..devices.redirdevs.len()).map(Slot::Redirdev));
    out.extend((0..devices.memories.len()).map(Slot::Memory));
    out.extend(devices.iommu.iter().map(|_| Slot::Iommu));
    out.extend(devices.vsock.iter().map(|_| Slot::Vsock));
    out.extend((0..devices.cryptos.len()).map(Slot::Crypto));
    out.extend(devices.pstore.iter().map(|_| Slot::Pstore));
    out
}

/// The devices that may need a PCI place, in the order in which they get one.
pub(super) fn in_order(domain: &Domain) -> Vec<Slot> {
    let devices = &domain.devices;
    let controllers = |pci: bool| {
        devices
            .controllers
            .iter()
            .enumerate()
            .filter(move |(_, controller)| (controller.kind == ControllerType::Pci) == pci)
            .map(|(at, _)| Slot::Controller(at))
            .collect::<Vec<_>>()
    };
    let mut out = controllers(true);
    out.extend((0..devices.filesystems.len()).map(Slot::Filesystem));
    let passed = |at: &usize| devices.interfaces[*at].kind == InterfaceType::Hostdev;
    out.extend((0..devices.interfaces.len()).filter(|at| !passed(at)).map(Slot::Net));
    out.extend((0..devices.sounds.len()).map(Slot::Sound));
    out.extend(controllers(false));
    out.extend(
        devices
            .disks
            .iter()
            .enumerate()
            .filter(|(_, disk)| disk.target.bus == Some(DiskBus::Virtio))
            .map(|(at, _)| Slot::Disk(at)),
    );
    out.extend((0..devices.interfaces.len()).filter(passed).map(Slot::Net));
    out.extend((0..devices.hostdevs.len()).map(Slot::Hostdev));
    out.extend(devices.memballoon.iter().map(|_| Slot::Balloon));
    out.extend((0..devices.rngs.len()).map(Slot::Rng));
    out.extend((0..devices.watchdogs.len()).map(Slot::Watchdog));
    out.extend((0..devices.videos.len()).map(Slot::Video));
    out.extend((0..devices.shmems.len()).map(Slot::Shmem));
    out.extend((0..devices.inputs.len()).map(Slot::Input));
    out.extend((0..devices.serials.len()).map(Slot::Serial));
    out.extend(devices.iommu.iter().map(|_| Slot::Iommu));
    out.extend(devices.vsock.iter().map(|_| Slot::Vsock));
    out.extend((0..devices.memories.len()).map(Slot::Memory));
    out.extend((0..devices.cryptos.len()).map(Slot::Crypto));
    out.extend((0..devices.panics.len()).map(Slot::Panic));
    out.extend(devices.pstore.iter().map(|_| Slot::Pstore));
    out
}

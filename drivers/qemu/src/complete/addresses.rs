// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where each device goes: the order of the buses, and the buses that need few words.

use std::collections::{BTreeMap, BTreeSet};

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::address::{Address, CcwAddress, Zpci};
use virtus_xml::domain::chardev::{Chardev, ChardevTargetType};
use virtus_xml::domain::controller::ControllerType;
use virtus_xml::domain::device::Device;
use virtus_xml::domain::disk::DiskBus;
use virtus_xml::domain::hostdev::HostdevType;
use virtus_xml::domain::input::InputBus;
use virtus_xml::domain::memory_device::MemoryModel;
use virtus_xml::domain::misc::BalloonModel;
use virtus_xml::domain::video::VideoType;
use virtus_xml::value::Hex;

use super::builtin::{add_controller, has_controller};
use super::pci::Slot;
use super::{pci, usb};
use crate::caps::{Capabilities, Flag};
use crate::machine::{
    is_arm, is_arm_virt, is_pseries, is_riscv, is_riscv_virt, is_s390_ccw, machine,
};

/// Gives every device its address.
pub(super) fn assign(domain: &mut Domain, caps: &Capabilities, new: bool) -> Result<()> {
    virtio_serial(domain)?;
    spapr(domain);
    if is_s390_ccw(domain) {
        prime_virtio(domain, &Address::Ccw(CcwAddress::default()), true);
        ccw(domain)?;
    }
    mmio(domain, caps);
    pci::assign(domain, caps)?;
    if new || usb::all_have_ports(domain) {
        usb::assign(domain)?;
    }
    zpci(domain, caps)?;
    memory_slots(domain)
}

/// Ports of a controller that does not say how many it has.
const DEFAULT_PORTS: u32 = 31;

fn virtio_serial(domain: &mut Domain) -> Result<()> {
    let mut used: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for controller in &domain.devices.controllers {
        if controller.kind == ControllerType::VirtioSerial {
            used.entry(controller.index.unwrap_or(0)).or_default();
        }
    }
    let complete = |info: &Device| match &info.address {
        Some(Address::VirtioSerial { controller, port, .. }) if *port != 0 => {
            Some((*controller, *port))
        }
        _ => None,
    };
    for chardev in domain.devices.consoles.iter().chain(&domain.devices.channels) {
        if let Some((controller, port)) = complete(&chardev.info) {
            let ports = used.get_mut(&controller).ok_or_else(|| {
                Error::new(
                    ErrorCode::XmlError,
                    format!("virtio serial controller {controller} is missing"),
                )
            })?;
            if port >= ports_of(domain, controller) {
                return Err(Error::new(
                    ErrorCode::XmlError,
                    format!("virtio serial controller {controller} does not have port {port}"),
                ));
            }
            if !ports.insert(port) {
                return Err(Error::new(
                    ErrorCode::XmlError,
                    format!(
                        "virtio serial port {port} on controller {controller} is already occupied"
                    ),
                ));
            }
        }
    }
    let virtio = |chardev: &Chardev| {
        chardev.target.as_ref().and_then(|target| target.kind) == Some(ChardevTargetType::Virtio)
    };
    // Consoles take the free ports that they find, but their place is not written down.
    for at in 0..domain.devices.consoles.len() {
        let console = &domain.devices.consoles[at];
        if virtio(console) && complete(&console.info).is_none() {
            let stated = match &console.info.address {
                Some(Address::VirtioSerial { controller, .. }) => Some(*controller),
                _ => None,
            };
            next_port(domain, &mut used, stated, true)?;
        }
    }
    for at in 0..domain.devices.channels.len() {
        let channel = &domain.devices.channels[at];
        if virtio(channel) && complete(&channel.info).is_none() {
            let stated = match &channel.info.address {
                Some(Address::VirtioSerial { controller, .. }) => Some(*controller),
                _ => None,
            };
            let (controller, port) = next_port(domain, &mut used, stated, false)?;
            domain.body.devices.channels[at].info.address =
                Some(Address::VirtioSerial { controller, bus: 0, port });
        }
    }
    Ok(())
}

fn ports_of(domain: &Domain, index: u32) -> u32 {
    domain
        .devices
        .controllers
        .iter()
        .find(|c| c.kind == ControllerType::VirtioSerial && c.index == Some(index))
        .and_then(|controller| controller.ports)
        .unwrap_or(DEFAULT_PORTS)
}

fn next_port(
    domain: &mut Domain,
    used: &mut BTreeMap<u32, BTreeSet<u32>>,
    stated: Option<u32>,
    from_zero: bool,
) -> Result<(u32, u32)> {
    let first = u32::from(!from_zero || stated.is_some());
    let free = |domain: &Domain, index: u32, taken: &BTreeSet<u32>| {
        (first..ports_of(domain, index)).find(|port| !taken.contains(port))
    };
    for (index, taken) in used.iter_mut() {
        if stated.is_some_and(|stated| stated != *index) {
            continue;
        }
        if let Some(port) = free(domain, *index, taken) {
            taken.insert(port);
            return Ok((*index, port));
        }
    }
    if let Some(stated) = stated {
        return Err(Error::new(
            ErrorCode::XmlError,
            format!("Unable to find a free port on virtio-serial controller {stated}"),
        ));
    }
    let index = (0..u32::MAX).find(|index| !used.contains_key(index)).unwrap_or(0);
    if !has_controller(domain, ControllerType::VirtioSerial, index) {
        add_controller(domain, ControllerType::VirtioSerial, index, None);
    }
    used.entry(index).or_default().insert(first);
    Ok((index, first))
}

/// Gives an address of this kind to each virtio device that has none.
fn prime_virtio(domain: &mut Domain, address: &Address, ccw: bool) {
    let devices = &mut domain.body.devices;
    let prime = |info: &mut Device| {
        info.address.get_or_insert_with(|| address.clone());
    };
    devices
        .disks
        .iter_mut()
        .filter(|disk| disk.target.bus == Some(DiskBus::Virtio))
        .for_each(|disk| prime(&mut disk.info));
    devices
        .interfaces
        .iter_mut()
        .filter(|net| crate::plan::is_virtio_net(net))
        .for_each(|net| prime(&mut net.info));
    devices
        .videos
        .iter_mut()
        .filter(|video| video.model.kind == VideoType::Virtio)
        .for_each(|video| prime(&mut video.info));
    devices
        .inputs
        .iter_mut()
        .filter(|input| input.bus == Some(InputBus::Virtio))
        .for_each(|input| prime(&mut input.info));
    devices
        .controllers
        .iter_mut()
        .filter(|c| matches!(c.kind, ControllerType::VirtioSerial | ControllerType::Scsi))
        .for_each(|controller| prime(&mut controller.info));
    devices
        .hostdevs
        .iter_mut()
        .filter(|hostdev| {
            hostdev.kind == HostdevType::ScsiHost
                || (ccw && hostdev.model.as_deref() == Some("vfio-ccw"))
        })
        .for_each(|hostdev| prime(&mut hostdev.info));
    devices
        .memballoon
        .iter_mut()
        .filter(|balloon| balloon.model != BalloonModel::None)
        .for_each(|balloon| prime(&mut balloon.info));
    devices.rngs.iter_mut().for_each(|rng| prime(&mut rng.info));
    devices
        .memories
        .iter_mut()
        .filter(|m| matches!(m.model, MemoryModel::VirtioPmem | MemoryModel::VirtioMem))
        .for_each(|memory| prime(&mut memory.info));
    if ccw {
        devices.filesystems.iter_mut().for_each(|fs| prime(&mut fs.info));
        devices.vsock.iter_mut().for_each(|vsock| prime(&mut vsock.info));
    }
    devices.cryptos.iter_mut().for_each(|crypto| prime(&mut crypto.info));
}

fn mmio(domain: &mut Domain, caps: &Capabilities) {
    if !is_arm(domain) && !is_riscv(domain) {
        return;
    }
    let vexpress = machine(domain).starts_with("vexpress-");
    if !vexpress && !is_arm_virt(domain) && !is_riscv_virt(domain) {
        return;
    }
    let ports = caps.has(Flag::PcieRootPort) || caps.has(Flag::Ioh3420);
    let uses_mmio = pci::slots(&domain.devices).into_iter().any(|slot| {
        slot.info(&domain.devices).is_some_and(|info| info.address == Some(Address::VirtioMmio))
    });
    if pci::has_pcie_root(domain) && ports && !uses_mmio {
        return;
    }
    if caps.has(Flag::VirtioMmio) {
        prime_virtio(domain, &Address::VirtioMmio, false);
    }
}

/// Devices on the channel subsystem: the definition's numbers first, then the lowest that are free.
fn ccw(domain: &mut Domain) -> Result<()> {
    let mut used = BTreeSet::new();
    let slots = pci::slots(&domain.devices);
    for slot in &slots {
        if let Some(Address::Ccw(ccw)) =
            slot.info(&domain.devices).and_then(|info| info.address.as_ref())
            && let (Some(cssid), Some(ssid), Some(devno)) = (ccw.cssid, ccw.ssid, ccw.devno)
            && !used.insert((cssid.0, ssid.0, devno.0))
        {
            return Err(Error::new(
                ErrorCode::XmlError,
                format!(
                    "The CCW devno '{:x}.{:x}.{:04x}' is in use already",
                    cssid.0, ssid.0, devno.0
                ),
            ));
        }
    }
    for slot in slots {
        let Some(info) = slot.info_mut(&mut domain.body.devices) else { continue };
        let Some(Address::Ccw(ccw)) = &mut info.address else { continue };
        if ccw.devno.is_some() {
            continue;
        }
        let free = (0..=3)
            .flat_map(|ssid| (0..=0xffff).map(move |devno| (0xfe, ssid, devno)))
            .find(|place| !used.contains(place));
        if let Some((cssid, ssid, devno)) = free {
            used.insert((cssid, ssid, devno));
            *ccw = CcwAddress {
                cssid: Some(Hex(cssid)),
                ssid: Some(Hex(ssid)),
                devno: Some(Hex(devno)),
            };
        }
    }
    Ok(())
}

/// Registers on the virtual I/O bus of pSeries. Network cards and SCSI controllers of that bus get theirs on any
/// machine, as libvirt gives them.
fn spapr(domain: &mut Domain) {
    let pseries = is_pseries(domain);
    let mut used = BTreeSet::new();
    let devices = &mut domain.body.devices;
    let mut infos: Vec<(&mut Device, u64)> = Vec::new();
    for net in &mut devices.interfaces {
        if net.model.as_ref().is_some_and(|model| model.kind == "spapr-vlan") {
            infos.push((&mut net.info, 0x1000));
        }
    }
    for controller in &mut devices.controllers {
        if controller.kind == ControllerType::Scsi
            && controller.model.as_deref() == Some("ibmvscsi")
        {
            infos.push((&mut controller.info, 0x2000));
        }
    }
    for serial in devices.serials.iter_mut().filter(|_| pseries) {
        let kind = serial.target.as_ref().and_then(|target| target.kind);
        if kind == Some(ChardevTargetType::SpaprVioSerial) {
            infos.push((&mut serial.info, 0x3000_0000));
        }
    }
    let nvram = devices.nvram.iter_mut().filter(|_| pseries);
    infos.extend(nvram.map(|nvram| (&mut nvram.info, 0x3000)));
    for tpm in devices.tpms.iter_mut().filter(|_| pseries) {
        if tpm.model.is_none_or(|model| model.as_str() != "spapr-tpm-proxy") {
            infos.push((&mut tpm.info, 0x4000));
        }
    }
    for (info, _) in &infos {
        if let Some(Address::SpaprVio { reg: Some(reg) }) = &info.address {
            used.insert(reg.0);
        }
    }
    for (info, first) in infos {
        if matches!(info.address, Some(Address::SpaprVio { reg: Some(_) })) {
            continue;
        }
        let mut reg = first;
        while used.contains(&reg) {
            reg += 0x1000;
        }
        used.insert(reg);
        info.address = Some(Address::SpaprVio { reg: Some(Hex(reg)) });
    }
}

/// The identifiers that s390x gives each PCI device.
fn zpci(domain: &mut Domain, caps: &Capabilities) -> Result<()> {
    if !caps.has(Flag::Zpci) {
        return Ok(());
    }
    let slots = pci::slots(&domain.devices);
    let (mut uids, mut fids) = (BTreeSet::new(), BTreeSet::new());
    for slot in &slots {
        let Some(Address::Pci(pci)) = slot.info(&domain.devices).and_then(|i| i.address.as_ref())
        else {
            continue;
        };
        let Some(zpci) = &pci.zpci else { continue };
        let uid_twice = zpci.uid.is_some_and(|uid| !uids.insert(uid.0));
        let fid_twice = zpci.fid.is_some_and(|fid| !fids.insert(fid.0));
        if uid_twice || fid_twice {
            return Err(Error::new(
                ErrorCode::XmlError,
                "a zPCI uid or fid is given to more than one device",
            ));
        }
    }
    for slot in slots {
        if matches!(slot, Slot::Serial(_) | Slot::Parallel(_) | Slot::Channel(_) | Slot::Console(_))
        {
            continue;
        }
        let Some(info) = slot.info_mut(&mut domain.body.devices) else { continue };
        let Some(Address::Pci(pci)) = &mut info.address else { continue };
        let zpci = pci.zpci.get_or_insert_with(Zpci::default);
        if zpci.uid.is_none() {
            zpci.uid = (1..0xffff).find(|uid| uids.insert(*uid)).map(Hex);
        }
        if zpci.fid.is_none() {
            zpci.fid = (0..0xffff_ffff).find(|fid| fids.insert(*fid)).map(Hex);
        }
    }
    Ok(())
}

/// Slots of memory modules.
fn memory_slots(domain: &mut Domain) -> Result<()> {
    if domain.max_memory.is_none() {
        return Ok(());
    }
    let mut used: BTreeSet<u32> = domain
        .devices
        .memories
        .iter()
        .filter_map(|memory| match &memory.info.address {
            Some(Address::Dimm { slot, .. }) => *slot,
            _ => None,
        })
        .collect();
    let slots = domain.max_memory.as_ref().map_or(0, |max| max.slots);
    for memory in &mut domain.body.devices.memories {
        if !matches!(memory.model, MemoryModel::Dimm | MemoryModel::Nvdimm)
            || matches!(memory.info.address, Some(Address::Dimm { .. }))
        {
            continue;
        }
        let slot = (0..slots).find(|slot| !used.contains(slot)).ok_or_else(|| {
            Error::new(
                ErrorCode::ConfigUnsupported,
                format!("no memory slot is free: <maxMemory> has {slots}"),
            )
        })?;
        used.insert(slot);
        memory.info.address = Some(Address::Dimm { slot: Some(slot), base: None });
    }
    Ok(())
}

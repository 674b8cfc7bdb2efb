// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<hostdev>`: PCI, USB, SCSI and mediated devices of the host.

use virtus_api::Result;
use virtus_xml::domain::address::{Address, PciAddress};
use virtus_xml::domain::controller::ControllerType;
use virtus_xml::domain::device::Device;
use virtus_xml::domain::hostdev::{
    GuestReset, HostAddress, Hostdev, HostdevMode, HostdevSource, HostdevType,
};
use virtus_xml::domain::interface::{Interface, InterfaceType, Teaming, TeamingType};
use virtus_xml::domain::storage::{StorageSource, StorageType};

use super::argv::Props;
use super::context::FdKey;
use super::device::{alias, find, place, rom, virtio, virtio_model};
use super::disk::is_narrow;
use super::line::Line;
use super::live::image_count;
use super::storage::{Handling, Image, unsupported};

/// Writes all devices of the host.
pub(crate) fn write(line: &mut Line<'_>) -> Result<()> {
    for (at, net) in line.domain.devices.interfaces.iter().enumerate() {
        if net.plugged_kind() == InterfaceType::Hostdev {
            let props = passed_interface(line, net, line.boot.interface(at))?;
            line.device(props);
        }
    }
    // They are numbered behind the images of the disks.
    let mut number = image_count(line.domain);
    for hostdev in &line.domain.devices.hostdevs {
        if hostdev.mode != HostdevMode::Subsystem {
            return Err(unsupported("hostdev mode 'capabilities'"));
        }
        if matches!(hostdev.info.address, Some(Address::Unassigned)) {
            continue;
        }
        if hostdev.kind == HostdevType::Scsi {
            number += 1;
            scsi(line, hostdev, number)?;
            continue;
        }
        let props = device(line, hostdev)?;
        line.device(props);
    }
    Ok(())
}

fn host_address(hostdev: &Hostdev) -> Result<&HostAddress> {
    hostdev
        .source
        .as_ref()
        .and_then(|source| source.address.as_ref())
        .ok_or_else(|| unsupported(format!("a {} hostdev without an address", hostdev.kind)))
}

/// A PCI device of the host, given away as it is or as an interface.
fn pci(
    info: &Device,
    address: &PciAddress,
    boot: Option<u32>,
    teaming: Option<&Teaming>,
) -> Result<Props> {
    let pair = teaming
        .filter(|teaming| teaming.kind == TeamingType::Transient)
        .and_then(|teaming| teaming.persistent.clone());
    let (slot, function) = (address.slot.0, address.function.0);
    let host = format!("{:04x}:{:02x}:{slot:02x}.{function:x}", address.domain.0, address.bus.0);
    Ok(Props::device("vfio-pci")
        .with("host", host)
        .with("id", alias(info)?.to_owned())
        .maybe("bootindex", boot)
        .maybe("failover_pair_id", pair))
}

/// The device, as `device_add` of a hot-plug takes it.
pub(crate) fn device(line: &Line<'_>, hostdev: &Hostdev) -> Result<Props> {
    let id = alias(&hostdev.info)?.to_owned();
    let boot = hostdev.info.boot.as_ref().map(|boot| boot.order);
    let mut props = match hostdev.kind {
        HostdevType::Pci => {
            let HostAddress::Pci { pci: address, .. } = host_address(hostdev)? else {
                return Err(unsupported("a PCI hostdev whose address is not a PCI address"));
            };
            let driver = hostdev.driver.as_ref().and_then(|driver| driver.name.as_deref());
            if let Some(driver) = driver.filter(|driver| *driver != "vfio") {
                return Err(unsupported(format!("a PCI hostdev with driver '{driver}'")));
            }
            pci(&hostdev.info, address, boot, hostdev.teaming.as_ref())?
        }
        HostdevType::Usb => usb(hostdev, id, boot)?,
        HostdevType::Mdev => mdev(hostdev, id)?.maybe("bootindex", boot),
        HostdevType::ScsiHost => {
            let fd = line.cx.fd(&FdKey::VhostScsi(id.clone()))?;
            let wwpn = hostdev.source.as_ref().and_then(|source| source.wwpn.clone());
            virtio("vhost-scsi", &hostdev.info, virtio_model(hostdev.model.as_deref()), None)?
                .maybe("wwpn", wwpn)
                .with("vhostfd", fd.to_string())
                .with("id", id)
        }
        other => return Err(unsupported(format!("hostdev type '{other}'"))),
    };
    props.extend(place(line.domain, &hostdev.info)?);
    props.extend(rom(&hostdev.info));
    Ok(props)
}

fn mdev(hostdev: &Hostdev, id: String) -> Result<Props> {
    let HostAddress::Mdev(uuid) = host_address(hostdev)? else {
        return Err(unsupported("a mediated device without a UUID"));
    };
    let on = |state: Option<virtus_xml::value::OnOff>| state.is_some_and(|state| state.is_on());
    let driver = match hostdev.model.as_deref() {
        Some("vfio-ccw") => "vfio-ccw",
        Some("vfio-ap") => "vfio-ap",
        _ if on(hostdev.ramfb) => "vfio-pci-nohotplug",
        _ => "vfio-pci",
    };
    Ok(Props::device(driver)
        .with("id", id)
        .with("sysfsdev", format!("/sys/bus/mdev/devices/{}", uuid.hyphenated()))
        .maybe("display", hostdev.display.map(|on| on.as_str()))
        .maybe("ramfb", on(hostdev.ramfb).then_some(true)))
}

fn usb(hostdev: &Hostdev, id: String, boot: Option<u32>) -> Result<Props> {
    let mut props = Props::device("usb-host");
    if let Ok(HostAddress::Usb { bus, device }) = host_address(hostdev) {
        props.set("hostdevice", format!("/dev/bus/usb/{bus:03}/{device:03}"));
    } else if hostdev.source.as_ref().and_then(|source| source.missing).is_none() {
        return Err(unsupported("a USB hostdev whose bus and device were not found"));
    }
    let (guest, all) = match hostdev.source.as_ref().and_then(|source| source.guest_reset) {
        None => (None, None),
        Some(GuestReset::Off) => (Some(false), None),
        Some(GuestReset::Uninitialized) => (Some(true), Some(false)),
        Some(GuestReset::On) => (Some(true), Some(true)),
    };
    Ok(props
        .with("id", id)
        .maybe("bootindex", boot)
        .maybe("guest-reset", guest)
        .maybe("guest-resets-all", all))
}

fn passed_interface(line: &Line<'_>, net: &Interface, boot: Option<u32>) -> Result<Props> {
    let address = net
        .plugged_source()
        .and_then(|source| source.pci_address.as_ref())
        .ok_or_else(|| unsupported("an interface of type 'hostdev' without an address"))?;
    let mut props = pci(&net.info, &address.pci, boot, net.teaming.as_ref())?;
    props.extend(place(line.domain, &net.info)?);
    props.extend(rom(&net.info));
    Ok(props)
}

fn scsi(line: &mut Line<'_>, hostdev: &Hostdev, number: u32) -> Result<()> {
    let id = alias(&hostdev.info)?.to_owned();
    let Some(Address::Drive(at)) = &hostdev.info.address else {
        return Err(unsupported("a SCSI hostdev without a drive address"));
    };
    let remote = hostdev.source.as_ref().and_then(HostdevSource::as_storage);
    let (kind, storage) = match remote {
        Some(remote) => (StorageType::Network, remote),
        None => {
            let path = line.cx.peers.get(&id).cloned();
            let path =
                path.ok_or_else(|| unsupported("a SCSI hostdev that was not found on this host"))?;
            let private = hostdev.source.as_ref().and_then(|source| source.private.clone());
            let dev = Some(path);
            (StorageType::Block, StorageSource { dev, private, ..StorageSource::default() })
        }
    };
    let image = Image::behind(hostdev, kind, &storage, number);
    let nodes = image.nodes(Handling::default(), line.cx)?;
    for object in nodes.objects {
        line.object(object);
    }
    for node in nodes.nodes {
        line.argv.json("-blockdev", node);
    }
    let node = image.top_name();
    let controller = find(line.domain, ControllerType::Scsi, at.controller)?;
    let mut props = Props::device("scsi-generic").with("drive", node).with("id", id);
    props.set("bus", format!("{}.0", alias(&controller.info)?));
    if is_narrow(controller.model.as_deref()) {
        props.set("scsi-id", at.unit);
    } else {
        props = props.with("channel", at.bus).with("scsi-id", at.target).with("lun", at.unit);
    }
    props = props.maybe("bootindex", hostdev.info.boot.as_ref().map(|boot| boot.order));
    line.device(props);
    Ok(())
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can be plugged into guests that run, pulled out of them and changed, as libvirt's test driver has it. Pure.

use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::unsupported;
use virtus_xml::domain::controller::ControllerType;
use virtus_xml::domain::disk::{Disk, DiskBus, DiskDevice};
use virtus_xml::domain::hostdev::{Hostdev, HostdevMode, HostdevType};
use virtus_xml::domain::input::InputBus;
use virtus_xml::domain::interface::{Interface, InterfaceType};
use virtus_xml::settle::disk_index;
use virtus_xml::{AnyDevice, Domain, ParseFlags};

/// Puts a device into a guest; the alias by which clients are told of it, if it has one. Another medium in a
/// drive that is there is no new device.
///
/// # Errors
/// `VIR_ERR_OPERATION_UNSUPPORTED` and `VIR_ERR_CONFIG_UNSUPPORTED` for what cannot be plugged; `VIR_ERR_XML_ERROR`
/// if the guest has such a device.
pub(crate) fn plug_in(def: &mut Domain, mut device: AnyDevice) -> Result<Option<String>> {
    if needs_usb(&device) && !has_usb(def) {
        return Err(impossible(
            "Device configuration is not compatible: Domain has no USB bus support",
        ));
    }
    if let AnyDevice::Disk(disk) = &device
        && is_removable(disk)
        && let Some(drive) = def
            .body
            .devices
            .disks
            .iter_mut()
            .find(|other| other.target.dev == disk.target.dev && is_removable(other))
    {
        drive.source.clone_from(&disk.source);
        return Ok(None);
    }
    let mut refusal = None;
    match &mut device {
        AnyDevice::Disk(disk) => {
            disk.info.alias.get_or_insert_with(|| disk_alias(&disk.target));
            refusal = disk_refusal(disk);
        }
        AnyDevice::Interface(interface) if can_change(interface) => {
            interface.info.alias.get_or_insert_with(|| next_interface(def));
        }
        AnyDevice::Interface(interface) => {
            let kind = interface.kind;
            let text = format!("hotplug of interface type of {kind} is not implemented yet");
            return Err(unsupported(text));
        }
        AnyDevice::Hostdev(hostdev) => check_hostdev(hostdev)?,
        other => {
            let kind = type_name(other);
            return Err(unsupported(format!("live attach of device '{kind}' is not supported")));
        }
    }
    let alias = device.info().and_then(|info| info.alias.clone());
    def.devices.insert(device);
    // Whether a disk fits into this guest is asked before whether it can be plugged at all.
    def.settle(ParseFlags::empty())?;
    def.validate()?;
    refusal.map_or(Ok(alias), Err)
}

/// Takes the device of this alias out of a guest; what comes with an error is to be thrown away, as of [`plug_in`].
///
/// # Errors
/// `VIR_ERR_DEVICE_MISSING` if there is none; otherwise as [`plug_in`].
pub(crate) fn pull_out(def: &mut Domain, alias: &str) -> Result<Option<String>> {
    let Some(device) = def.devices.take(alias) else {
        let text = format!("no device found with alias {alias}");
        return Err(Error::new(ErrorCode::DeviceMissing, text)
            .hint(format!("see the aliases with 'virsh dumpxml {}'", def.name)));
    };
    let refusal = match &device {
        AnyDevice::Disk(disk) => pull_refusal(disk),
        AnyDevice::Interface(interface) if !can_change(interface) => Some(unsupported(format!(
            "live detach of interface type {} is not implemented yet",
            interface.kind
        ))),
        AnyDevice::Hostdev(hostdev) if hostdev.mode != HostdevMode::Subsystem => Some(impossible(
            format!("hot unplug is not supported for hostdev mode '{}'", hostdev.mode),
        )),
        AnyDevice::Interface(_) | AnyDevice::Hostdev(_) => None,
        other => {
            let kind = type_name(other);
            Some(unsupported(format!("live detach of device '{kind}' is not supported")))
        }
    };
    refusal.map_or_else(|| Ok(Some(alias.to_owned())), Err)
}

/// Gives a disk another form.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG` if there is none of this name; `VIR_ERR_OPERATION_UNSUPPORTED` for other devices.
pub(crate) fn change(def: &mut Domain, device: AnyDevice) -> Result<()> {
    let AnyDevice::Disk(disk) = device else {
        let kind = type_name(&device);
        return Err(unsupported(format!("persistent update of device '{kind}' is not supported")));
    };
    let mut disks = def.body.devices.disks.iter_mut();
    let Some(old) = disks.find(|old| old.target.dev == disk.target.dev) else {
        let text = format!("target {} doesn't exist.", disk.target.dev);
        return Err(Error::new(ErrorCode::InvalidArg, text));
    };
    *old = *disk;
    Ok(())
}

/// Libvirt's name for the kind of a device.
fn type_name(device: &AnyDevice) -> &'static str {
    match device {
        AnyDevice::Serial(_)
        | AnyDevice::Parallel(_)
        | AnyDevice::Console(_)
        | AnyDevice::Channel(_) => "chr",
        other => other.name(),
    }
}

fn needs_usb(device: &AnyDevice) -> bool {
    match device {
        AnyDevice::Disk(disk) => disk.target.bus == Some(DiskBus::Usb),
        AnyDevice::Hostdev(hostdev) => hostdev.kind == HostdevType::Usb,
        AnyDevice::Input(input) => input.bus == Some(InputBus::Usb),
        AnyDevice::Hub(_) => true,
        _ => false,
    }
}

fn has_usb(def: &Domain) -> bool {
    def.devices.controllers.iter().any(|controller| {
        controller.kind == ControllerType::Usb && controller.model.as_deref() != Some("none")
    })
}

/// Whether it is a drive with a medium in it.
fn is_removable(disk: &Disk) -> bool {
    matches!(disk.device, DiskDevice::Cdrom | DiskDevice::Floppy)
}

fn disk_refusal(disk: &Disk) -> Option<Error> {
    let bus = disk.target.bus?;
    match (disk.device, bus) {
        (DiskDevice::Floppy, _) => Some(unsupported("floppy device hotplug isn't supported")),
        (DiskDevice::Lun, DiskBus::Usb) => {
            Some(impossible("disk device='lun' is not supported for usb bus"))
        }
        (DiskDevice::Cdrom, DiskBus::Virtio) => {
            Some(unsupported("cdrom device with virtio bus isn't supported"))
        }
        (_, DiskBus::Virtio | DiskBus::Usb) => None,
        _ => Some(unsupported(format!("disk bus '{bus}' cannot be hotplugged."))),
    }
}

fn pull_refusal(disk: &Disk) -> Option<Error> {
    if matches!(disk.target.bus, Some(DiskBus::Virtio | DiskBus::Usb | DiskBus::Scsi)) {
        return None;
    }
    Some(unsupported(if is_removable(disk) {
        format!("disk device type '{}' cannot be detached", disk.device)
    } else {
        "This type of disk cannot be hot unplugged".to_owned()
    }))
}

fn check_hostdev(hostdev: &Hostdev) -> Result<()> {
    let what = match (hostdev.mode, hostdev.kind) {
        (HostdevMode::Subsystem, HostdevType::Pci) => return Ok(()),
        (HostdevMode::Subsystem, kind) => format!("subsys type '{kind}'"),
        (mode, _) => format!("mode '{mode}'"),
    };
    Err(impossible(format!("hotplug is not supported for hostdev {what}")))
}

/// Whether such an interface can come and go while the guest runs.
fn can_change(interface: &Interface) -> bool {
    matches!(interface.kind, InterfaceType::Bridge | InterfaceType::Ethernet)
}

/// `virtio-disk1` for `vdb`.
fn disk_alias(target: &virtus_xml::domain::disk::DiskTarget) -> String {
    let bus = target.bus.map_or("", |bus| bus.as_str());
    format!("{bus}-disk{}", disk_index(&target.dev).unwrap_or_default())
}

/// The alias behind all of the kind that there are.
fn next_interface(def: &Domain) -> String {
    let number = |interface: &Interface| -> Option<u32> {
        interface.info.alias.as_deref()?.strip_prefix("net")?.parse().ok()
    };
    let last = def.devices.interfaces.iter().filter_map(number).max();
    format!("net{}", last.map_or(0, |last| last.saturating_add(1)))
}

fn impossible(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::ConfigUnsupported, text)
}

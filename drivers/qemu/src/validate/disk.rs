// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Disks: what the guest sees of them.

mod image;

use virtus_api::Result;
use virtus_xml::domain::address::Address;
use virtus_xml::domain::device::VirtioOptions;
use virtus_xml::domain::disk::{CacheMode, Disk, DiskBus, DiskDevice, DiskDriver, IoMode};
use virtus_xml::domain::storage::{ImageFormat, StorageType};
use virtus_xml::value::OnOff;

use super::{Rules, need, unsupported};
use crate::caps::Flag;
use crate::plan::has_medium;

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    rules.domain.devices.disks.iter().try_for_each(|disk| {
        device(disk)?;
        identity(disk)?;
        if let Some(driver) = &disk.driver {
            access(disk, driver)?;
            queues(rules, disk, driver)?;
        }
        sharing(disk)?;
        beside(rules, disk)?;
        image::validate(disk)
    })
}

fn bus(disk: &Disk) -> DiskBus {
    disk.target.bus.unwrap_or(DiskBus::Ide)
}

fn is_removable(disk: &Disk) -> bool {
    matches!(disk.device, DiskDevice::Cdrom | DiskDevice::Floppy)
}

fn device(disk: &Disk) -> Result<()> {
    let (name, bus) = (&disk.target.dev, bus(disk));
    match disk.device {
        DiskDevice::Lun if bus == DiskBus::Virtio => {
            return Err(unsupported(
                "This QEMU doesn't support SCSI emulation with 'virtio-blk' device",
            ));
        }
        DiskDevice::Lun => need(bus == DiskBus::Scsi, || {
            format!("disk device='lun' is not supported for bus='{bus}'")
        })?,
        DiskDevice::Cdrom => need(!matches!(bus, DiskBus::Virtio | DiskBus::Sd), || {
            format!("disk type of '{name}' does not support ejectable media")
        })?,
        DiskDevice::Floppy => need(bus == DiskBus::Fdc, || {
            format!("a floppy disk cannot be on bus '{bus}', only on 'fdc'")
        })?,
        DiskDevice::Disk => {}
    }
    let lun = disk.device == DiskDevice::Lun;
    need(lun || (disk.rawio.is_none() && disk.sgio.is_none()), || {
        "'rawio' and 'sgio' can be used only with device='lun'".to_owned()
    })?;
    need(disk.model.is_none() || bus == DiskBus::Virtio, || {
        format!("disk '{name}' has a 'model', which bus '{bus}' has not")
    })?;
    let rotates = matches!(bus, DiskBus::Scsi | DiskBus::Ide | DiskBus::Sata);
    need(disk.target.rotation_rate.is_none() || rotates, || {
        "rotation rate is only valid for SCSI/IDE/SATA bus".to_owned()
    })?;
    let beside = matches!(disk.kind, StorageType::VhostUser | StorageType::VhostVdpa);
    need(!beside || bus == DiskBus::Virtio, || {
        format!("<disk type='{}'> supports only bus 'virtio', not '{bus}'", disk.kind)
    })?;
    let driver = disk.driver.as_ref().and_then(|driver| driver.name.as_deref());
    need(driver.is_none_or(|driver| driver == "qemu"), || {
        format!("unsupported driver name '{}' for disk '{name}'", driver.unwrap_or_default())
    })?;
    need(lun || disk.source.as_ref().is_none_or(|source| source.reservations.is_none()), || {
        "<reservations/> allowed only for lun devices".to_owned()
    })?;
    let empty = disk.source.as_ref().is_none_or(|source| !has_medium(source));
    need(!(empty && bus == DiskBus::Usb), || "'usb' disk must not be empty".to_owned())?;
    need(!empty || is_removable(disk), || format!("disk '{name}' has no source"))
}

/// What the guest reads about the drive.
fn identity(disk: &Disk) -> Result<()> {
    let bus = bus(disk);
    let ata = matches!(bus, DiskBus::Ide | DiskBus::Sata);
    if let Some(geometry) = &disk.geometry {
        need(!matches!(bus, DiskBus::Usb | DiskBus::Sd), || {
            format!("CHS geometry can not be set for '{bus}' bus")
        })?;
        need(geometry.trans.is_none() || bus == DiskBus::Ide, || {
            format!("CHS translation mode can only be set for 'ide' bus not '{bus}'")
        })?;
    }
    need(disk.serial.is_none() || bus != DiskBus::Sd, || {
        format!("Serial property not supported for drive bus '{bus}'")
    })?;
    need(disk.wwn.is_none() || ata || bus == DiskBus::Scsi, || {
        "Only ide and scsi disk support wwn".to_owned()
    })?;
    need(disk.vendor.is_none() || bus == DiskBus::Scsi, || {
        "Only scsi disk supports vendor and product".to_owned()
    })?;
    need(disk.product.is_none() || ata || bus == DiskBus::Scsi, || {
        "Only scsi disk supports vendor and product".to_owned()
    })?;
    let named = disk.wwn.is_some() || disk.vendor.is_some() || disk.product.is_some();
    need(!named || disk.device != DiskDevice::Lun, || {
        "Setting wwn, vendor or product is not supported for lun device".to_owned()
    })
}

/// How the host reads and writes.
fn access(disk: &Disk, driver: &DiskDriver) -> Result<()> {
    let name = &disk.target.dev;
    let direct = matches!(driver.cache, Some(CacheMode::None | CacheMode::Directsync));
    need(driver.io != Some(IoMode::Native) || direct, || {
        "native I/O needs either no disk cache or directsync cache mode, QEMU will fallback to \
         aio=threads"
            .to_owned()
    })?;
    if driver.copy_on_read.is_some_and(OnOff::is_on) {
        need(!is_removable(disk), || {
            format!("copy_on_read is not supported with removable disk '{name}'")
        })?;
        need(!disk.is_readonly(), || {
            format!("copy_on_read is not compatible with read-only disk '{name}'")
        })?;
    }
    Ok(())
}

/// What only virtio has.
fn queues(rules: Rules<'_>, disk: &Disk, driver: &DiskDriver) -> Result<()> {
    let (name, bus) = (&disk.target.dev, bus(disk));
    let threads: Vec<u32> = match &driver.iothreads {
        Some(map) => map.iothread.iter().map(|thread| thread.id).collect(),
        None => driver.iothread.into_iter().collect(),
    };
    need(driver.iothread.is_none() || driver.iothreads.is_none(), || {
        format!("disk '{name}' has both the attribute iothread and a list of <iothreads>")
    })?;
    let known = rules.domain.iothread_ids();
    for id in &threads {
        need(bus == DiskBus::Virtio, || {
            format!("IOThreads not available for bus {bus} target {name}")
        })?;
        need(known.contains(id), || format!("Disk iothread '{id}' not defined in iothreadid"))?;
    }
    let transport = matches!(
        disk.info.address,
        None | Some(Address::Pci(_) | Address::Ccw(_) | Address::VirtioMmio | Address::Unassigned)
    );
    need(threads.is_empty() || transport, || {
        "IOThreads only available for virtio pci and virtio ccw disk".to_owned()
    })?;
    if bus == DiskBus::Virtio {
        return Ok(());
    }
    let VirtioOptions { iommu, ats, packed, page_per_vq } = &driver.virtio;
    for (given, what) in [
        (iommu.is_some(), "iommu"),
        (ats.is_some(), "ats"),
        (packed.is_some(), "packed"),
        (page_per_vq.is_some(), "page_per_vq"),
        (driver.ioeventfd.is_some(), "ioeventfd"),
        (driver.event_idx.is_some(), "event_idx"),
        (driver.queues.is_some(), "queues"),
        (driver.queue_size.is_some(), "queue_size"),
    ] {
        need(!given, || {
            format!("disk driver {what} is only supported for bus='virtio', '{name}' is on '{bus}'")
        })?;
    }
    Ok(())
}

/// Images that a process beside QEMU, or a device of the host, reads and writes.
fn beside(rules: Rules<'_>, disk: &Disk) -> Result<()> {
    let element = format!("<disk type='{}'>", disk.kind);
    match disk.kind {
        StorageType::VhostUser => rules.needs_shared_memory(&element),
        StorageType::VhostVdpa => rules.needs(Flag::VirtioBlkVhostVdpa, element),
        _ => Ok(()),
    }
}

/// Several guests, or none after this one.
fn sharing(disk: &Disk) -> Result<()> {
    let name = &disk.target.dev;
    let remote = matches!(disk.kind, StorageType::VhostUser | StorageType::VhostVdpa);
    let raw = matches!(disk.format(), None | Some(ImageFormat::Raw));
    need(!disk.shareable || disk.is_readonly() || raw || remote, || {
        format!("shared access for disk '{name}' requires use of supported storage format")
    })?;
    if disk.transient.is_some() {
        need(disk.device == DiskDevice::Disk, || {
            "transient disk supported only with 'disk' device".to_owned()
        })?;
        need(!disk.readonly && !disk.shareable, || {
            format!("transient disk '{name}' cannot be read-only or shared")
        })?;
    }
    Ok(())
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<disk>`: the nodes of its images and the device that the guest sees.

use std::collections::{BTreeMap, BTreeSet};

use virtus_api::Result;
use virtus_xml::Domain;
use virtus_xml::domain::address::{Address, DriveAddress};
use virtus_xml::domain::controller::ControllerType;
use virtus_xml::domain::disk::{
    Disk, DiskBus, DiskDevice, ErrorPolicy, IothreadMap, ThrottleFilter,
};
use virtus_xml::domain::storage::StorageType;
use virtus_xml::value::YesNo;

use super::argv::{Opts, Props};
use super::boot::BootOrder;
use super::context::Context;
use super::device::{alias, find, loadparm, place, virtio};
use super::line::Line;
use super::storage::{Handling, chain, unsupported};

/// The numbers of the sets in which QEMU gets descriptors of images, by the image's number.
pub(crate) type FdSets = BTreeMap<u32, u32>;

/// Numbers the sets of all images that are passed as descriptors.
pub(crate) fn fd_sets(domain: &Domain, cx: &Context) -> FdSets {
    let images = domain.devices.disks.iter().flat_map(|disk| chain(disk, cx));
    let passed = images
        .filter(|image| image.source.fdgroup.is_some() || image.kind == StorageType::VhostVdpa);
    let numbers: BTreeSet<u32> = passed.map(|image| image.number).collect();
    numbers.into_iter().zip(0..).collect()
}

/// Everything that one disk needs before its device, in the order in which QEMU must see it.
pub(crate) fn backend(
    disk: &Disk,
    cx: &Context,
    sets: &FdSets,
) -> Result<Vec<(&'static str, Props)>> {
    let how = Handling::of(disk);
    let mut out = Vec::new();
    let mut images = chain(disk, cx);
    for image in &mut images {
        image.fd_set = sets.get(&image.number).copied();
    }
    for (depth, image) in images.iter().enumerate().rev() {
        let nodes = image.nodes(if depth == 0 { how } else { how.below() }, cx)?;
        out.extend(nodes.fds.into_iter().map(|fd| ("-add-fd", fd)));
        out.extend(nodes.objects.into_iter().map(|object| ("-object", object)));
        out.extend(nodes.nodes.into_iter().map(|node| ("-blockdev", node)));
    }
    let Some(top) = images.first() else { return Ok(out) };
    let mut below = top.top_name();
    if copies_on_read(disk) {
        let name = copy_on_read_name(disk);
        let props = Props::device("copy-on-read")
            .with("node-name", name.clone())
            .with("file", below)
            .with("discard", "unmap");
        out.push(("-blockdev", props));
        below = name;
    }
    for (at, filter) in filters(disk).iter().enumerate() {
        let name = filter_name(disk, images.len(), at);
        let props = Props::device("throttle")
            .with("node-name", name.clone())
            .with("throttle-group", format!("throttle-{}", filter.group))
            .with("file", below);
        out.push(("-blockdev", props));
        below = name;
    }
    Ok(out)
}

fn filters(disk: &Disk) -> &[ThrottleFilter] {
    disk.throttlefilters.as_ref().map_or(&[], |filters| &filters.filters)
}

fn copies_on_read(disk: &Disk) -> bool {
    disk.driver.as_ref().and_then(|driver| driver.copy_on_read).is_some_and(|on| on.is_on())
}

fn copy_on_read_name(disk: &Disk) -> String {
    format!("libvirt-CoR-{}", disk.target.dev)
}

/// Filters are numbered behind the images of their disk.
fn filter_name(disk: &Disk, images: usize, at: usize) -> String {
    let index = disk.source.as_ref().and_then(|source| source.index).unwrap_or(0);
    format!("libvirt-{}-filter", index as usize + images + at)
}

/// The node that the guest's device reads, if there is a medium.
fn drive(disk: &Disk, cx: &Context) -> Option<String> {
    let images = chain(disk, cx);
    let top = images.first()?;
    Some(match filters(disk).len() {
        0 if copies_on_read(disk) => copy_on_read_name(disk),
        0 => top.top_name(),
        count => filter_name(disk, images.len(), count - 1),
    })
}

/// Whether a disk is plugged in only when QEMU runs: its overlay must not be made before other guests, which share
/// the image, have opened it.
pub(crate) fn is_late(disk: &Disk) -> bool {
    disk.transient.as_ref().and_then(|transient| transient.share_backing) == Some(YesNo::Yes)
}

/// Writes all disks: for each its nodes, then its device.
pub(crate) fn write(line: &mut Line<'_>, boot: &BootOrder) -> Result<()> {
    let sets = fd_sets(line.domain, line.cx);
    for (at, disk) in line.domain.devices.disks.iter().enumerate() {
        if is_late(disk) {
            continue;
        }
        if disk.target.bus == Some(DiskBus::Sd) {
            sd_card(line, disk)?;
            continue;
        }
        for (flag, props) in backend(disk, line.cx, &sets)? {
            match flag {
                "-add-fd" => line.argv.pair(flag, props.into_opts()),
                _ => line.argv.json(flag, props),
            }
        }
        if let Some(props) = device(line.domain, disk, line.cx, boot.disk(at))? {
            line.device(props);
        }
    }
    Ok(())
}

/// A card in the machine's own slot, which only the old option reaches.
fn sd_card(line: &mut Line<'_>, disk: &Disk) -> Result<()> {
    let path = disk.source.as_ref().and_then(|source| source.local_path());
    let path = path.ok_or_else(|| unsupported("an empty drive on bus 'sd'"))?;
    let mut opts = Opts::default()
        .with("file", path)
        .with("format", disk.format().map_or("raw", |format| format.as_str()))
        .with("if", "sd")
        .with("index", virtus_xml::settle::disk_index(&disk.target.dev).unwrap_or(0));
    if disk.is_readonly() {
        opts.set("readonly", "on");
    }
    line.argv.pair("-drive", opts);
    Ok(())
}

/// The unit of a drive.
pub(crate) fn unit(disk: &Disk) -> u32 {
    drive_address(disk).map_or(0, |at| at.unit)
}

/// The device; `None` for what is part of the machine.
pub(crate) fn device(
    domain: &Domain,
    disk: &Disk,
    cx: &Context,
    boot: Option<u32>,
) -> Result<Option<Props>> {
    let bus = disk.target.bus.unwrap_or(DiskBus::Ide);
    let mut props = match bus {
        DiskBus::Ide | DiskBus::Sata => ata(domain, disk, bus)?,
        DiskBus::Scsi => scsi(domain, disk)?,
        DiskBus::Virtio => virtio_blk(domain, disk)?,
        DiskBus::Usb => usb(domain, disk)?,
        DiskBus::Fdc => {
            Props::device("floppy").with("unit", drive_address(disk).unwrap_or_default().unit)
        }
        DiskBus::Sd => return Ok(None),
        other => return Err(unsupported(format!("disk bus '{other}'"))),
    };
    if disk.shareable {
        props.set("share-rw", true);
    }
    props = props.maybe("drive", drive(disk, cx)).with("id", alias(&disk.info)?.to_owned());
    if bus != DiskBus::Fdc {
        props = props.maybe("bootindex", boot).maybe("loadparm", loadparm(domain, &disk.info));
    }
    props.extend(identity(disk, bus)?);
    props.extend(errors(disk));
    Ok(Some(props))
}

/// What the guest reads about the drive.
fn identity(disk: &Disk, bus: DiskBus) -> Result<Props> {
    let mut props = Props::new();
    if let Some(sizes) = &disk.blockio {
        props = props
            .maybe("logical_block_size", sizes.logical_block_size)
            .maybe("physical_block_size", sizes.physical_block_size)
            .maybe("discard_granularity", sizes.discard_granularity);
    }
    if let Some(wwn) = &disk.wwn {
        let digits = wwn.strip_prefix("0x").unwrap_or(wwn);
        let number = u64::from_str_radix(digits, 16)
            .map_err(|_| unsupported(format!("world wide name '{wwn}'")))?;
        props.set("wwn", number);
    }
    let ata = matches!(bus, DiskBus::Ide | DiskBus::Sata);
    props = props
        .maybe("rotation_rate", disk.target.rotation_rate)
        .maybe("vendor", disk.vendor.clone())
        .maybe(if ata { "model" } else { "product" }, disk.product.clone());
    let removable = disk.target.removable.map(|on| on.is_on());
    match bus {
        DiskBus::Usb => props.set("removable", removable.unwrap_or(false)),
        _ => props = props.maybe("removable", removable),
    }
    if disk.device != DiskDevice::Lun {
        props = props.maybe("write-cache", Handling::of(disk).write_cache());
    }
    if let Some(geometry) = &disk.geometry {
        props = props
            .with("cyls", geometry.cyls)
            .with("heads", geometry.heads)
            .with("secs", geometry.secs)
            .maybe("bios-chs-trans", geometry.trans.map(|trans| trans.as_str()));
    }
    // The guest gets what libvirt's guests get: a backslash before each space.
    Ok(props.maybe("serial", disk.serial.as_deref().map(|serial| serial.replace(' ', "\\ "))))
}

/// What happens on an error of the image.
fn errors(disk: &Disk) -> Props {
    let driver = disk.driver.as_ref();
    let write = driver.and_then(|driver| driver.error_policy);
    let read = driver
        .and_then(|driver| driver.rerror_policy)
        .or(write.filter(|policy| *policy != ErrorPolicy::Enospace));
    let word = |policy: ErrorPolicy| match policy {
        ErrorPolicy::Enospace => "enospc",
        other => other.as_str(),
    };
    Props::new().maybe("werror", write.map(word)).maybe("rerror", read.map(word))
}

fn drive_address(disk: &Disk) -> Option<DriveAddress> {
    match &disk.info.address {
        Some(Address::Drive(drive)) => Some(*drive),
        _ => None,
    }
}

fn need_drive_address(disk: &Disk) -> Result<DriveAddress> {
    drive_address(disk)
        .ok_or_else(|| unsupported(format!("disk '{}' without a drive address", disk.target.dev)))
}

fn usb(domain: &Domain, disk: &Disk) -> Result<Props> {
    if disk.model.is_some_and(|model| model.as_str() == "usb-bot") {
        return Err(unsupported("disk model 'usb-bot'"));
    }
    let mut props = Props::device("usb-storage");
    props.extend(place(domain, &disk.info)?);
    Ok(props)
}

fn ata(domain: &Domain, disk: &Disk, bus: DiskBus) -> Result<Props> {
    let at = need_drive_address(disk)?;
    let driver = if disk.device == DiskDevice::Cdrom { "ide-cd" } else { "ide-hd" };
    let props = Props::device(driver);
    if bus == DiskBus::Ide {
        // The IDE controller of the machine has a name of its own.
        let name = match at.controller {
            0 => "ide",
            index => alias(&find(domain, ControllerType::Ide, index)?.info)?,
        };
        return Ok(props.with("bus", format!("{name}.{}", at.bus)).with("unit", at.unit));
    }
    let name = if at.controller == 0 && crate::machine::is_q35(domain) {
        "ide"
    } else {
        alias(&find(domain, ControllerType::Sata, at.controller)?.info)?
    };
    Ok(props.with("bus", format!("{name}.{}", at.unit)))
}

fn scsi(domain: &Domain, disk: &Disk) -> Result<Props> {
    let at = need_drive_address(disk)?;
    let controller = find(domain, ControllerType::Scsi, at.controller)?;
    let driver = match disk.device {
        DiskDevice::Lun => "scsi-block",
        DiskDevice::Cdrom => "scsi-cd",
        _ => "scsi-hd",
    };
    let mut props = Props::device(driver);
    let name = alias(&controller.info)?;
    if is_narrow(controller.model.as_deref()) {
        props.set("bus", format!("{name}.{}", at.bus));
        props.set("scsi-id", at.unit);
    } else {
        props.set("bus", format!("{name}.0"));
        props.set("channel", at.bus);
        props.set("scsi-id", at.target);
        props.set("lun", at.unit);
    }
    if disk.device != DiskDevice::Lun {
        // The name under which the guest knows the disk must survive moves between back ends.
        let id = match &disk.serial {
            Some(serial) => serial.clone(),
            None => format!("drive-{}", alias(&disk.info)?),
        };
        props.set("device_id", id);
    }
    Ok(props)
}

/// Whether a SCSI controller knows targets but no logical units.
pub(crate) fn is_narrow(model: Option<&str>) -> bool {
    matches!(model, Some("lsilogic" | "auto" | "buslogic" | "dc390" | "am53c974" | "ncr53c90"))
}

fn virtio_blk(domain: &Domain, disk: &Disk) -> Result<Props> {
    let driver = disk.driver.as_ref();
    let mut props =
        virtio("virtio-blk", &disk.info, disk.model, driver.map(|driver| &driver.virtio))?;
    if let Some(driver) = driver {
        props = props
            .maybe("iothread", driver.iothread.map(|id| format!("iothread{id}")))
            .maybe("ioeventfd", driver.ioeventfd.map(|on| on.is_on()))
            .maybe("event_idx", driver.event_idx.map(|on| on.is_on()))
            .maybe("num-queues", driver.queues)
            .maybe("queue-size", driver.queue_size)
            .maybe("iothread-vq-mapping", driver.iothreads.as_ref().map(iothread_map));
    }
    props.extend(place(domain, &disk.info)?);
    Ok(props)
}

/// Which threads serve which queues.
pub(crate) fn iothread_map(map: &IothreadMap) -> serde_json::Value {
    map.iothread
        .iter()
        .map(|thread| {
            let mut props = Props::new().with("iothread", format!("iothread{}", thread.id));
            if !thread.queues.is_empty() {
                let queues: Vec<u32> = thread.queues.iter().map(|queue| queue.id).collect();
                props.set("vqs", queues);
            }
            props.into_value()
        })
        .collect()
}

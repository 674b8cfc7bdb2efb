// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The numbers of devices: what only the host can say of them.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use virtus_api::{Error, ErrorCode, Result};
use virtus_host::blocking;
use virtus_host::cgroup::BlkioDevice as Limit;
use virtus_host::loop_device::LoopDevice;
use virtus_host::usb::UsbDevice;
use virtus_xml::domain::hostdev::{HostAddress, Hostdev, HostdevType};
use virtus_xml::domain::tuning::BlkioDevice;

use crate::blueprint::{DeviceNode, allowed_devices};
use crate::disk_file;
use crate::plan::{HostNode, Plan, nodes};

/// Permission bits of devices that are given to a container.
const MODE: u32 = 0o700;

/// Looks up the devices of the plan. What is made of files is there until the controller has it, too.
pub(super) async fn number(plan: &mut Plan) -> Result<Vec<LoopDevice>> {
    for device in &mut plan.def.devices.hostdevs {
        find_usb(device).await?;
    }
    let mut files = Vec::new();
    for disk in &mut plan.def.devices.disks {
        files.extend(disk_file::lend(disk).await?);
    }
    let blueprint = &mut plan.blueprint;
    for host in &nodes(&plan.def)? {
        blueprint.devices.push(node(host).await?);
    }
    blueprint.limits.devices = Some(allowed_devices(&blueprint.devices));
    let tune = plan.def.blkiotune.clone();
    let limits = move || tune.iter().flat_map(|tune| &tune.devices).map(limit).collect();
    blueprint.limits.blkio_devices = blocking::run("looking at limited disks", limits).await?;
    Ok(files)
}

/// Says where a USB device is plugged in of which only the kind is stated.
pub(crate) async fn find_usb(device: &mut Hostdev) -> Result<()> {
    if device.kind != HostdevType::Usb {
        return Ok(());
    }
    let source = device.source.get_or_insert_default();
    if source.address.is_some() {
        return Ok(());
    }
    let (Some(vendor), Some(product)) = (&source.vendor, &source.product) else {
        let text = "a USB device is named by its <vendor> and <product>, or by its <address>";
        return Err(Error::new(ErrorCode::ConfigUnsupported, text));
    };
    let number = |id: u64| u32::try_from(id).unwrap_or(u32::MAX);
    let (vendor, product) = (number(vendor.id.0), number(product.id.0));
    let find = move || UsbDevice::find(vendor, product);
    let found = blocking::run("looking for a USB device", find).await?;
    source.address = Some(HostAddress::Usb { bus: found.bus, device: found.device });
    Ok(())
}

/// The device file of a device of the host.
pub(crate) async fn node(host: &HostNode) -> Result<DeviceNode> {
    let what = format!("looking at the device '{}'", host.source.display());
    let (source, block) = (host.source.clone(), host.block);
    let (major, minor) = blocking::run(&what, move || numbers(&source, block)).await?;
    Ok(DeviceNode {
        path: host.target.clone(),
        block: host.block,
        major,
        minor,
        mode: MODE,
        read_only: host.read_only,
        held: host.fleeting.then(|| host.source.clone()),
    })
}

/// A device's limits by its numbers.
pub(crate) fn limit(device: &BlkioDevice) -> Result<Limit> {
    let (major, minor) = numbers(Path::new(&device.path), true)?;
    Ok(Limit {
        major,
        minor,
        read_bytes: device.read_bytes_sec,
        write_bytes: device.write_bytes_sec,
        read_operations: device.read_iops_sec.map(u64::from),
        write_operations: device.write_iops_sec.map(u64::from),
    })
}

fn numbers(path: &Path, block: bool) -> Result<(u32, u32)> {
    let shown = path.display();
    let facts = std::fs::metadata(path)
        .map_err(|cause| Error::system(format!("cannot find the device '{shown}'"), &cause))?;
    let kind = facts.file_type();
    if !(if block { kind.is_block_device() } else { kind.is_char_device() }) {
        let wanted = if block { "block" } else { "character" };
        let text = format!("'{shown}' is not a {wanted} device");
        return Err(Error::new(ErrorCode::ConfigUnsupported, text));
    }
    Ok((rustix::fs::major(facts.rdev()), rustix::fs::minor(facts.rdev())))
}

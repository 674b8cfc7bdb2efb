// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Disks: bus and drive address follow from the target's name.

use virtus_api::{ErrorCode, Result};

use super::{missing, unsupported, xml_error};
use crate::domain::Domain;
use crate::domain::address::{Address, DriveAddress};
use crate::domain::disk::{Disk, DiskBus, DiskDevice, MirrorJob, SnapshotMode, Tray};
use crate::domain::hostdev::HostdevType;
use crate::domain::storage::{StartupPolicy, StorageType};

/// The prefixes of target names; the first is the longest that fits.
const PREFIXES: [(&str, DiskBus); 6] = [
    ("fd", DiskBus::Fdc),
    ("hd", DiskBus::Ide),
    ("vd", DiskBus::Virtio),
    ("sd", DiskBus::Scsi),
    ("xvd", DiskBus::Xen),
    ("ubd", DiskBus::Uml),
];

/// The number of a disk in its series: 0 for `sda`, 27 for `vdab`. A partition number behind it does not count.
#[must_use]
pub fn disk_index(target: &str) -> Option<u32> {
    let rest = PREFIXES.iter().find_map(|(prefix, _)| target.strip_prefix(prefix))?;
    let letters = rest.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &rest[letters.len()..];
    if letters.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    let mut index: u32 = 0;
    for (place, letter) in letters.bytes().enumerate() {
        if !letter.is_ascii_lowercase() {
            return None;
        }
        index = index.checked_add(u32::from(place > 0))?.checked_mul(26)?;
        index = index.checked_add(u32::from(letter - b'a'))?;
    }
    i32::try_from(index).ok().map(|_| index)
}

/// Defaults of one disk.
pub(super) fn settle(disk: &mut Disk) -> Result<()> {
    if disk.target.dev.is_empty() {
        let source =
            disk.source.as_ref().and_then(|source| source.local_path()).unwrap_or_default();
        return Err(missing(ErrorCode::NoTarget, source));
    }
    if disk.device == DiskDevice::Cdrom {
        disk.readonly = true;
    }
    if disk.target.bus.is_none() {
        disk.target.bus = match disk.device {
            DiskDevice::Floppy => Some(DiskBus::Fdc),
            _ => {
                PREFIXES.iter().find(|(prefix, _)| disk.target.dev.starts_with(prefix)).map(|p| p.1)
            }
        };
    }
    if disk.target.tray == Some(Tray::Closed) {
        disk.target.tray = None;
    }
    let readonly = disk.is_readonly();
    // Snapshots leave out what cannot change in any case.
    disk.snapshot = disk.snapshot.filter(|mode| !(readonly && *mode == SnapshotMode::No));
    let remote = disk.source.as_ref().is_some_and(|source| source.protocol.is_some());
    if disk.kind == StorageType::Network && !remote {
        disk.kind = StorageType::File;
    }
    if let Some(source) = &mut disk.source {
        source.file.take_if(|path| path.is_empty());
        source.settle_unit();
        source.keep_only(disk.kind);
        source.settle_ports();
        if source.startup_policy == Some(StartupPolicy::Mandatory) {
            source.startup_policy = None;
        }
    }
    if disk.source.as_ref().is_some_and(|source| source.is_empty()) {
        disk.source = None;
    }
    if disk.source.is_none() && disk.device == DiskDevice::Disk {
        return Err(missing(ErrorCode::NoSource, &disk.target.dev));
    }
    if let Some(mirror) = &mut disk.mirror {
        mirror.job.get_or_insert(MirrorJob::Copy);
    }
    if disk.driver == Some(crate::domain::disk::DiskDriver::default()) {
        disk.driver = None;
    }
    Ok(())
}

/// Drops the numbers that a running guest's images have.
pub(super) fn strip_indexes(disk: &mut Disk) {
    if let Some(source) = &mut disk.source {
        source.index = None;
    }
    let mut next = disk.backing_store.as_deref_mut();
    while let Some(backing) = next {
        backing.index = None;
        if let Some(source) = &mut backing.source {
            source.index = None;
        }
        next = backing.backing_store.as_deref_mut();
    }
}

/// Gives a disk on a drive bus its place, computed from the target's name as libvirt does.
pub fn assign_drive_address(disk: &mut Disk) -> Result<()> {
    if disk.info.address.is_some() {
        return Ok(());
    }
    let index = disk_index(&disk.target.dev).ok_or_else(|| {
        xml_error(format!("Unknown disk name '{}' and no address specified", disk.target.dev))
    })?;
    let Some(bus) = disk.target.bus.filter(|&bus| uses_drive_address(bus)) else { return Ok(()) };
    let place = |controller, bus, unit| DriveAddress { controller, bus, target: 0, unit };
    disk.info.address = Some(Address::Drive(match bus {
        // A wide bus has 16 units; the controller itself is unit 7.
        DiskBus::Scsi => place(index / 15, 0, index % 15 + u32::from(index % 15 >= 7)),
        DiskBus::Ide => place(index / 4, index % 4 / 2, index % 2),
        DiskBus::Sata => place(index / 6, 0, index % 6),
        _ => place(index / 2, 0, index % 2),
    }));
    Ok(())
}

fn uses_drive_address(bus: DiskBus) -> bool {
    matches!(bus, DiskBus::Scsi | DiskBus::Ide | DiskBus::Sata | DiskBus::Fdc)
}

/// All disks; a place that a SCSI host device has cannot be given to a disk.
pub(super) fn assign_drive_addresses(domain: &mut Domain) -> Result<()> {
    let devices = &mut domain.body.devices;
    for disk in &mut devices.disks {
        let computed = disk.info.address.is_none();
        assign_drive_address(disk)?;
        let Some(Address::Drive(drive)) = &disk.info.address else { continue };
        let taken = devices.hostdevs.iter().any(|hostdev| {
            hostdev.kind == HostdevType::Scsi
                && hostdev.info.address == Some(Address::Drive(*drive))
        });
        if computed && taken && disk.target.bus == Some(DiskBus::Scsi) {
            return Err(unsupported(format!(
                "using disk target name '{}' conflicts with SCSI host device address controller='{}' bus='{}' target='{}' unit='{}'",
                disk.target.dev, drive.controller, drive.bus, drive.target, drive.unit
            )));
        }
    }
    Ok(())
}

/// No two disks have the same name in the guest.
pub(super) fn check_targets(domain: &Domain) -> Result<()> {
    let mut seen = std::collections::HashMap::new();
    for disk in &domain.devices.disks {
        if let Some(first) = seen.insert(disk.target.dev.as_str(), disk) {
            let path = |disk: &Disk| {
                let source = disk.source.as_ref();
                source
                    .and_then(|s| s.local_path().or(s.name.as_deref()))
                    .unwrap_or_default()
                    .to_owned()
            };
            return Err(xml_error(format!(
                "target '{}' duplicated for disk sources '{}' and '{}'",
                disk.target.dev,
                path(first),
                path(disk)
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_in_letters() {
        assert_eq!(disk_index("sda"), Some(0));
        assert_eq!(disk_index("vdz"), Some(25));
        assert_eq!(disk_index("vdaa"), Some(26));
        assert_eq!(disk_index("xvdb3"), Some(1));
        assert_eq!(disk_index("hdaxxxxxxxxxx"), None);
        assert_eq!(disk_index("sd"), None);
        assert_eq!(disk_index("nvme0"), None);
    }
}

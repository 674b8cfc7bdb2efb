// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One disk.

use virtus_api::Result;

use super::must;
use crate::domain::address::Address;
use crate::domain::disk::{Disk, DiskBus, DiskDevice};
use crate::domain::storage::{Auth, Encryption, Protocol, StorageType};
use crate::settle::{unsupported, xml_error};

pub(super) fn validate(disk: &Disk) -> Result<()> {
    let target = &disk.target;
    let drive_bus =
        matches!(target.bus, Some(DiskBus::Ide | DiskBus::Scsi | DiskBus::Sata | DiskBus::Fdc));
    if let (Some(bus), Some(address)) = (target.bus, &disk.info.address)
        && drive_bus
        && !matches!(address, Address::Drive(_))
    {
        return Err(unsupported(format!(
            "Invalid address type '{}' for the disk '{}' with the bus type '{bus}'",
            address.kind(),
            target.dev
        )));
    }
    let wrong = match (target.bus, &disk.info.address) {
        (Some(DiskBus::Virtio), Some(Address::Drive(_) | Address::Usb { .. })) => true,
        (Some(DiskBus::Usb), Some(address)) => !matches!(address, Address::Usb { .. }),
        _ => false,
    };
    if let (true, Some(bus), Some(address)) = (wrong, target.bus, &disk.info.address) {
        return Err(unsupported(format!(
            "{bus} disk cannot have an address of type '{}'",
            address.kind()
        )));
    }
    let floppy = disk.device == DiskDevice::Floppy;
    must(!matches!(target.bus, Some(DiskBus::Fdc)) || floppy, || {
        unsupported(format!("Invalid bus type 'fdc' for {} '{}'", disk.device, target.dev))
    })?;
    if disk.device == DiskDevice::Lun {
        let source = disk.source.as_ref();
        let iscsi = source.is_some_and(|source| source.protocol == Some(Protocol::Iscsi));
        if !matches!(disk.kind, StorageType::Block | StorageType::Volume) && !iscsi {
            return Err(unsupported("disk device='lun' is only valid for block type disk source"));
        }
    }
    for (value, name, longest) in [(&disk.vendor, "vendor", 8), (&disk.product, "product", 16)] {
        let Some(value) = value else { continue };
        if value.len() > longest {
            return Err(unsupported(format!("disk {name} is more than {longest} characters")));
        }
        if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(unsupported(format!("disk {name} is not printable string")));
        }
    }
    if let Some(wwn) = &disk.wwn {
        let digits = wwn.strip_prefix("0x").unwrap_or(wwn);
        must(digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()), || {
            xml_error(format!("Malformed wwn: {wwn}: allowed are 16 hexadecimal digits"))
        })?;
    }
    secrets(disk)
}

fn secrets(disk: &Disk) -> Result<()> {
    let source = disk.source.as_ref();
    let inner = source.and_then(|source| source.auth.as_ref());
    if disk.auth.is_some() && inner.is_some() {
        return Err(unsupported("an <auth> definition already found for disk source"));
    }
    for auth in disk.auth.iter().chain(inner) {
        auth_secret(auth)?;
    }
    let inner = source.and_then(|source| source.encryption.as_ref());
    if disk.encryption.is_some() && inner.is_some() {
        return Err(unsupported("an <encryption> definition already found for disk source"));
    }
    for encryption in disk.encryption.iter().chain(inner) {
        needless_cipher(encryption)?;
    }
    Ok(())
}

fn auth_secret(auth: &Auth) -> Result<()> {
    let kind = auth.secret.as_ref().map(|secret| secret.kind.as_deref());
    match kind {
        Some(Some("ceph" | "iscsi" | "none")) | None => Ok(()),
        Some(other) => {
            Err(unsupported(format!("unknown secret type '{}'", other.unwrap_or("<null>"))))
        }
    }
}

fn needless_cipher(encryption: &Encryption) -> Result<()> {
    if encryption.cipher.is_some() {
        return Err(unsupported("supplying <cipher> for domain disk definition is unnecessary"));
    }
    if encryption.ivgen.is_some() {
        return Err(unsupported("supplying <ivgen> for domain disk definition is unnecessary"));
    }
    Ok(())
}

/// QEMU's guests see whole disks only.
pub(super) fn whole(disk: &Disk) -> Result<()> {
    let target = &disk.target;
    let letters = target.dev.trim_end_matches(|c: char| c.is_ascii_digit());
    let known = crate::settle::disk_index(&target.dev).is_some();
    if known && letters.len() < target.dev.len() {
        return Err(unsupported(format!(
            "invalid disk target '{}', partitions can't appear in disk targets",
            target.dev
        )));
    }
    Ok(())
}

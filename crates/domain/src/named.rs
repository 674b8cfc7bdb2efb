// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How calls name the devices of a guest.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_xml::Domain;
use virtus_xml::domain::disk::Disk;
use virtus_xml::domain::interface::Interface;
use virtus_xml::domain::storage::StorageSource;

/// The disk that is called so: by its target, or by the path of its image.
#[must_use]
pub fn find_disk<'def>(def: &'def Domain, name: &str) -> Option<&'def Disk> {
    let disks = &def.devices.disks;
    if name.starts_with('/') {
        return disks.iter().find(|disk| path(disk) == Some(name));
    }
    disks.iter().find(|disk| disk.target.dev == name)
}

/// As [`find_disk`], for calls that answer in these words.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG` if there is none.
pub fn disk<'def>(def: &'def Domain, name: &str) -> Result<&'def Disk> {
    find_disk(def, name).ok_or_else(|| {
        let text = format!("disk '{name}' not found in domain");
        Error::new(ErrorCode::InvalidArg, text)
            .hint(format!("see the targets with 'virsh domblklist {}'", def.name))
    })
}

/// The path of a disk's image on this host.
fn path(disk: &Disk) -> Option<&str> {
    disk.source.as_ref().and_then(StorageSource::local_path)
}

/// The interface that is called so: by its device on this host, or by its address.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG` if there is none, or two have the address.
pub fn interface<'def>(def: &'def Domain, name: &str) -> Result<&'def Interface> {
    find_interface(def, name).ok_or_else(|| {
        Error::new(ErrorCode::InvalidArg, format!("'{name}' is not a known interface"))
            .in_domain(ErrorDomain::Domain)
            .hint(format!("see the interfaces with 'virsh domiflist {}'", def.name))
    })
}

fn find_interface<'def>(def: &'def Domain, name: &str) -> Option<&'def Interface> {
    let interfaces = &def.devices.interfaces;
    interfaces.iter().find(|interface| interface.target_dev() == Some(name)).or_else(|| {
        let mut same = interfaces.iter().filter(|interface| {
            let mac = interface.mac_address().map(mac_text);
            mac.is_some_and(|mac| mac.eq_ignore_ascii_case(name))
        });
        let first = same.next()?;
        // An address that two cards have names neither.
        same.next().is_none().then_some(first)
    })
}

fn mac_text(mac: virtus_xml::value::Mac) -> String {
    let pairs: Vec<String> = mac.0.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    use virtus_xml::ParseFlags;

    use super::*;

    #[test]
    fn interfaces_go_by_device_or_address() {
        let xml = "<domain type='qemu'><name>g</name><memory>1</memory>\
            <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>\
            <interface type='ethernet'><mac address='52:54:00:12:34:56'/><target dev='tap7'/></interface>\
            <interface type='user'><mac address='52:54:00:aa:bb:01'/></interface>\
            <interface type='user'><mac address='52:54:00:aa:bb:01'/></interface></devices></domain>";
        let def = Domain::parse(xml, ParseFlags::empty()).unwrap().value;
        assert!(find_interface(&def, "tap7").is_some());
        assert_eq!(find_interface(&def, "52:54:00:12:34:56").unwrap().target_dev(), Some("tap7"));
        assert!(find_interface(&def, "52:54:00:aa:bb:01").is_none());
        assert!(find_interface(&def, "eth0").is_none());
    }

    const DISKS: &str = "<domain type='qemu'><name>g</name><memory>1</memory>\
        <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>\
        <disk type='file'><source file='/images/top.qcow2'/><target dev='vda' bus='virtio'/></disk>\
        <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk></devices></domain>";

    #[test]
    fn disks_go_by_target_or_path() {
        let def = Domain::parse(DISKS, ParseFlags::empty()).unwrap().value;
        assert_eq!(find_disk(&def, "/images/top.qcow2").unwrap().target.dev, "vda");
        assert_eq!(find_disk(&def, "sda").unwrap().target.dev, "sda");
        assert_eq!(disk(&def, "vdb").unwrap_err().text(), "disk 'vdb' not found in domain");
    }
}

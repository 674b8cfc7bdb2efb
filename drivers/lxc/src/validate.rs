// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a container cannot have, refused by its name instead of being left out silently. Pure.

use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::switch_ports;
use virtus_xml::Domain;
use virtus_xml::domain::chardev::ChardevType;
use virtus_xml::domain::disk::Disk;
use virtus_xml::domain::filesystem::{Filesystem, FilesystemDriverType, FilesystemType};
use virtus_xml::domain::hostdev::{HostdevMode, HostdevType};
use virtus_xml::domain::interface::InterfaceType;
use virtus_xml::domain::lxc::{ShareType, ShareWhat};
use virtus_xml::domain::seclabel::SeclabelType;
use virtus_xml::domain::storage::{ImageFormat, StorageType};

use crate::paths::is_controller;

/// Refuses what this driver cannot do.
pub(crate) fn validate(def: &Domain) -> Result<()> {
    let emulator = def.devices.emulator.as_deref().unwrap_or_default();
    if !is_controller(emulator) {
        let text =
            format!("emulator '{emulator}' is not the controller of containers, libvirt_lxc");
        return Err(unsupported(text).hint("leave <emulator> out"));
    }
    devices(def)?;
    def.devices.filesystems.iter().try_for_each(filesystem)?;
    for card in &def.devices.interfaces {
        use InterfaceType::{Bridge, Direct, Ethernet, Network};
        if !matches!(card.kind, Bridge | Direct | Ethernet | Network) {
            return refuse(format!("unsupported network type {}", card.kind));
        }
        if card.kind == Direct && (card.bandwidth.is_some() || card.virtualport.is_some()) {
            return refuse(
                "direct interfaces have no bandwidth limits and no port profiles: nothing of them stays on the host",
            );
        }
        switch_ports::check(card)?;
        if card.vlan.is_some() && !matches!(card.kind, Bridge | Network) {
            return refuse(
                "only interfaces of the types 'bridge' and 'network' can have VLAN tags",
            );
        }
        if card.script.is_some() {
            return refuse("scripts are not supported on LXC network interfaces");
        }
    }
    for console in &def.devices.consoles {
        if console.kind != ChardevType::Pty {
            return refuse("only PTY console types are supported");
        }
    }
    for label in &def.seclabels {
        if label.kind.is_some_and(|kind| kind != SeclabelType::None) {
            return refuse("no security driver confines containers on this host");
        }
    }
    shares(def)
}

fn devices(def: &Domain) -> Result<()> {
    let devices = &def.devices;
    let absent = [
        ("serial", devices.serials.is_empty()),
        ("parallel", devices.parallels.is_empty()),
        ("channel", devices.channels.is_empty()),
        ("smartcard", devices.smartcards.is_empty()),
        ("input", devices.inputs.is_empty()),
        ("tpm", devices.tpms.is_empty()),
        ("graphics", devices.graphics.is_empty()),
        ("sound", devices.sounds.is_empty()),
        ("video", devices.videos.is_empty()),
        ("redirdev", devices.redirdevs.is_empty()),
        ("hub", devices.hubs.is_empty()),
        ("watchdog", devices.watchdogs.is_empty()),
        ("rng", devices.rngs.is_empty()),
        ("panic", devices.panics.is_empty()),
        ("shmem", devices.shmems.is_empty()),
        ("memory", devices.memories.is_empty()),
        ("crypto", devices.cryptos.is_empty()),
        ("lease", devices.leases.is_empty()),
        ("iommu", devices.iommu.is_none()),
        ("vsock", devices.vsock.is_none()),
        ("nvram", devices.nvram.is_none()),
        ("pstore", devices.pstore.is_none()),
    ];
    if let Some((name, _)) = absent.into_iter().find(|(_, absent)| !absent) {
        return refuse(format!("containers have no {name} devices"));
    }
    devices.disks.iter().try_for_each(disk)?;
    for device in &devices.hostdevs {
        use HostdevType::{Misc, Net, Storage, Usb};
        let known = match device.mode {
            HostdevMode::Capabilities => matches!(device.kind, Misc | Net | Storage),
            HostdevMode::Subsystem => device.kind == Usb,
        };
        if !known {
            return refuse(format!("unsupported host device type {}", device.kind));
        }
    }
    Ok(())
}

fn filesystem(filesystem: &Filesystem) -> Result<()> {
    if matches!(filesystem.kind, FilesystemType::Template | FilesystemType::Volume) {
        return refuse(format!("cannot mount a filesystem of type '{}'", filesystem.kind));
    }
    let Some(driver) = &filesystem.driver else { return Ok(()) };
    if let Some(kind) = driver.kind
        && !matches!(kind, FilesystemDriverType::Path | FilesystemDriverType::Loop)
    {
        return refuse(format!("filesystem driver '{kind}' is not supported"));
    }
    let file = filesystem.source.as_ref().and_then(|source| source.file.as_deref());
    file.map_or(Ok(()), |file| raw("fs", file, driver.format))
}

fn disk(disk: &Disk) -> Result<()> {
    if !matches!(disk.kind, StorageType::Block | StorageType::File) {
        return refuse("only disks of type 'block' or 'file' can be given to containers");
    }
    let Some(driver) = disk.driver.as_ref().filter(|_| disk.kind == StorageType::File) else {
        return Ok(());
    };
    if let Some(name) = driver.name.as_deref().filter(|name| *name != "loop") {
        let text = format!("disk driver {name} is not supported");
        return Err(unsupported(text).hint("files are given to containers by the driver 'loop'"));
    }
    let file = disk.source.as_ref().and_then(|source| source.local_path());
    raw("disk", file.unwrap_or_default(), driver.format)
}

/// Files are given as loop devices, which show them as they are.
fn raw(what: &str, file: &str, format: Option<ImageFormat>) -> Result<()> {
    match format {
        None | Some(ImageFormat::Raw | ImageFormat::None) => Ok(()),
        Some(format) => Err(unsupported(format!("{what} format {format} is not supported"))
            .hint(format!("make a raw image of '{file}': qemu-img convert -O raw"))),
    }
}

fn shares(def: &Domain) -> Result<()> {
    for share in def.lxc.iter().flat_map(|namespace| &namespace.shares) {
        if share.kind == ShareType::Netns && share.what != ShareWhat::Net {
            return refuse(format!("'netns' namespace source is not supported for {}", share.what));
        }
    }
    Ok(())
}

fn unsupported(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::ConfigUnsupported, text)
}

fn refuse<T>(text: impl Into<std::borrow::Cow<'static, str>>) -> Result<T> {
    Err(unsupported(text))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use virtus_xml::ParseFlags;

    use super::*;
    use crate::complete::complete;

    fn refusal(devices: &str) -> String {
        let text = format!(
            "<domain type='lxc'><name>a</name><memory>1024</memory><os><type>exe</type></os>\
             <devices>{devices}</devices></domain>"
        );
        let mut def = Domain::parse(&text, ParseFlags::INACTIVE).unwrap().value;
        complete(&mut def, "x86_64", Path::new("/usr/libexec/libvirt_lxc")).unwrap();
        let error = validate(&def).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigUnsupported);
        error.text().to_owned()
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert_eq!(
            refusal("<rng model='virtio'><backend model='random'>/dev/random</backend></rng>"),
            "containers have no rng devices"
        );
        assert!(
            refusal("<console type='unix'><source mode='bind' path='/a'/></console>")
                .contains("PTY")
        );
        assert!(refusal("<emulator>/usr/bin/qemu</emulator>").contains("libvirt_lxc"));
        assert_eq!(refusal("<interface type='user'/>"), "unsupported network type user");
        let disk = |driver| {
            let source = "<source file='/image'/><target dev='sda'/>";
            refusal(&format!("<disk type='file'><driver {driver}/>{source}</disk>"))
        };
        assert_eq!(disk("type='qcow2'"), "disk format qcow2 is not supported");
        assert_eq!(disk("name='nbd' type='raw'"), "disk driver nbd is not supported");
        let image = "<filesystem type='file'><driver type='loop' format='qcow2'/><source file='/image'/>\
                     <target dir='/'/></filesystem>";
        assert_eq!(refusal(image), "fs format qcow2 is not supported");
        let switch = "<interface type='bridge'><source bridge='b'/><virtualport type='midonet'/></interface>";
        assert!(refusal(switch).contains("<virtualport type='midonet'>"));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which device of a definition a client means, and what a definition is with, without or with another
//! form of it. Pure.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::any_device::AnyDevice;
use virtus_xml::domain::device::Device;

/// Adds a device.
///
/// # Errors
/// `VIR_ERR_OPERATION_INVALID` if it is there already or there can be only one.
pub fn attach_to(def: &mut Domain, device: AnyDevice) -> Result<()> {
    match &device {
        AnyDevice::Disk(disk) => {
            let dev = &disk.target.dev;
            if def.devices.disks.iter().any(|other| other.target.dev == *dev) {
                return Err(invalid(format!("target '{dev}' already exists")).hint(format!(
                    "see the disks of the domain with 'virsh domblklist {}'",
                    def.name
                )));
            }
        }
        AnyDevice::Controller(controller) => {
            let taken = def.devices.controllers.iter().any(|other| {
                other.kind == controller.kind
                    && controller.index.is_some()
                    && other.index == controller.index
            });
            if taken {
                return Err(invalid(
                    "a controller of this type and index already exists".to_owned(),
                ));
            }
        }
        _ => {}
    }
    let name = device.name();
    match def.devices.insert(device) {
        None => Ok(()),
        Some(_) => Err(invalid(format!("domain already has a {name} device"))),
    }
}

/// Takes a device out.
///
/// # Errors
/// `VIR_ERR_DEVICE_MISSING` if there is none like it.
pub fn detach_from(def: &mut Domain, device: AnyDevice) -> Result<()> {
    replace(def, device, false)
}

/// Gives a disk, interface or display another form.
///
/// # Errors
/// `VIR_ERR_DEVICE_MISSING` if there is none like it; `VIR_ERR_OPERATION_UNSUPPORTED` for other kinds.
pub fn update_in(def: &mut Domain, device: AnyDevice) -> Result<()> {
    match device {
        AnyDevice::Disk(_) | AnyDevice::Interface(_) | AnyDevice::Graphics(_) => {
            replace(def, device, true)
        }
        other => Err(Error::new(
            ErrorCode::OperationUnsupported,
            format!("a {} device cannot be updated", other.name()),
        )
        .hint("detach it and attach it in its new form")),
    }
}

/// Finds the device that `wanted` means and removes it, or puts `wanted` in its place.
fn replace(def: &mut Domain, wanted: AnyDevice, keep: bool) -> Result<()> {
    macro_rules! by_info {
        ($list:ident, $wanted:ident) => {{
            let found = def.devices.$list.iter().position(|other| {
                let mut other = other.clone();
                blur(&mut other.info, &$wanted.info);
                other == **$wanted
            });
            found.map(|at| {
                def.devices.$list.remove(at);
            })
        }};
    }
    macro_rules! by_key {
        ($list:ident, $wanted:ident, $same:expr) => {{
            let found = def.devices.$list.iter().position($same);
            found.map(|at| {
                if keep {
                    let mut new = (**$wanted).clone();
                    inherit(&mut new.info, &def.devices.$list[at].info);
                    def.devices.$list[at] = new;
                } else {
                    def.devices.$list.remove(at);
                }
            })
        }};
    }
    let name = wanted.name();
    let (done, what) = match &wanted {
        AnyDevice::Disk(disk) => {
            let dev = disk.target.dev.clone();
            (
                by_key!(disks, disk, |other| other.target.dev == dev),
                format!("no target device {dev}"),
            )
        }
        AnyDevice::Interface(nic) => {
            let mac = nic.mac.clone();
            let found = by_key!(interfaces, nic, |other| other.mac == mac);
            (found, "no interface with this MAC address was found".to_owned())
        }
        AnyDevice::Graphics(graphics) => {
            let place = def.devices.graphics.iter().position(|other| other.kind == graphics.kind);
            let done = place.map(|at| {
                if keep {
                    def.devices.graphics[at] = (**graphics).clone();
                } else {
                    def.devices.graphics.remove(at);
                }
            });
            (done, "no graphics of this type was found".to_owned())
        }
        AnyDevice::Controller(controller) => {
            let (kind, index) = (controller.kind, controller.index);
            let found = by_key!(controllers, controller, |other| other.kind == kind
                && other.index == index);
            (found, "no controller of this type and index was found".to_owned())
        }
        AnyDevice::Filesystem(device) => (by_info!(filesystems, device), missing(name)),
        AnyDevice::Serial(device) => (by_info!(serials, device), missing(name)),
        AnyDevice::Parallel(device) => (by_info!(parallels, device), missing(name)),
        AnyDevice::Channel(device) => (by_info!(channels, device), missing(name)),
        AnyDevice::Input(device) => (by_info!(inputs, device), missing(name)),
        AnyDevice::Tpm(device) => (by_info!(tpms, device), missing(name)),
        AnyDevice::Sound(device) => (by_info!(sounds, device), missing(name)),
        AnyDevice::Video(device) => (by_info!(videos, device), missing(name)),
        AnyDevice::Hostdev(device) => (by_info!(hostdevs, device), missing(name)),
        AnyDevice::Redirdev(device) => (by_info!(redirdevs, device), missing(name)),
        AnyDevice::Watchdog(device) => (by_info!(watchdogs, device), missing(name)),
        AnyDevice::Rng(device) => (by_info!(rngs, device), missing(name)),
        AnyDevice::Panic(device) => (by_info!(panics, device), missing(name)),
        AnyDevice::Shmem(device) => (by_info!(shmems, device), missing(name)),
        AnyDevice::Memory(device) => (by_info!(memories, device), missing(name)),
        AnyDevice::Vsock(_) => (def.devices.vsock.take().map(drop), missing(name)),
        other => {
            let text = format!("a {} device cannot be detached", other.name());
            return Err(Error::new(ErrorCode::OperationUnsupported, text));
        }
    };
    done.ok_or_else(|| {
        Error::new(ErrorCode::DeviceMissing, what)
            .hint(format!("see the devices of the domain with 'virsh dumpxml {}'", def.name))
    })
}

/// Forgets what the client did not say about the device: its address, alias and boot order.
fn blur(info: &mut Device, wanted: &Device) {
    if wanted.address.is_none() {
        info.address = None;
    }
    if wanted.alias.is_none() {
        info.alias = None;
    }
    if wanted.boot.is_none() {
        info.boot = None;
    }
}

/// A device in its new form stays where it was.
fn inherit(info: &mut Device, old: &Device) {
    if info.address.is_none() {
        info.address.clone_from(&old.address);
    }
    if info.alias.is_none() {
        info.alias.clone_from(&old.alias);
    }
}

fn missing(name: &str) -> String {
    format!("matching {name} device not found")
}

fn invalid(text: String) -> Error {
    Error::new(ErrorCode::OperationInvalid, text)
}

#[cfg(test)]
mod tests {
    use virtus_xml::ParseFlags;

    use super::*;

    fn device(xml: &str) -> AnyDevice {
        AnyDevice::parse(xml, ParseFlags::INACTIVE, true).unwrap().value
    }

    const DISK: &str = "<disk type='file' device='disk'><driver name='qemu' type='raw'/>\
                        <source file='/a'/><target dev='vda' bus='virtio'/></disk>";
    const RNG: &str = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>";

    #[test]
    fn devices_come_change_and_go() {
        let mut def = Domain::default();
        attach_to(&mut def, device(DISK)).unwrap();
        let error = attach_to(&mut def, device(DISK)).unwrap_err();
        assert_eq!(error.text(), "target 'vda' already exists");
        update_in(&mut def, device(&DISK.replace("/a", "/b"))).unwrap();
        let source = def.devices.disks[0].source.as_ref().unwrap();
        assert_eq!(source.file.as_deref(), Some("/b"));
        attach_to(&mut def, device(RNG)).unwrap();
        update_in(&mut def, device(RNG)).unwrap_err();
        def.devices.rngs[0].info.alias = Some("ua-x".into());
        detach_from(&mut def, device(RNG)).unwrap();
        let error = detach_from(&mut def, device(RNG)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::DeviceMissing);
        detach_from(&mut def, device(DISK)).unwrap();
        assert!(def.devices.disks.is_empty() && def.devices.rngs.is_empty());
    }
}

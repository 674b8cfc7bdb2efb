// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Gives a running container devices of the host, and takes them away again.
//!
//! What is done in the container's files is done below its own root, where everything is the container's to choose:
//! no link is followed. Invariant: what fails half-way is taken back.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, makedev, mkdirat, mknodat, open, openat2,
    statat, unlinkat,
};
use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::{Context, attach_to, detach_from, unsupported};
use virtus_host::cgroup::{DeviceRule, Group};
use virtus_host::link::{Links, inside};
use virtus_xml::Domain;
use virtus_xml::domain::any_device::AnyDevice;
use virtus_xml::domain::hostdev::HostdevType;
use virtus_xml::domain::interface::Interface;

use crate::blueprint::{DeviceNode, Link, allowed_devices};
use crate::complete::random;
use crate::container::Container;
use crate::driver::Lxc;
use crate::end::remove_link;
use crate::plan::{self, HostNode, device_node, disk_node};
use crate::start::{node, plug};
use crate::validate::validate;

/// Gives a container a device.
pub(crate) fn attach(context: &Context<Lxc>, device: AnyDevice) -> Result<()> {
    let container = context.running()?;
    let mut wanted = (*context.live()?).clone();
    attach_to(&mut wanted, device.clone())?;
    wanted.name_missing(crate::complete::MAC_PREFIX, &mut random);
    validate(&wanted)?;
    plan::name_devices(&mut wanted);
    match device {
        AnyDevice::Interface(_) => {
            let Some(new) = wanted.devices.interfaces.last_mut() else {
                return Err(cannot("attached", "interface"));
            };
            let number = context.live()?.devices.interfaces.len();
            plug_in(&container, new, number)?;
        }
        AnyDevice::Disk(disk) => give(&container, &wanted, &disk_node(&disk)?)?,
        AnyDevice::Hostdev(device) if device.kind != HostdevType::Net => {
            give(&container, &wanted, &device_node(&device)?)?;
        }
        other => return Err(cannot("attached", other.name())),
    }
    context.change_live(|def| *def = wanted)
}

/// Takes a device away from a container.
pub(crate) fn detach(context: &Context<Lxc>, device: AnyDevice) -> Result<()> {
    let container = context.running()?;
    let live = context.live()?;
    let mut left = (*live).clone();
    detach_from(&mut left, device.clone())?;
    match device {
        AnyDevice::Interface(card) => {
            let mut cards = live.devices.interfaces.iter();
            let known = cards.find(|known| known.mac_address() == card.mac_address());
            let end = known.and_then(Interface::target_dev).ok_or_else(|| {
                unsupported("only interfaces with a device on this host can be detached")
            })?;
            remove_link(end);
        }
        AnyDevice::Disk(disk) => {
            let mut disks = live.devices.disks.iter();
            let known = disks.find(|known| known.target.dev == disk.target.dev);
            take(&container, &left, &disk_node(known.unwrap_or(&disk))?)?;
        }
        AnyDevice::Hostdev(device) if device.kind != HostdevType::Net => {
            take(&container, &left, &device_node(&device)?)?;
        }
        other => return Err(cannot("detached", other.name())),
    }
    context.change_live(|def| *def = left)
}

fn cannot(what: &str, kind: &str) -> Error {
    Error::new(ErrorCode::ConfigUnsupported, format!("device type '{kind}' cannot be {what}"))
        .hint("change the next start's definition with '--config'")
}

/// Makes a network device and moves it into the container.
fn plug_in(container: &Container, interface: &mut Interface, number: usize) -> Result<()> {
    let init = container.init_process()?;
    let path = format!("/proc/{}/ns/net", init.pid());
    let namespace = File::open(&path)
        .map_err(|cause| Error::system(format!("cannot open '{path}'"), &cause))?;
    let card = plan::card(number, interface)?;
    let plugged = plug(&card)?;
    let undo = plugged.host_end.clone().unwrap_or_else(|| plugged.inner.clone());
    let link = Link { host_name: plugged.inner, ..card.link };
    let moved = Links::open()
        .and_then(|links| links.move_to(&link.host_name, namespace.as_fd(), &link.name))
        .and_then(|()| inside(namespace.as_fd(), |links| set_up(links, &link)));
    if let Err(error) = moved {
        remove_link(&undo);
        return Err(error);
    }
    interface.target.get_or_insert_default().dev = plugged.host_end;
    interface.guest.get_or_insert_default().actual = Some(link.name);
    Ok(())
}

fn set_up(links: &Links, link: &Link) -> Result<()> {
    links.set(&link.name, link.mac, link.up)?;
    for own in &link.addresses {
        links.add_address(&link.name, own.address, own.prefix, own.peer)?;
    }
    for route in &link.routes {
        let network = (route.network, route.prefix);
        links.add_route(&link.name, network, route.gateway, route.metric)?;
    }
    Ok(())
}

/// Makes a device file in the container and allows its use.
fn give(container: &Container, wanted: &Domain, host: &HostNode) -> Result<()> {
    if wanted.idmap.is_some() {
        let text = "a container with a map of users cannot be given devices while it runs";
        return Err(unsupported(text).hint("give it the device for its next start: '--config'"));
    }
    let device = node(host)?;
    let (folder, name) = folder_of(container, &device.path)?;
    let kind = if device.block { FileType::BlockDevice } else { FileType::CharacterDevice };
    let number = makedev(device.major, device.minor);
    mknodat(&folder, &name, kind, Mode::from_raw_mode(device.mode), number).map_err(|cause| {
        let text =
            format!("cannot make '/dev/{}' in {}", device.path.display(), container.subject());
        Error::system(text, &cause.into())
    })?;
    let allowed = allow(container, wanted, &device);
    if allowed.is_err() {
        // The container may have removed it itself.
        let _ = unlinkat(&folder, &name, AtFlags::empty());
    }
    allowed
}

/// Forbids the use of a device, and removes its file if it still is there.
fn take(container: &Container, left: &Domain, host: &HostNode) -> Result<()> {
    let device = node(host)?;
    deny(container, left, &device)?;
    let (folder, name) = folder_of(container, &device.path)?;
    let ours = statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|facts| facts.st_rdev == makedev(device.major, device.minor));
    if ours {
        // Whoever has it open cannot use it either.
        let _ = unlinkat(&folder, &name, AtFlags::empty());
    }
    Ok(())
}

/// The folder in the container in which a device file lies, made where it is missing; and the file's name.
fn folder_of(container: &Container, path: &Path) -> Result<(OwnedFd, std::ffi::OsString)> {
    let explain = |cause: rustix::io::Errno| {
        let text = format!(
            "cannot open the place of '/dev/{}' in {}",
            path.display(),
            container.subject()
        );
        Error::system(text, &cause.into())
    };
    let root = format!("/proc/{}/root", container.init_process()?.pid());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(root, flags, Mode::empty()).map_err(explain)?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mut folder = openat2(&root, "dev", flags, Mode::empty(), resolve).map_err(explain)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    for part in path.parent().into_iter().flatten() {
        match mkdirat(&folder, part, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(cause) => return Err(explain(cause)),
        }
        folder = openat2(&folder, part, flags, Mode::empty(), resolve).map_err(explain)?;
    }
    Ok((folder, path.file_name().unwrap_or_default().to_owned()))
}

/// The group with the limits, and the one in it where the processes are.
fn groups(container: &Container) -> [Group; 2] {
    [container.group.clone(), container.group.child("payload")]
}

/// The rules for all devices of a definition.
fn rules(def: &Domain) -> Result<Vec<DeviceRule>> {
    let mut nodes = DeviceNode::standard();
    for host in plan::nodes(def)? {
        nodes.push(node(&host)?);
    }
    Ok(allowed_devices(&nodes))
}

fn allow(container: &Container, wanted: &Domain, device: &DeviceNode) -> Result<()> {
    if container.group.asks_for_devices() {
        return container.group.set_devices(&rules(wanted)?);
    }
    let rule = allowed_devices(std::slice::from_ref(device));
    groups(container).iter().try_for_each(|group| group.allow_device(&rule[0]))
}

fn deny(container: &Container, left: &Domain, device: &DeviceNode) -> Result<()> {
    if container.group.asks_for_devices() {
        return container.group.set_devices(&rules(left)?);
    }
    let rule = allowed_devices(std::slice::from_ref(device));
    container.group.deny_device(&rule[0])
}

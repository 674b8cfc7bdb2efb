// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Decides what a start will do: the blueprint of the container, and what the host must make for it first. Pure.
//!
//! What only the host can say stays open in the blueprint: descriptors, the names of network devices, the
//! numbers of devices. [`crate::start`] fills it in.

mod capabilities;
mod filesystems;
mod init;
mod limits;
mod network;

use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::{Files, Start, unsupported};
use virtus_host::cgroup::machine_group;
use virtus_xml::Domain;
use virtus_xml::domain::LifecycleAction;
use virtus_xml::domain::hostdev::{HostAddress, HostdevType};
use virtus_xml::domain::lxc::ShareWhat;
use virtus_xml::domain::tuning::Resource;

use crate::blueprint::{Blueprint, DeviceNode, IdMap, IdRange, Namespace, OnReboot};
use crate::disk_file;
use crate::paths::Places;

pub(crate) use network::{Card, Wire, card};

/// The part of the host's resources from which containers get theirs.
pub(crate) const PARTITION: &str = "/machine";

/// What a start will do.
pub(crate) struct Plan {
    /// The live definition: with id and aliases.
    pub(crate) def: Domain,
    /// All but what the host must say.
    pub(crate) blueprint: Blueprint,
    /// Network devices that are made, one for each of the blueprint's first links.
    pub(crate) cards: Vec<Card>,
    /// Devices of the host that the container may use.
    pub(crate) nodes: Vec<HostNode>,
    /// What a client has sent along for the first process.
    pub(crate) files: Files,
}

/// A device of the host that a container gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostNode {
    /// Its file on the host.
    pub(crate) source: PathBuf,
    /// Its place below the container's `/dev`.
    pub(crate) target: PathBuf,
    /// Whether it is a disk; otherwise a character device.
    pub(crate) block: bool,
    /// Whether nothing can be written to it.
    pub(crate) read_only: bool,
    /// Whether it is there only as long as somebody has it open.
    pub(crate) fleeting: bool,
}

impl HostNode {
    fn writable(source: PathBuf, target: PathBuf, block: bool) -> Self {
        Self { source, target, block, read_only: false, fleeting: false }
    }
}

/// Decides about a start.
pub(crate) fn plan(def: &Domain, start: &Start, places: &Places) -> Result<Plan> {
    if start.paused || start.saved {
        return Err(unsupported("containers can be started neither paused nor from saved memory"));
    }
    let mut def = def.clone();
    def.id = Some(start.id);
    live(&mut def);
    let filesystems::Tree { root, mounts } = filesystems::tree(&def)?;
    let cards = network::cards(&def)?;
    let mut links: Vec<_> = cards.iter().map(|card| card.link.clone()).collect();
    links.extend(network::devices_of_host(&def)?);
    let shares = |what| {
        let mut shares = def.lxc.iter().flat_map(|namespace| &namespace.shares);
        shares.any(|share| share.what == what)
    };
    let own_network = !links.is_empty() || def.features.privnet || shares(ShareWhat::Net);
    let nodes = nodes(&def)?;
    let blueprint = Blueprint {
        name: def.name.clone(),
        socket: places.socket(&def.name),
        staging: places.run.clone(),
        root,
        mounts,
        network: if own_network { Namespace::Own } else { Namespace::Host },
        ipc: Namespace::Own,
        uts: Namespace::Own,
        id_map: id_map(&def),
        links,
        consoles: Vec::new(),
        devices: DeviceNode::standard(),
        init: init::init(&def),
        capabilities: capabilities::allowed(def.features.capabilities.as_ref())?,
        call_filter: true,
        cgroup: group(&def),
        limits: limits::limits(&def),
        hostname: init::hostname(&def),
        label: None,
        on_reboot: match def.on_reboot.unwrap_or(LifecycleAction::Restart) {
            LifecycleAction::Restart | LifecycleAction::RenameRestart => OnReboot::Restart,
            _ => OnReboot::End,
        },
    };
    Ok(Plan { def, blueprint, cards, nodes, files: start.files.clone() })
}

/// What only a running container's definition says.
fn live(def: &mut Domain) {
    let resource = def.resource.get_or_insert_with(Resource::default);
    resource.partition.get_or_insert_with(|| PARTITION.to_owned());
    name_devices(def);
}

/// Gives every device its alias.
pub(crate) fn name_devices(def: &mut Domain) {
    for (number, console) in def.devices.consoles.iter_mut().enumerate() {
        console.info.alias = Some(format!("console{number}"));
    }
    for (number, card) in def.devices.interfaces.iter_mut().enumerate() {
        card.info.alias = Some(format!("net{number}"));
    }
    for (number, device) in def.devices.hostdevs.iter_mut().enumerate() {
        device.info.alias = Some(format!("hostdev{number}"));
    }
    for disk in &mut def.devices.disks {
        disk.info.alias = Some(format!("disk-{}", disk.target.dev));
    }
}

/// The control group of a running container, below the daemon's own.
pub(crate) fn group(def: &Domain) -> String {
    let partition = def.resource.as_ref().and_then(|resource| resource.partition.as_deref());
    let group = machine_group("lxc", def.id.unwrap_or(-1), &def.name);
    match partition {
        None | Some(PARTITION) => group,
        // Folders of partitions are told from those of guests by their names.
        Some(partition) => {
            let own = group.rsplit('/').next().unwrap_or(&group);
            let folders = partition.split('/').filter(|part| !part.is_empty() && *part != "..");
            let folders: String = folders.map(|part| format!("{part}.partition/")).collect();
            format!("{folders}{own}")
        }
    }
}

fn id_map(def: &Domain) -> Option<IdMap> {
    let ranges = |ranges: &[virtus_xml::domain::idmap::IdRange]| {
        let range = |range: &virtus_xml::domain::idmap::IdRange| IdRange {
            inside: range.start,
            outside: range.target,
            count: range.count,
        };
        ranges.iter().map(range).collect()
    };
    let map = def.idmap.as_ref()?;
    Some(IdMap { users: ranges(&map.uids), groups: ranges(&map.gids) })
}

/// Disks by their target, other devices where the host has them.
pub(crate) fn nodes(def: &Domain) -> Result<Vec<HostNode>> {
    let mut nodes = Vec::new();
    for disk in &def.devices.disks {
        nodes.push(disk_node(disk)?);
    }
    for device in &def.devices.hostdevs {
        // Where a USB device is plugged in, of which only the kind is stated, the host says first.
        let found = device.source.as_ref().is_some_and(|source| source.address.is_some());
        if device.kind != HostdevType::Net && (found || device.kind != HostdevType::Usb) {
            nodes.push(device_node(device)?);
        }
    }
    Ok(nodes)
}

/// The device file of a disk. Of a file a device is made when the container starts; before, it is the file itself.
pub(crate) fn disk_node(disk: &virtus_xml::domain::disk::Disk) -> Result<HostNode> {
    let target = &disk.target.dev;
    let lent = disk_file::lent(disk);
    let stated = || disk.source.as_ref()?.local_path().map(Path::new);
    let source = lent.or_else(stated).ok_or_else(|| {
        Error::new(ErrorCode::ConfigUnsupported, format!("disk '{target}' has no source"))
    })?;
    Ok(HostNode {
        source: source.to_owned(),
        target: target.into(),
        block: true,
        read_only: disk.readonly,
        fleeting: lent.is_some(),
    })
}

/// The device file of a device of the host.
pub(crate) fn device_node(device: &virtus_xml::domain::hostdev::Hostdev) -> Result<HostNode> {
    let source = device.source.as_ref();
    if let Some(HostAddress::Usb { bus, device }) =
        source.and_then(|source| source.address.as_ref())
    {
        let target = PathBuf::from(format!("bus/usb/{bus:03}/{device:03}"));
        return Ok(HostNode::writable(Path::new("/dev").join(&target), target, false));
    }
    let block = device.kind == HostdevType::Storage;
    let path = source
        .and_then(|source| if block { source.block.clone() } else { source.char_device.clone() });
    let path = PathBuf::from(path.unwrap_or_default());
    let plain = |path: &Path| !path.as_os_str().is_empty() && !path.ends_with("..");
    match path.strip_prefix("/dev") {
        Ok(target) if plain(target) => {
            Ok(HostNode::writable(path.clone(), target.to_owned(), block))
        }
        _ => {
            let text = format!("host device '{}' is not below /dev", path.display());
            Err(Error::new(ErrorCode::ConfigUnsupported, text))
        }
    }
}

#[cfg(test)]
mod tests;

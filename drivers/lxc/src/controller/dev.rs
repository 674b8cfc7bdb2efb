// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A container's `/dev`: memory with the device files that it may have, and terminals of its own.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, chownat, makedev, mknodat, openat, symlinkat,
    unlinkat,
};
use rustix::mount::MountAttrFlags;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

use super::filesystem;
use super::tree::Tree;
use crate::blueprint::{Blueprint, Descriptor, DeviceNode, IdMap};
use crate::failure::{Attempt, Step};

/// The group that terminals belong to, by an old convention.
const TTY_GROUP: u32 = 5;

const LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Both ends of a console that the controller joins.
#[derive(Debug)]
pub(super) struct Console {
    /// The master of a terminal of the host.
    pub(super) host: Descriptor,
    /// The master of a terminal of the container.
    pub(super) container: OwnedFd,
}

/// A `/dev` that is put together.
pub(super) struct Dev {
    /// What is in it, also when the container has it elsewhere.
    pub(super) tree: Tree,
    pub(super) consoles: Vec<Console>,
}

/// Mounts `/dev`, `/dev/pts` and `/dev/shm`, and opens a terminal for each console.
pub(super) fn build(tree: &Tree, blueprint: &Blueprint) -> Step<Dev> {
    let owner = blueprint.id_map.as_ref().map_or((0, 0), IdMap::root);
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let memory = |size: &str, mode: &str| {
        let options =
            [("size", size), ("mode", mode)].map(|(name, value)| (name, value.to_owned()));
        let owners = [("uid", owner.0.to_string()), ("gid", owner.1.to_string())];
        [options, owners].concat()
    };
    let dev = filesystem::new("tmpfs", &memory("64k", "755"), quiet)?;
    tree.attach(&dev, Path::new("/dev"))?;
    let own = dev.try_clone().attempt(|| "keep the container's '/dev'")?;
    let own = Tree::new(own, owner);
    for node in &blueprint.devices {
        make(&own, node)?;
    }
    let link = |name: &str, target: &str| {
        symlinkat(target, &dev, name).attempt(|| format!("make the container's '/dev/{name}'"))
    };
    for (name, target) in LINKS {
        link(name, target)?;
    }

    let tty_group = blueprint.id_map.as_ref().map_or(Some(TTY_GROUP), tty_group);
    let mut options = vec![("mode", "0620".to_owned()), ("ptmxmode", "0666".to_owned())];
    options.extend(tty_group.map(|group| ("gid", group.to_string())));
    let pts = filesystem::new("devpts", &options, quiet)?;
    tree.attach(&pts, Path::new("/dev/pts"))?;
    let shared =
        filesystem::new("tmpfs", &memory("50%", "1777"), quiet | MountAttrFlags::MOUNT_ATTR_NODEV)?;
    tree.attach(&shared, Path::new("/dev/shm"))?;
    tree.folder(Path::new("/dev/mqueue"))?;

    let mut consoles = Vec::new();
    for (number, host) in blueprint.consoles.iter().enumerate() {
        let container = terminal(pts.as_fd(), owner.0)
            .attempt(|| format!("open the container's '/dev/pts/{number}'"))?;
        consoles.push(Console { host: *host, container });
        link(&format!("tty{}", number + 1), &format!("pts/{number}"))?;
    }
    if !consoles.is_empty() {
        link("console", "pts/0")?;
    }
    Ok(Dev { tree: own, consoles })
}

/// Makes a device file in a `/dev`, with the folders above it.
pub(super) fn make(dev: &Tree, node: &DeviceNode) -> Step<()> {
    let attempt =
        || format!("make the device file '{}'", Path::new("/dev").join(&node.path).display());
    let above = dev.folder(node.path.parent().unwrap_or(Path::new("")))?;
    let name = node.path.file_name().unwrap_or_default();
    let (user, group) = dev.owner();
    let kind = if node.block { FileType::BlockDevice } else { FileType::CharacterDevice };
    let number = makedev(node.major, node.minor);
    mknodat(&above, name, kind, Mode::from_raw_mode(node.mode), number).attempt(attempt)?;
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    let given = chownat(&above, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW);
    given.attempt(attempt).inspect_err(|_| {
        let _gone = unlinkat(&above, name, AtFlags::empty());
    })
}

/// The master of the next terminal of this `devpts`; the other end belongs to the container's root.
fn terminal(pts: BorrowedFd<'_>, owner: u32) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let master = openat(pts, "ptmx", flags, Mode::empty())?;
    unlockpt(&master)?;
    let peer = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, peer)?;
    rustix::fs::fchown(&slave, Some(Uid::from_raw(owner)), None)?;
    Ok(master)
}

/// Who the container's group of terminals is on the host, if it is anybody.
fn tty_group(map: &IdMap) -> Option<u32> {
    let range = map.groups.iter().find(|range| {
        (range.inside..range.inside.saturating_add(range.count)).contains(&TTY_GROUP)
    })?;
    Some(range.outside + (TTY_GROUP - range.inside))
}

#[cfg(test)]
mod tests {
    use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

    use super::*;

    #[test]
    fn a_device_file_that_cannot_be_given_away_does_not_stay() {
        let folder = std::env::temp_dir().join(format!("virtus-dev-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let dev = Tree::new(std::fs::File::open(&folder).unwrap().into(), (1, 1));
        // These numbers are no device's: whoever runs the test may make it.
        let node = DeviceNode {
            path: "none".into(),
            block: false,
            major: 0,
            minor: 0,
            mode: 0o600,
            read_only: false,
            held: None,
        };
        let own = capabilities(None).unwrap();
        let effective = own.effective.difference(CapabilitySet::CHOWN);
        set_capabilities(None, CapabilitySets { effective, ..own }).unwrap();
        let made = make(&dev, &node);
        set_capabilities(None, own).unwrap();
        let failure = made.unwrap_err();
        assert_eq!(failure.errno, libc::EPERM);
        std::fs::remove_dir(&folder).expect("it is empty");
    }
}

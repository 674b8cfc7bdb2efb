// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Opens what a container mounts, as mounts that are attached nowhere yet.

mod magic;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, open_tree,
};
use virtus_host::loop_device::LoopDevice;

use super::sys::{self, MountChange};
use super::tree::Tree;
use crate::blueprint::{Mount, Source};
use crate::failure::{Attempt, Failure, Step};

/// The mount that `mount` describes. `tree` is the container as it is so far, if there is something of it;
/// `users` is a user namespace with the container's ids, if it has its own.
pub(super) fn open(
    mount: &Mount,
    tree: Option<&Tree>,
    users: Option<BorrowedFd<'_>>,
) -> Step<OwnedFd> {
    let (opened, what) = match &mount.source {
        Source::Bind { path, recursive } => (bind(path, *recursive)?, path.display().to_string()),
        Source::Inner(path) => {
            let tree = tree.ok_or_else(|| Failure::refused("a root cannot be part of itself"))?;
            (tree.copy(path)?, path.display().to_string())
        }
        Source::Block(path) => (disk(path, mount.read_only)?, path.display().to_string()),
        Source::Image(path) => {
            let device = LoopDevice::attach(path, mount.read_only)?;
            (disk(device.path(), mount.read_only)?, path.display().to_string())
        }
        Source::Ram { bytes } => {
            let options = [("size", bytes.to_string()), ("mode", "755".to_owned())];
            (new("tmpfs", &options, MountAttrFlags::empty())?, "memory".to_owned())
        }
    };
    let change = MountChange {
        set: if mount.read_only { libc::MOUNT_ATTR_RDONLY } else { 0 },
        private: true,
        id_map: users.filter(|_| mount.id_mapped),
        recursive: true,
        ..MountChange::default()
    };
    sys::set_mount(&opened, &change).attempt(|| format!("prepare the mount of '{what}'")).map_err(
        |failure| match change.id_map {
            Some(_) => failure.hint("does its file system support id-mapped mounts?"),
            None => failure,
        },
    )?;
    Ok(opened)
}

fn bind(path: &Path, recursive: bool) -> Step<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(CWD, path, flags).attempt(|| format!("bind '{}'", path.display()))
}

/// Mounts a disk by the file system that is on it.
fn disk(path: &Path, read_only: bool) -> Step<OwnedFd> {
    let file = File::open(path).attempt(|| format!("open the disk '{}'", path.display()))?;
    let kind = magic::recognise(&file).attempt(|| format!("read '{}'", path.display()))?;
    let Some(kind) = kind else {
        let text = format!("'{}' has no file system that is known", path.display());
        return Err(Failure::refused(text).hint("make one, for example: mkfs.ext4"));
    };
    let mut options = vec![("source", path.display().to_string())];
    if read_only {
        options.push(("ro", String::new()));
    }
    new(kind, &options, MountAttrFlags::empty()).map_err(|mut failure| {
        failure.attempt = format!("{} of '{}'", failure.attempt, path.display());
        failure
    })
}

/// A new instance of a file system; an option without a value is a flag.
pub(super) fn new(
    kind: &str,
    options: &[(&str, String)],
    attributes: MountAttrFlags,
) -> Step<OwnedFd> {
    let attempt = || format!("mount a file system '{kind}'");
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).attempt(attempt)?;
    let named = options.iter().any(|(name, _)| *name == "source");
    let source = [("source", kind.to_owned())];
    for (name, value) in options.iter().chain(source.iter().filter(|_| !named)) {
        let set = if value.is_empty() {
            fsconfig_set_flag(&context, *name)
        } else {
            fsconfig_set_string(&context, *name, value.as_str())
        };
        set.attempt(|| format!("{} with {name}={value}", attempt()))?;
    }
    fsconfig_create(context.as_fd()).attempt(attempt)?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).attempt(attempt)
}

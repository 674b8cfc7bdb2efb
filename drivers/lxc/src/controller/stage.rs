// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Puts a container's root together, in the controller's own mount namespace, on top of the staging folder.
//!
//! Init then gets a copy of that namespace. Where it has a user namespace of its own, the kernel locks what it
//! copies: the container can neither make read-only mounts writable nor look beneath them.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};

use super::dev::{self, Dev};
use super::filesystem;
use super::sys::{self, MountChange};
use super::tree::Tree;
use crate::blueprint::{Blueprint, IdMap};
use crate::failure::{Attempt, Failure, Step};

/// A root that is put together.
pub(super) struct Stage {
    /// Where it is mounted; it is unmounted with this.
    folder: PathBuf,
}

impl Stage {
    /// Puts together what does not need the container's own namespaces. `users` is a user namespace with its ids.
    pub(super) fn build(blueprint: &Blueprint, users: Option<BorrowedFd<'_>>) -> Step<(Self, Dev)> {
        let owner = blueprint.id_map.as_ref().map_or((0, 0), IdMap::root);
        let root = filesystem::open(&blueprint.root, None, users)?;
        let folder = blueprint.staging.clone();
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&root, "", CWD, &folder, flags)
            .attempt(|| format!("mount the root file system on '{}'", folder.display()))?;
        // From here on whatever fails is unmounted.
        let stage = Self { folder };
        // Init's copy of this folder is in its copy of the mounts: it finds the root there, even if its
        // user may not come by the path.
        rustix::process::fchdir(&root).attempt(|| "enter the root file system")?;
        let tree = Tree::new(root, owner);
        // Mount points may have to be made before nothing can be.
        let top = |change: MountChange<'_>| {
            sys::set_mount(tree.root(), &change).attempt(|| "make the root file system read-only")
        };
        top(MountChange { clear: libc::MOUNT_ATTR_RDONLY, ..MountChange::default() })?;
        let dev = dev::build(&tree, blueprint)?;
        for mount in &blueprint.mounts {
            if mount.target.starts_with("/proc") || mount.target.starts_with("/sys") {
                let target = mount.target.display();
                return Err(Failure::refused(format!("'{target}' is the container's own"))
                    .hint("choose a target outside /proc and /sys"));
            }
            tree.attach(filesystem::open(mount, Some(&tree), users)?, &mount.target)?;
        }
        for folder in ["/proc", "/sys"] {
            tree.folder(Path::new(folder))?;
        }
        if blueprint.root.read_only {
            top(MountChange { set: libc::MOUNT_ATTR_RDONLY, ..MountChange::default() })?;
        }
        Ok((stage, dev))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = rustix::process::chdir("/");
        // It goes with the namespace otherwise.
        let _ = unmount(&self.folder, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    }
}

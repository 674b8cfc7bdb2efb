// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The file systems that show a container's own namespaces, and the step into its root.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount,
};
use virtus_host::cgroup::Kind;

use super::super::filesystem;
use super::super::sys::{self, MountChange};
use super::super::tree::Tree;
use crate::blueprint::{Blueprint, Namespace};
use crate::failure::{Attempt, Step};

/// Completes the root that the controller has put together, and makes it the root of this process.
pub(super) fn enter(blueprint: &Blueprint, kinds: &[Kind], meminfo: Option<OwnedFd>) -> Step<()> {
    let attempt = || "take the root file system over";
    // The controller has cloned us in it. A copy, because what the kernel has locked cannot become a root.
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let root = open_tree(CWD, ".", flags | OpenTreeFlags::AT_RECURSIVE).attempt(attempt)?;
    move_mount(&root, "", CWD, ".", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).attempt(attempt)?;
    let tree = Tree::new(root, (0, 0));
    proc(&tree, blueprint, meminfo)?;
    sys_and_cgroups(&tree, blueprint, kinds)?;
    if blueprint.ipc == Namespace::Own {
        let queues = filesystem::new("mqueue", &[], strict())?;
        tree.attach(queues, Path::new("/dev/mqueue"))?;
    }
    let attempt = || "make the root file system the container's root";
    rustix::process::fchdir(tree.root()).attempt(attempt)?;
    // Old and new root are stacked on one place, from which the old one is then taken.
    rustix::process::pivot_root(".", ".").attempt(attempt)?;
    unmount(".", UnmountFlags::DETACH).attempt(|| "leave the host's file systems")?;
    rustix::process::chdir("/").attempt(attempt)
}

fn strict() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
        | MountAttrFlags::MOUNT_ATTR_NODEV
}

/// `/proc`, in which what would change the host's kernel can only be read.
fn proc(tree: &Tree, blueprint: &Blueprint, meminfo: Option<OwnedFd>) -> Step<()> {
    let proc = filesystem::new("proc", &[], strict())?;
    tree.attach(&proc, Path::new("/proc"))?;
    // What belongs to the container's own network stays writable.
    let mut own = Vec::new();
    if blueprint.network == Namespace::Own {
        for path in ["/proc/sys/net/ipv4", "/proc/sys/net/ipv6"].map(Path::new) {
            // A kernel without that protocol has none.
            own.extend(tree.copy(path).map(|copy| (path, copy)));
        }
    }
    for path in ["/proc/sys", "/proc/sysrq-trigger"].map(Path::new) {
        let copy = match tree.copy(path) {
            // Kernels are built without it.
            Err(failure) if failure.errno == libc::ENOENT => continue,
            copy => copy?,
        };
        read_only(&copy, path)?;
        tree.attach(copy, path)?;
    }
    for (path, copy) in own {
        tree.attach(copy, path)?;
    }
    if let Some(meminfo) = meminfo {
        // Without a look at it: its answers come from the controller, which waits for us.
        let path = Path::new("/proc/meminfo");
        tree.attach_at(meminfo, &tree.open(path)?, path)?;
    }
    Ok(())
}

/// `/sys`, to be read, and in it the container's control groups.
fn sys_and_cgroups(tree: &Tree, blueprint: &Blueprint, kinds: &[Kind]) -> Step<()> {
    let path = Path::new("/sys");
    let sysfs = if blueprint.network == Namespace::Own || blueprint.id_map.is_none() {
        filesystem::new("sysfs", &[], strict() | MountAttrFlags::MOUNT_ATTR_RDONLY)?
    } else {
        // Who does not own the network namespace cannot have a view of it made.
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let copy = open_tree(CWD, path, flags | OpenTreeFlags::AT_RECURSIVE);
        let copy = copy.attempt(|| "bind '/sys'")?;
        read_only(&copy, path)?;
        copy
    };
    tree.attach(sysfs, path)?;
    let top = Path::new("/sys/fs/cgroup");
    if let [Kind::Unified] = kinds {
        return tree.attach(filesystem::new("cgroup2", &[], strict())?, top);
    }
    let options = [("mode", "755".to_owned()), ("size", "16k".to_owned())];
    let memory = filesystem::new("tmpfs", &options, strict())?;
    tree.attach(&memory, top)?;
    for kind in kinds {
        let (name, mount) = match kind {
            Kind::Unified => ("unified".to_owned(), filesystem::new("cgroup2", &[], strict())?),
            Kind::Systemd => {
                let options = [("none", String::new()), ("name", "systemd".to_owned())];
                ("systemd".to_owned(), filesystem::new("cgroup", &options, strict())?)
            }
            Kind::First(controllers) => {
                let names: Vec<&str> = controllers.iter().map(|c| c.name()).collect();
                let options: Vec<(&str, String)> =
                    names.iter().map(|name| (*name, String::new())).collect();
                (names.join(","), filesystem::new("cgroup", &options, strict())?)
            }
        };
        tree.attach(mount, &top.join(name))?;
    }
    read_only(&memory, top)
}

fn read_only(mount: impl AsFd, path: &Path) -> Step<()> {
    let change =
        MountChange { set: libc::MOUNT_ATTR_RDONLY, recursive: false, ..MountChange::default() };
    sys::set_mount(mount, &change)
        .attempt(|| format!("make the container's '{}' read-only", path.display()))
}

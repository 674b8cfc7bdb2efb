// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The file system of a container while it is put together, reached by descriptors only.
//!
//! Invariant: nothing here follows a symbolic link, and no `..` leads out. Whoever owns the files below may change
//! them at any moment: each folder is looked up in the one that is held open, so that there is no
//! moment between a check and its use.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags};

use super::sys;
use crate::failure::{Attempt, Failure, Step};

/// A root, and whom new folders in it belong to.
pub(super) struct Tree {
    root: OwnedFd,
    owner: (u32, u32),
}

impl Tree {
    /// The tree below `root`, in which new folders belong to `owner` (user and group of the host).
    pub(super) fn new(root: OwnedFd, owner: (u32, u32)) -> Self {
        Self { root, owner }
    }

    /// Its top.
    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Whom new folders belong to.
    pub(super) fn owner(&self) -> (u32, u32) {
        self.owner
    }

    /// Removes the file at `path`.
    pub(super) fn remove(&self, path: &Path) -> Step<()> {
        let above = self.open(path.parent().unwrap_or(Path::new("/")))?;
        let name = path.file_name().unwrap_or(OsStr::new("."));
        rustix::fs::unlinkat(&above, name, rustix::fs::AtFlags::empty())
            .attempt(|| format!("remove the container's file '{}'", path.display()))
    }

    /// What is at `path`, which must exist.
    pub(super) fn open(&self, path: &Path) -> Step<OwnedFd> {
        let mut here = self.top()?;
        for name in names(path)? {
            here = enter(&here, name, OFlags::empty()).map_err(|errno| refusal(path, errno))?;
        }
        Ok(here)
    }

    /// The folder at `path`, made with what lies above it where it is missing.
    pub(super) fn folder(&self, path: &Path) -> Step<OwnedFd> {
        let mut here = self.top()?;
        for name in names(path)? {
            here = match enter(&here, name, OFlags::DIRECTORY) {
                Err(Errno::NOENT) => {
                    self.make(|| rustix::fs::mkdirat(&here, name, Mode::from_raw_mode(0o755)))
                        .attempt(|| format!("make the container's folder '{}'", path.display()))?;
                    let made = enter(&here, name, OFlags::DIRECTORY);
                    let made = made.map_err(|errno| refusal(path, errno))?;
                    self.give(&made, path)?;
                    made
                }
                other => other.map_err(|errno| refusal(path, errno))?,
            };
        }
        Ok(here)
    }

    /// The file at `path`, made empty where it is missing.
    fn file(&self, path: &Path) -> Step<OwnedFd> {
        let above = self.folder(path.parent().unwrap_or(Path::new("/")))?;
        let name = path.file_name().unwrap_or(OsStr::new("."));
        match enter(&above, name, OFlags::empty()) {
            Err(Errno::NOENT) => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mode = Mode::from_raw_mode(0o644);
                self.make(|| rustix::fs::openat(&above, name, flags | OFlags::WRONLY, mode))
                    .attempt(|| format!("make the container's file '{}'", path.display()))?;
                let made = enter(&above, name, OFlags::empty());
                let made = made.map_err(|errno| refusal(path, errno))?;
                self.give(&made, path)?;
                Ok(made)
            }
            other => other.map_err(|errno| refusal(path, errno)),
        }
    }

    /// Puts a mount that is attached nowhere at `path`.
    pub(super) fn attach(&self, mount: impl AsFd, path: &Path) -> Step<()> {
        let target = if is_folder(&mount)? { self.folder(path)? } else { self.file(path)? };
        self.attach_at(mount, &target, path)
    }

    /// Puts a mount on what `target` is, which is at `path`.
    pub(super) fn attach_at(&self, mount: impl AsFd, target: &OwnedFd, path: &Path) -> Step<()> {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(mount, "", target, "", flags)
            .attempt(|| format!("mount the container's '{}'", path.display()))
    }

    /// A copy of what is mounted at `path`, or of the folder or file there, attached nowhere.
    pub(super) fn copy(&self, path: &Path) -> Step<OwnedFd> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        rustix::mount::open_tree(self.open(path)?, "", flags | OpenTreeFlags::AT_EMPTY_PATH)
            .attempt(|| format!("copy the container's '{}'", path.display()))
    }

    /// Makes something, which on an id-mapped mount nobody can but those who are in the map.
    fn make<T>(&self, make: impl Fn() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
        match make() {
            Err(Errno::OVERFLOW) => sys::as_owner(self.owner, make),
            other => other,
        }
    }

    fn top(&self) -> Step<OwnedFd> {
        self.root.try_clone().attempt(|| "open the container's root")
    }

    fn give(&self, made: &OwnedFd, path: &Path) -> Step<()> {
        chown(made, self.owner)
            .attempt(|| format!("give '{}' to the container's root", path.display()))
    }
}

/// Changes whom an open file or folder belongs to.
fn chown(what: impl AsFd, (user, group): (u32, u32)) -> rustix::io::Result<()> {
    use rustix::fs::{AtFlags, Gid, Uid, chownat};
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    chownat(what, "", Some(user), Some(group), AtFlags::EMPTY_PATH)
}

fn is_folder(mount: impl AsFd) -> Step<bool> {
    let stat = rustix::fs::fstat(mount).attempt(|| "look at what is to be mounted")?;
    Ok(rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
}

fn enter(above: &OwnedFd, name: &OsStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(above, name, flags, Mode::empty(), resolve)
}

/// The folders on the way to `path`.
fn names(path: &Path) -> Step<Vec<&OsStr>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                let text = format!("the container's path '{}' contains '..'", path.display());
                return Err(Failure::refused(text));
            }
        }
    }
    Ok(names)
}

fn refusal(path: &Path, errno: Errno) -> Failure {
    let attempt = format!("reach the container's '{}'", path.display());
    let failure = Failure { attempt, errno: errno.raw_os_error(), hint: None };
    match errno {
        Errno::LOOP => failure.hint(
            "it, or a folder above it, is a symbolic link, which could lead out of the container: \
             put a folder in its place",
        ),
        Errno::NOTDIR => failure.hint("put a folder in its place"),
        _ => failure,
    }
}

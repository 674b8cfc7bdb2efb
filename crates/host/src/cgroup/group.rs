// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One group in all hierarchies: making, filling, removing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorDomain, Result};

use super::{Cgroups, Controller, not_mounted};
use crate::kernel_file::write;

/// A group by one name in every hierarchy of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub(super) parts: Vec<Part>,
}

/// The group in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) unified: bool,
    pub(super) controllers: Vec<Controller>,
    /// Where the hierarchy begins.
    top: PathBuf,
    pub(super) folder: PathBuf,
}

impl Group {
    pub(super) fn new(cgroups: &Cgroups, path: &str) -> Self {
        let parts = cgroups.hierarchies.iter().map(|hierarchy| Part {
            unified: hierarchy.unified,
            controllers: hierarchy.controllers.clone(),
            top: hierarchy.top.clone(),
            folder: hierarchy.top.join(path),
        });
        Self { parts: parts.collect() }
    }

    /// A group in this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let mut child = self.clone();
        child.parts.iter_mut().for_each(|part| part.folder.push(name));
        child
    }

    /// The group that it is in.
    #[must_use]
    pub fn parent(&self) -> Self {
        let mut parent = self.clone();
        for part in parent.parts.iter_mut().filter(|part| part.folder != part.top) {
            part.folder.pop();
        }
        parent
    }

    /// Its part in version 2 alone.
    #[must_use]
    pub fn unified(&self) -> Self {
        Self { parts: self.parts.iter().filter(|part| part.unified).cloned().collect() }
    }

    /// Whether it exists, in any hierarchy.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.parts.iter().any(|part| part.folder.is_dir())
    }

    /// Makes it, with what lies above it. Hierarchies in which that fails (read-only, or not delegated to
    /// this daemon) are left out of the group that is returned, and why is logged.
    ///
    /// # Errors
    /// Where it can be made in no hierarchy at all.
    pub fn make(&self) -> Result<Self> {
        self.make_each(|part| part.make())
    }

    /// Makes it for single threads (`emulator`, `vcpuN`) of the group above.
    ///
    /// # Errors
    /// As [`Self::make`].
    pub fn make_for_threads(&self) -> Result<Self> {
        self.make_each(|part| {
            part.make()?;
            if part.unified { write(&part.folder.join("cgroup.type"), "threaded") } else { Ok(()) }
        })
    }

    fn make_each(&self, make: impl Fn(&Part) -> io::Result<()>) -> Result<Self> {
        let mut made = Vec::new();
        let mut last = None;
        for part in &self.parts {
            match make(part) {
                Ok(()) => made.push(part.limited_to_enabled()),
                Err(cause) => {
                    tracing::info!(folder = %part.folder.display(), %cause, "no cgroup here");
                    last = Some((part.folder.clone(), cause));
                }
            }
        }
        match last {
            Some((folder, cause)) if made.is_empty() => Err(failed("make", &folder, &cause)),
            _ => Ok(Self { parts: made }),
        }
    }

    /// Removes it with the groups in it. What still has processes stays.
    ///
    /// # Errors
    /// Where processes are still in it.
    pub fn remove(&self) -> Result<()> {
        for part in &self.parts {
            remove_tree(&part.folder, 4).map_err(|cause| failed("remove", &part.folder, &cause))?;
        }
        Ok(())
    }

    /// The files by which a new process joins it before it runs (see `Spawn::cgroup`).
    #[must_use]
    pub fn procs_files(&self) -> Vec<PathBuf> {
        self.parts.iter().map(|part| part.folder.join("cgroup.procs")).collect()
    }

    /// Its folder in version 2.
    #[must_use]
    pub fn unified_folder(&self) -> Option<&Path> {
        self.parts.iter().find(|part| part.unified).map(|part| &*part.folder)
    }

    /// The files of version 1 by which a process with one thread puts itself in, by writing `0`: of all ways the
    /// only one that does not wait for the whole host's threads.
    #[must_use]
    pub fn join_files(&self) -> Vec<PathBuf> {
        let first = self.parts.iter().filter(|part| !part.unified);
        first.map(|part| part.folder.join("tasks")).collect()
    }

    /// Gives the group to a user, who can then divide it further but not lift its limits.
    ///
    /// # Errors
    /// Where this process may not.
    pub fn delegate(&self, user: u32, group: u32) -> Result<()> {
        for part in &self.parts {
            let files = ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks"];
            for path in files.map(|name| part.folder.join(name)) {
                match std::os::unix::fs::chown(&path, Some(user), Some(group)) {
                    Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                        return Err(failed(&format!("give user {user}"), &path, &cause));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Puts a process with all its threads into it.
    ///
    /// # Errors
    /// Where the process is gone or may not be moved.
    pub fn put(&self, pid: u32) -> Result<()> {
        for part in &self.parts {
            let file = part.folder.join("cgroup.procs");
            write(&file, &pid.to_string()).map_err(|cause| {
                failed(&format!("put process {pid} into"), &part.folder, &cause)
            })?;
        }
        Ok(())
    }

    /// Puts one thread into it.
    ///
    /// # Errors
    /// Where the thread is gone or may not be moved.
    pub fn put_thread(&self, tid: u32) -> Result<()> {
        for part in &self.parts {
            let name = if part.unified { "cgroup.threads" } else { "tasks" };
            write(&part.folder.join(name), &tid.to_string())
                .map_err(|cause| failed(&format!("put thread {tid} into"), &part.folder, &cause))?;
        }
        Ok(())
    }

    /// Whether this controller is to be had for this group.
    #[must_use]
    pub fn has(&self, controller: Controller) -> bool {
        self.parts.iter().any(|part| part.controllers.contains(&controller))
    }

    /// The part in which `controller` is.
    pub(super) fn part(&self, controller: Controller) -> Result<&Part> {
        self.parts
            .iter()
            .find(|part| part.controllers.contains(&controller))
            .ok_or_else(|| not_mounted(controller))
    }
}

impl Part {
    pub(super) fn read(&self, file: &str) -> Result<String> {
        let path = self.folder.join(file);
        fs::read_to_string(&path)
            .map(|text| text.trim().to_owned())
            .map_err(|cause| failed("read", &path, &cause))
    }

    pub(super) fn write(&self, file: &str, value: &str) -> Result<()> {
        let path = self.folder.join(file);
        write(&path, value).map_err(|cause| failed(&format!("write '{value}' to"), &path, &cause))
    }

    /// Its part in each of the groups in this one.
    pub(super) fn children(&self) -> Vec<Self> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        groups.map(|group| Self { folder: group.path(), ..self.clone() }).collect()
    }

    /// Makes every folder from the top down, and readies each for use.
    fn make(&self) -> io::Result<()> {
        let below = self.folder.strip_prefix(&self.top).unwrap_or(Path::new(""));
        let mut here = self.top.clone();
        for name in below {
            if self.unified {
                self.enable(&here);
            }
            here.push(name);
            match fs::create_dir(&here) {
                Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause),
                _ => {}
            }
            if self.controllers.contains(&Controller::Cpuset) && !self.unified {
                inherit_cpuset(&here)?;
            }
        }
        Ok(())
    }

    /// Version 2: hands the controllers on to the groups below. The kernel refuses each that is not handed on to
    /// this one, and, but at the true top, all that limit more than threads while the group has processes.
    fn enable(&self, folder: &Path) {
        for name in self.controllers.iter().filter_map(|controller| controller.unified_name()) {
            let file = folder.join("cgroup.subtree_control");
            if let Err(cause) = write(&file, &format!("+{name}")) {
                tracing::debug!(file = %file.display(), name, %cause, "controller not handed on");
            }
        }
    }

    /// Version 2: only what was handed on down to this group counts.
    fn limited_to_enabled(&self) -> Self {
        let mut part = self.clone();
        if part.unified {
            let text = fs::read_to_string(part.folder.join("cgroup.controllers"));
            let text = text.unwrap_or_default();
            let names: Vec<&str> = text.split_ascii_whitespace().collect();
            part.controllers.retain(|controller| match controller.unified_name() {
                Some(name) => names.contains(&name),
                // Counting works in every group.
                None => true,
            });
        }
        part
    }
}

/// Version 1: a new group has no CPUs and no memory, and takes no process until it has.
fn inherit_cpuset(folder: &Path) -> io::Result<()> {
    let Some(above) = folder.parent() else { return Ok(()) };
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if fs::read_to_string(folder.join(name))?.trim().is_empty() {
            write(&folder.join(name), fs::read_to_string(above.join(name))?.trim())?;
        }
    }
    Ok(())
}

fn remove_tree(folder: &Path, depth: u8) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten() {
        if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path(), depth - 1)?;
        }
    }
    match fs::remove_dir(folder) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

pub(super) fn failed(attempt: &str, path: &Path, cause: &io::Error) -> Error {
    Error::system(format!("cannot {attempt} cgroup '{}'", path.display()), cause)
        .in_domain(ErrorDomain::Cgroup)
}

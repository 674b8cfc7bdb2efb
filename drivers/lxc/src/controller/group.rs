// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A container's control group, and the group in it where its processes are.
//!
//! ```text
//! machine/lxc-1-NAME.libvirt-lxc           limits, which only the host changes
//! machine/lxc-1-NAME.libvirt-lxc/payload   the container's own: it may divide it further
//! ```
//! Where systemd-machined is, the former is `libvirt` below the scope that it has made, and the controller is in
//! `controller` beside it. Without that step, a container's root could lift the limits of the group that it sees as its topmost. The
//! controller is in neither: it must run while the container is frozen or short of memory.

use std::fs::{File, OpenOptions};

use rustix::event::{Timespec, poll};
use virtus_host::cgroup::{Cgroups, Group, Kind};

use crate::blueprint::{Blueprint, IdMap, Limits};
use crate::failure::{Attempt, Step};

/// Milliseconds that the kernel may take, one after the other, to let go of a group whose processes have ended.
const PAUSES: [i64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// Puts the controller into a group of its own, in version 2, which has no processes in groups with others below.
pub(super) fn enter(path: &str) -> Step<()> {
    Cgroups::detect().group(path).unified().make()?.put(std::process::id())?;
    Ok(())
}

/// A group that exists. It is removed with this.
pub(super) struct Payload {
    group: Group,
    payload: Group,
    /// The hierarchies, for the container's own `/sys/fs/cgroup`.
    pub(super) kinds: Vec<Kind>,
}

impl Payload {
    /// Makes the group with its limits.
    pub(super) fn make(blueprint: &Blueprint) -> Step<Self> {
        let cgroups = Cgroups::detect();
        let kinds = cgroups.kinds();
        let group = cgroups.group(&blueprint.cgroup);
        // What a killed controller has left. A group with processes cannot be removed, and is not ours to kill.
        group.remove()?;
        // From here on whatever fails is removed.
        let mut made = Self { payload: group.child("payload"), group, kinds };
        made.group = made.group.make()?;
        limit(&made.group, &blueprint.limits)?;
        made.payload = made.group.child("payload").make()?;
        let mut disks = blueprint.limits.blkio_devices.iter();
        // In version 1 it is the group with the processes that is limited.
        disks.try_for_each(|disk| made.group.set_blkio_device(disk))?;
        let owner = blueprint.id_map.as_ref().map_or((0, 0), IdMap::root);
        if owner != (0, 0) {
            made.payload.delegate(owner.0, owner.1)?;
        }
        Ok(made)
    }

    /// The limits of the group and what is used of them.
    pub(super) fn limits(&self) -> &Group {
        &self.group
    }

    /// The folder of version 2 into which init is cloned.
    pub(super) fn unified(&self) -> Step<Option<File>> {
        let folder = self.payload.unified_folder();
        folder
            .map(|folder| File::open(folder).attempt(|| format!("open '{}'", folder.display())))
            .transpose()
    }

    /// The open files of version 1 by which init joins.
    pub(super) fn join_files(&self) -> Step<Vec<File>> {
        let open = |path: std::path::PathBuf| {
            let opened = OpenOptions::new().write(true).open(&path);
            opened.attempt(|| format!("open '{}'", path.display()))
        };
        self.payload.join_files().into_iter().map(open).collect()
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.group.kill();
        // Nothing tells of it in version 1. It is asked ever more rarely, since asking costs time as well.
        for pause in PAUSES {
            if self.group.remove().is_ok() {
                return;
            }
            let pause = Timespec { tv_sec: 0, tv_nsec: pause * 1_000_000 };
            let _ = poll(&mut [], Some(&pause));
        }
    }
}

fn limit(group: &Group, limits: &Limits) -> virtus_api::Result<()> {
    let set = |value: Option<u64>, set: fn(&Group, u64) -> virtus_api::Result<()>| {
        value.map_or(Ok(()), |value| set(group, value))
    };
    set(limits.cpu_shares, Group::set_cpu_shares)?;
    limits.cpu_quota.map_or(Ok(()), |quota| group.set_cpu_quota(quota))?;
    limits.cpus.as_deref().map_or(Ok(()), |list| group.set_cpus(list))?;
    limits.memory_nodes.as_deref().map_or(Ok(()), |list| group.set_memory_nodes(list))?;
    set(limits.memory, Group::set_memory_limit)?;
    set(limits.memory_soft, Group::set_memory_soft_limit)?;
    set(limits.memory_and_swap, Group::set_memory_and_swap_limit)?;
    set(limits.processes, Group::set_process_limit)?;
    set(limits.blkio_weight, Group::set_blkio_weight)?;
    limits.devices.as_deref().map_or(Ok(()), |rules| group.set_devices(rules))
}

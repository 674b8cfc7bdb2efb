// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Brings the disks of a moment in line with the guest's: the same disks in the same order, each with a mode.

use std::collections::HashMap;

use virtus_api::Result;

use super::{Checkpoint, CheckpointDisk, CheckpointMode, Snapshot, SnapshotDisk};
use crate::domain::Domain;
use crate::domain::disk::{Disk, SnapshotMode};
use crate::domain::storage::{StorageSource, StorageType};
use crate::settle::unsupported;

/// How disks of a snapshot that say nothing of it are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alignment {
    /// The mode of disks for which neither the snapshot nor the guest names one.
    pub default: SnapshotMode,
    /// An internal snapshot is of all disks or of none.
    pub uniform: bool,
    /// What the guest's disks say does not count.
    pub force_default: bool,
}

/// A guest's disks by what a moment may call them.
struct Guest<'d> {
    by_target: HashMap<&'d str, &'d Disk>,
    /// By the path of the image; `None` where several disks have it.
    by_path: HashMap<&'d str, Option<&'d Disk>>,
}

impl<'d> Guest<'d> {
    fn new(domain: &'d Domain) -> Self {
        let disks = &domain.devices.disks;
        let mut by_path = HashMap::new();
        for disk in disks {
            if let Some(path) = path(disk) {
                by_path.entry(path).and_modify(|one| *one = None).or_insert(Some(disk));
            }
        }
        let by_target = disks.iter().map(|disk| (disk.target.dev.as_str(), disk)).collect();
        Self { by_target, by_path }
    }

    fn find(&self, name: &str) -> Option<&'d Disk> {
        if name.starts_with('/') {
            self.by_path.get(name).copied().flatten()
        } else {
            self.by_target.get(name).copied()
        }
    }
}

fn path(disk: &Disk) -> Option<&str> {
    disk.source.as_ref().and_then(StorageSource::local_path)
}

/// A moment's disks by the names that the guest gives them.
fn by_target<T>(
    disks: Vec<T>,
    domain: &Domain,
    name: impl Fn(&mut T) -> &mut String,
) -> Result<HashMap<String, T>> {
    let guest = Guest::new(domain);
    let mut known = HashMap::new();
    for mut disk in disks {
        let name = name(&mut disk);
        let target = &guest
            .find(name)
            .ok_or_else(|| unsupported(format!("no disk named '{name}'")))?
            .target
            .dev;
        if known.contains_key(target) {
            return Err(unsupported(format!("disk '{name}' specified twice")));
        }
        name.clone_from(target);
        known.insert(target.clone(), disk);
    }
    Ok(known)
}

impl Snapshot {
    /// Gives the snapshot an entry for each disk of `domain`. Whether an image whose new neighbour is named here is a
    /// regular file is for the caller to find out.
    pub fn align(&mut self, domain: &Domain, rule: Alignment) -> Result<()> {
        let named = self.disks.take().map(|disks| disks.disks).unwrap_or_default();
        if named.len() > domain.devices.disks.len() {
            return Err(unsupported("too many disk snapshot requests for domain"));
        }
        let mut named = by_target(named, domain, |disk| &mut disk.name)?;
        let mut disks = Vec::new();
        for guest in &domain.devices.disks {
            disks.push(match named.remove(&guest.target.dev) {
                Some(disk) => rule.settle(disk, guest)?,
                None => rule.fresh(guest),
            });
        }
        let mut taken: HashMap<String, String> = HashMap::new();
        for (disk, guest) in disks.iter_mut().zip(&domain.devices.disks) {
            let name = self.name.as_deref().unwrap_or_default();
            name_image(disk, guest, name)?;
            let Some(path) = disk.path() else { continue };
            if let Some(other) = taken.insert(path.to_owned(), disk.name.clone()) {
                return Err(unsupported(format!(
                    "cannot generate external snapshot name for disk '{}': collision with disk '{other}'",
                    disk.name
                )));
            }
        }
        self.disks = Some(super::SnapshotDisks { disks }).filter(|disks| !disks.disks.is_empty());
        Ok(())
    }
}

impl Alignment {
    /// The mode of a disk for which the snapshot names none.
    fn mode(self, guest: &Disk) -> SnapshotMode {
        guest.snapshot.filter(|_| !self.force_default).unwrap_or(self.default)
    }

    /// Whether all disks must be treated alike.
    fn strict(self) -> bool {
        self.uniform && self.default == SnapshotMode::Internal
    }

    fn settle(self, mut disk: SnapshotDisk, guest: &Disk) -> Result<SnapshotDisk> {
        let excluded = guest.snapshot == Some(SnapshotMode::No);
        let mode = match disk.mode {
            None if self.strict() && !excluded => self.default,
            None => self.mode(guest),
            Some(mode) => {
                let alike = mode == self.default || (mode == SnapshotMode::No && excluded);
                if self.strict() && !alike {
                    return Err(unsupported(format!(
                        "disk '{}' must use snapshot mode '{}'",
                        disk.name, self.default
                    )));
                }
                mode
            }
        };
        disk.mode = Some(mode);
        if let Some(path) = disk.path().filter(|_| mode != SnapshotMode::External) {
            return Err(unsupported(format!(
                "file '{path}' for disk '{}' requires use of external snapshot mode",
                disk.name
            )));
        }
        Ok(disk)
    }

    fn fresh(self, guest: &Disk) -> SnapshotDisk {
        // An empty drive has nothing to return to.
        let mode = if guest.source.is_none() { SnapshotMode::No } else { self.mode(guest) };
        SnapshotDisk { name: guest.target.dev.clone(), mode: Some(mode), ..SnapshotDisk::default() }
    }
}

/// Names the file that receives what `guest` writes: beside its image, with the snapshot's name as suffix.
fn name_image(disk: &mut SnapshotDisk, guest: &Disk, snapshot: &str) -> Result<()> {
    if disk.mode != Some(SnapshotMode::External) || disk.path().is_some() {
        return Ok(());
    }
    let kind = disk.kind.unwrap_or_default();
    if kind != StorageType::File {
        return Err(unsupported(format!(
            "cannot generate external snapshot name for disk '{}' on a '{kind}' device",
            disk.name
        )));
    }
    let image = path(guest).ok_or_else(|| {
        unsupported(format!(
            "cannot generate external snapshot name for disk '{}' without source",
            disk.name
        ))
    })?;
    let stem = image.rsplit_once('.').filter(|(_, suffix)| !suffix.contains('/'));
    let stem = stem.map_or(image, |(stem, _)| stem);
    disk.kind = Some(StorageType::File);
    disk.source.get_or_insert_default().file = Some(format!("{stem}.{snapshot}"));
    Ok(())
}

impl Checkpoint {
    /// Gives the checkpoint an entry for each disk of `domain` and names the bitmaps. If it names no disk, it is of all
    /// that can be written.
    pub fn align(&mut self, domain: &Domain) -> Result<()> {
        let named = self.disks.take().map(|disks| disks.disks).unwrap_or_default();
        if named.len() > domain.devices.disks.len() {
            return Err(unsupported("too many disk checkpoint requests for domain"));
        }
        if domain.devices.disks.is_empty() {
            return Err(unsupported("domain must have at least one disk to perform checkpoints"));
        }
        let default = if named.is_empty() { CheckpointMode::Bitmap } else { CheckpointMode::No };
        let mut named = by_target(named, domain, |disk| &mut disk.name)?;
        let mut disks = Vec::new();
        for guest in &domain.devices.disks {
            let fixed = guest.source.is_none() || guest.is_readonly();
            let disk = named.remove(&guest.target.dev).unwrap_or_else(|| CheckpointDisk {
                name: guest.target.dev.clone(),
                mode: Some(if fixed { CheckpointMode::No } else { default }),
                ..CheckpointDisk::default()
            });
            if fixed && disk.mode != Some(CheckpointMode::No) {
                return Err(unsupported(format!("disk '{}' is empty or readonly", disk.name)));
            }
            disks.push(disk);
        }
        self.disks = Some(super::CheckpointDisks { disks });
        self.name_bitmaps();
        Ok(())
    }

    /// Gives each disk's bitmap the checkpoint's name unless it has its own.
    pub fn name_bitmaps(&mut self) {
        let Some(name) = &self.name else { return };
        for disk in self.disks.iter_mut().flat_map(|disks| &mut disks.disks) {
            if disk.mode == Some(CheckpointMode::Bitmap) {
                disk.bitmap.get_or_insert_with(|| name.clone());
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is locked for a guest: its leases, and its disks by the rules of libvirt's lock daemon.
//!
//! A disk is locked itself, or a file that stands for it: on storage that several hosts see under different paths, or
//! that knows no locks.

use std::fmt::Write;
use std::time::Duration;

use sha2::{Digest, Sha256};
use virtus_api::{Error, ErrorCode, Result};
use virtus_host::process::Run;
use virtus_xml::Domain;
use virtus_xml::domain::disk::Disk;
use virtus_xml::domain::misc::Lease;
use virtus_xml::domain::storage::StorageType;

use crate::config::LockRules;

/// How long a program may take to tell the id of a disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something to lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    /// The lockspace's folder; empty: `name` is the path of what is locked.
    pub(super) space: String,
    pub(super) name: String,
    /// Others may lock it so, too.
    pub(super) shared: bool,
    /// Its file is there for the lock alone.
    pub(super) autocreate: bool,
}

/// All that a guest locks.
///
/// # Errors
/// `VIR_ERR_CONFIG_UNSUPPORTED` for a lease that cannot be, or for a disk without one where the rules want it.
pub(super) async fn of_guest(def: &Domain, rules: &LockRules) -> Result<Vec<Resource>> {
    let mut resources = def.devices.leases.iter().map(of_lease).collect::<Result<Vec<_>>>()?;
    for disk in &def.devices.disks {
        resources.extend(of_disk(disk, rules).await?);
    }
    let own = def.devices.disks.iter().any(|disk| is_locked(disk).is_some_and(|shared| !shared));
    if resources.is_empty() && own && rules.require_lease_for_disks {
        let text = "Read/write, exclusive access, disks were present, but no leases specified";
        return Err(Error::new(ErrorCode::ConfigUnsupported, text)
            .hint("add a <lease> to the domain, or set auto_disk_leases = 1 in qemu-lockd.conf"));
    }
    Ok(resources)
}

fn of_lease(lease: &Lease) -> Result<Resource> {
    let lacks = |what: &str| {
        Error::new(ErrorCode::ConfigUnsupported, format!("Missing {what} for lease resource"))
    };
    let target = lease.target.as_ref().ok_or_else(|| lacks("path"))?;
    if target.offset.is_some_and(|offset| offset != 0) {
        let text = "Offset must be zero for this lock manager";
        return Err(Error::new(ErrorCode::ConfigUnsupported, text));
    }
    let space = lease.lockspace.as_ref().ok_or_else(|| lacks("lockspace"))?;
    let name = lease.key.clone().ok_or_else(|| lacks("key"))?;
    let space = format!("{}/{space}", target.path);
    Ok(Resource { space, name, shared: false, autocreate: false })
}

/// Whether a disk is locked at all, and then whether others may lock it so, too.
fn is_locked(disk: &Disk) -> Option<bool> {
    let local = matches!(disk.kind, StorageType::File | StorageType::Block | StorageType::Dir);
    (local && !disk.is_readonly() && path(disk).is_some()).then_some(disk.shareable)
}

fn path(disk: &Disk) -> Option<&str> {
    let source = disk.source.as_ref()?;
    source.file.as_deref().or(source.dev.as_deref()).or(source.dir.as_deref())
}

/// What a disk locks, if the rules lock disks.
pub(super) async fn of_disk(disk: &Disk, rules: &LockRules) -> Result<Option<Resource>> {
    let (Some(shared), Some(path)) = (is_locked(disk), path(disk)) else { return Ok(None) };
    if !rules.auto_disk_leases {
        return Ok(None);
    }
    let standing =
        |space: &str, name| Resource { space: space.to_owned(), name, shared, autocreate: true };
    if path.starts_with("/dev") {
        if let Some(space) = &rules.lvm_lockspace {
            let run = Run::new("lvs").args(["--noheadings", "--unbuffered", "--nosuffix"]);
            if let Some(uuid) = said(run.args(["--options", "uuid", path])).await? {
                return Ok(Some(standing(space, uuid)));
            }
        }
        if let Some(space) = &rules.scsi_lockspace {
            let run = Run::new("/lib/udev/scsi_id").args(["--replace-whitespace", "--whitelisted"]);
            if let Some(id) = said(run.args(["--device", path])).await? {
                return Ok(Some(standing(space, id)));
            }
        }
    }
    Ok(Some(match &rules.file_lockspace {
        Some(space) => standing(space, digest(path)),
        None => Resource { space: String::new(), name: path.to_owned(), shared, autocreate: false },
    }))
}

/// The only line that a program prints; `None` if it knows nothing of the disk.
async fn said(run: Run) -> Result<Option<String>> {
    let output = run.output(PATIENCE).await?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(Some(text).filter(|text| output.exit.is_success() && !text.is_empty()))
}

/// The name of the file that stands for a path.
fn digest(path: &str) -> String {
    Sha256::digest(path).iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_libvirts_name() {
        let name = "7d1a54127b222502f5b79b5fb0803061152a44f92b37e23c6527baf665d4da9a";
        assert_eq!(digest("abcdefg"), name);
    }
}

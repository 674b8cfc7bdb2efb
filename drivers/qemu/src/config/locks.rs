// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `qemu-lockd.conf`: what is locked while a guest runs.

use std::path::Path;

use virtus_api::{Error, Result};
use virtus_core::conf::{Conf, Value};

const KNOWN: &[&str] = &[
    "auto_disk_leases",
    "require_lease_for_disks",
    "file_lockspace_dir",
    "lvm_lockspace_dir",
    "scsi_lockspace_dir",
];

/// What virtlockd is asked to lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LockRules {
    /// Whether every disk is locked, without being asked to.
    pub(crate) auto_disk_leases: bool,
    /// Whether a guest that has disks to itself must have a `<lease>`.
    pub(crate) require_lease_for_disks: bool,
    /// Where a file stands for each disk, instead of the disk itself.
    pub(crate) file_lockspace: Option<String>,
    /// The same for volumes of LVM, by their UUIDs.
    pub(crate) lvm_lockspace: Option<String>,
    /// The same for SCSI disks, by their ids.
    pub(crate) scsi_lockspace: Option<String>,
}

impl LockRules {
    /// Whether the value of `lock_manager` names the one that there is.
    pub(super) fn wanted(value: &Value) -> Option<bool> {
        match value {
            Value::Text(text) if text == "lockd" => Some(true),
            Value::Text(text) if text == "nop" => Some(false),
            _ => None,
        }
    }

    /// Reads the file in the folder of the configuration. Blocks.
    pub(super) fn load(folder: &Path) -> Result<Self> {
        let conf = Conf::load(&folder.join("qemu-lockd.conf"))?.unwrap_or_default();
        for setting in conf.unknown(KNOWN) {
            let (file, line) = (conf.file().display(), setting.line);
            tracing::warn!("{file}:{line}: unknown setting '{}' is ignored", setting.name);
        }
        let text = |key| Ok::<_, Error>(conf.text(key)?.map(str::to_owned));
        let auto_disk_leases = conf.switch("auto_disk_leases")?.unwrap_or(true);
        let require = conf.switch("require_lease_for_disks")?;
        Ok(Self {
            auto_disk_leases,
            require_lease_for_disks: require.unwrap_or(!auto_disk_leases),
            file_lockspace: text("file_lockspace_dir")?,
            lvm_lockspace: text("lvm_lockspace_dir")?,
            scsi_lockspace: text("scsi_lockspace_dir")?,
        })
    }
}

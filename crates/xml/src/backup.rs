// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<domainbackup>`: a job that copies a guest's disks while it runs, or lets others read them.
//!
//! In a status file ([`ParseFlags::STATUS`]) a job that runs also tells how far each disk is.

use std::collections::{HashMap, HashSet};

use virtus_api::{ErrorDomain, Result};

use crate::document::Document;
use crate::domain::Domain;
use crate::domain::disk::Disk;
use crate::domain::storage::{ImageFormat, StorageSource, StorageType};
use crate::reader::{Node, ParseFlags};
use crate::schema::kinds;
use crate::settle::unsupported;
use crate::tree::Tree;
use crate::value::YesNo;

element! {
    /// `<domainbackup>`.
    pub struct Backup {
        attr mode: Option<BackupMode> = "mode",
        /// The checkpoint since which changes are copied.
        leaf incremental: Option<String> = "incremental",
        child server: Option<BackupServer> = "server",
        child disks: Option<BackupDisks> = "disks",
        status private: Option<Tree> = "privateData"
    }
    schema { case "mode" ["pull"] { one BackupServer = "server" }, without child "server" }
}

spellings! {
    /// Who moves the data: the hypervisor, or whoever asks its server for it.
    pub enum BackupMode { Push = "push", Pull = "pull" }
}

element! {
    /// `<server>`: where the disks can be read.
    pub struct BackupServer {
        attr transport: Option<BackupTransport> = "transport",
        attr tls: Option<YesNo> = "tls",
        attr name: Option<String> = "name",
        attr port: Option<u16> = "port",
        attr socket: Option<String> = "socket",
        attr fdgroup: Option<String> = "fdgroup"
    }
    schema {
        case "transport" ["unix"] {
            required kinds::AbsolutePath = "socket",
            without attr "name",
            without attr "port"
        },
        case "transport" ["fd"] {
            required String = "fdgroup",
            without attr "name",
            without attr "port"
        },
        required kinds::HostOrAddress = "name",
        without attr "socket",
        without attr "fdgroup"
    }
    then Self::check
}

spellings! {
    /// How a server is reached.
    pub enum BackupTransport { Tcp = "tcp", Unix = "unix", Fd = "fd" }
}

element! {
    /// `<disks>`.
    pub struct BackupDisks { child disks: Vec<BackupDisk> = "disk" }
    schema { some BackupDisk = "disk" }
}

element! {
    /// One disk.
    pub struct BackupDisk {
        required name: String = "name",
        attr backup: Option<YesNo> = "backup",
        status_attr state: Option<BackupDiskState> = "state",
        attr kind: Option<StorageType> = "type",
        attr mode: Option<BackupDiskMode> = "backupmode",
        attr incremental: Option<String> = "incremental",
        attr export_name: Option<String> = "exportname",
        attr export_bitmap: Option<String> = "exportbitmap",
        status_attr index: Option<u32> = "index",
        child driver: Option<BackupDriver> = "driver",
        /// Where the copy goes, if the hypervisor makes one.
        child target: Option<StorageSource> = "target",
        /// Where what the guest overwrites is kept, if others read.
        child scratch: Option<StorageSource> = "scratch"
    }
    schema {
        required kinds::DiskName = "name",
        case "type" ["file"] {
            child (required kinds::AbsolutePath = "file", part StorageSource) = "target",
            child (required kinds::AbsolutePath = "file", part StorageSource) = "scratch"
        },
        case "type" ["block"] {
            child (required kinds::AbsolutePath = "dev", part StorageSource) = "target",
            child (required kinds::AbsolutePath = "dev", part StorageSource) = "scratch"
        },
        case "type" [] {
            without child "target",
            child (required kinds::AbsolutePath = "file", part StorageSource) = "scratch"
        }
    }
    then Self::check
}

element! {
    /// `<driver>`: how the copy is laid out.
    pub struct BackupDriver { required format: ImageFormat = "type" }
}

spellings! {
    /// How far a disk is.
    pub enum BackupDiskState {
        Running = "running", Complete = "complete", Failed = "failed", Cancelling = "cancelling",
        Cancelled = "cancelled",
    }
}

spellings! {
    /// What of a disk is copied.
    pub enum BackupDiskMode { Full = "full", Incremental = "incremental" }
}

impl BackupServer {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        let transport = *self.transport.get_or_insert_default();
        match (transport, &self.name, &self.socket, &self.fdgroup) {
            (BackupTransport::Tcp, None, _, _) => return Err(node.missing_attr("name")),
            (BackupTransport::Unix, _, None, _) => return Err(node.missing_attr("socket")),
            (BackupTransport::Fd, _, _, None) => return Err(node.missing_attr("fdgroup")),
            (BackupTransport::Unix, _, Some(path), _) if !path.starts_with('/') => {
                return Err(
                    node.error(format_args!("backup socket path '{path}' must be absolute"))
                );
            }
            (BackupTransport::Tcp | BackupTransport::Fd, _, Some(_), _) => {
                return Err(node.error(format_args!(
                    "transport '{transport}' does not support socket attribute"
                )));
            }
            _ => {}
        }
        self.port.take_if(|port| *port == 0);
        Ok(())
    }
}

impl BackupDisk {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if *self.backup.get_or_insert(YesNo::Yes) == YesNo::No {
            *self = Self {
                name: std::mem::take(&mut self.name),
                backup: self.backup,
                state: self.state,
                ..Self::default()
            };
            return Ok(());
        }
        let kind = *self.kind.get_or_insert_default();
        if !matches!(kind, StorageType::File | StorageType::Block) {
            return Err(node.error(format_args!("unsupported disk backup type '{kind}'")));
        }
        if node.in_status() && self.state.is_none() {
            return Err(node.missing_attr("state"));
        }
        for source in [&mut self.target, &mut self.scratch].into_iter().flatten() {
            source.keep_only(kind);
        }
        Ok(())
    }

    /// The image that is written, whoever moves the data.
    #[must_use]
    pub fn store(&self) -> Option<&StorageSource> {
        self.target.as_ref().or(self.scratch.as_ref())
    }
}

impl Document for Backup {
    const ROOT: &'static str = "domainbackup";
    const WHAT: &'static str = "(domain_backup)";
    const DOMAIN: ErrorDomain = ErrorDomain::Domain;

    fn settle(&mut self, _: ParseFlags) -> Result<()> {
        let mode = *self.mode.get_or_insert_default();
        self.incremental.take_if(|name| name.is_empty());
        if mode == BackupMode::Push && self.server.is_some() {
            return Err(unsupported("use of <server> requires pull mode backup"));
        }
        for disk in self.disks.iter_mut().flat_map(|disks| &mut disks.disks) {
            match mode {
                BackupMode::Push => {
                    (disk.scratch, disk.export_name, disk.export_bitmap) = (None, None, None);
                }
                BackupMode::Pull => disk.target = None,
            }
        }
        self.disks.take_if(|disks| disks.disks.is_empty());
        Ok(())
    }
}

impl Backup {
    /// Gives the backup an entry for each disk of `domain`. If it names none, it is of all that can be written. Files
    /// that are not named are called like the disk's image, with `suffix`.
    pub fn align(&mut self, domain: &Domain, suffix: &str) -> Result<()> {
        if domain.devices.disks.is_empty() {
            return Err(unsupported("domain must have at least one disk to perform backup"));
        }
        let mut disks = self.disks.take().map(|disks| disks.disks).unwrap_or_default();
        let all = disks.is_empty();
        let mut named = HashSet::new();
        for disk in &disks {
            if !named.insert(disk.name.clone()) {
                return Err(unsupported(format!("disk '{}' specified twice", disk.name)));
            }
        }
        for guest in domain.devices.disks.iter().filter(|disk| !named.contains(&disk.target.dev)) {
            let wanted = all && guest.source.is_some() && !guest.is_readonly();
            disks.push(BackupDisk {
                name: guest.target.dev.clone(),
                backup: Some(wanted.into()),
                kind: wanted.then_some(StorageType::File),
                ..BackupDisk::default()
            });
        }
        let guests: HashMap<&str, &Disk> =
            domain.devices.disks.iter().map(|disk| (disk.target.dev.as_str(), disk)).collect();
        for disk in &mut disks {
            let guest = guests
                .get(disk.name.as_str())
                .ok_or_else(|| unsupported(format!("no disk named '{}'", disk.name)))?;
            if disk.backup == Some(YesNo::Yes) {
                self.settle_increment(disk)?;
                self.name_store(disk, guest, suffix)?;
            }
        }
        self.disks = Some(BackupDisks { disks });
        Ok(())
    }

    fn settle_increment(&self, disk: &mut BackupDisk) -> Result<()> {
        let since = disk.incremental.clone().or_else(|| self.incremental.clone());
        let mode = disk.mode.unwrap_or(match since {
            Some(_) => BackupDiskMode::Incremental,
            None => BackupDiskMode::Full,
        });
        disk.mode = Some(mode);
        if mode == BackupDiskMode::Incremental {
            if since.is_none() {
                return Err(unsupported(format!(
                    "'incremental' backup mode of disk '{}' requires setting 'incremental' field for disk or backup",
                    disk.name
                )));
            }
            disk.incremental = since;
        }
        Ok(())
    }

    fn name_store(&self, disk: &mut BackupDisk, guest: &Disk, suffix: &str) -> Result<()> {
        let Some(source) = &guest.source else {
            return Err(unsupported(format!("disk '{}' has no media", disk.name)));
        };
        if disk.store().and_then(StorageSource::local_path).is_some() {
            return Ok(());
        }
        let path = source.file.as_ref().filter(|_| disk.kind == Some(StorageType::File));
        let path = path.ok_or_else(|| {
            unsupported(format!("refusing to generate file name for disk '{}'", disk.name))
        })?;
        let store = match self.mode.unwrap_or_default() {
            BackupMode::Push => &mut disk.target,
            BackupMode::Pull => &mut disk.scratch,
        };
        store.get_or_insert_default().file = Some(format!("{path}.{suffix}"));
        Ok(())
    }
}

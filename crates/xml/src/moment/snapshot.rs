// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<domainsnapshot>`: a state of a guest that it can be returned to.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::{MomentDomain, ParentMoment, SnapshotDisks};
use crate::document::Document;
use crate::domain::disk::SnapshotMode;
use crate::reader::ParseFlags;
use crate::schema::kinds;
use crate::tree::Tree;

element! {
    /// `<domainsnapshot>`.
    pub struct Snapshot {
        leaf name: Option<String> = "name",
        leaf description: Option<String> = "description",
        leaf state: Option<SnapshotState> = "state",
        child parent: Option<ParentMoment> = "parent",
        /// In seconds since 1970.
        leaf creation_time: Option<i64> = "creationTime",
        child memory: Option<Memory> = "memory",
        child disks: Option<SnapshotDisks> = "disks",
        /// The images that a return to the snapshot created.
        child revert_disks: Option<SnapshotDisks> = "revertDisks",
        child domain: Option<MomentDomain> = "domain",
        /// The definition, where it was another than what ran.
        child inactive_domain: Option<MomentDomain> = "inactiveDomain",
        /// What the hypervisor keeps to run the guest again.
        child cookie: Option<Tree> = "cookie",
        /// In files: 1 for the one that the guest's present state descends from.
        leaf active: Option<u8> = "active"
    }
}

element! {
    /// `<memory>`: whether and where the guest's memory is kept.
    pub struct Memory {
        attr mode: Option<SnapshotMode> = "snapshot",
        attr file: Option<String> = "file"
    }
    schema {
        case "snapshot" ["no" "internal"] { without attr "file" },
        required kinds::AbsolutePath = "file"
    }
}

spellings! {
    /// What the guest did; `DiskSnapshot`: only its disks were kept.
    pub enum SnapshotState {
        Running = "running", Blocked = "blocked", Paused = "paused", Shutdown = "shutdown",
        Shutoff = "shutoff", Crashed = "crashed", PmSuspended = "pmsuspended",
        DiskSnapshot = "disk-snapshot",
    }
}

fn xml_error(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::XmlError, text).in_domain(ErrorDomain::DomainSnapshot)
}

impl Document for Snapshot {
    const ROOT: &'static str = "domainsnapshot";
    const WHAT: &'static str = "(domain_snapshot)";
    const DOMAIN: ErrorDomain = ErrorDomain::DomainSnapshot;

    fn settle(&mut self, flags: ParseFlags) -> Result<()> {
        self.name.take_if(|name| name.is_empty());
        self.description.take_if(|text| text.is_empty());
        if flags.contains(ParseFlags::NEW) {
            *self = Self {
                name: self.name.take(),
                description: self.description.take(),
                memory: self.memory.take(),
                disks: self.disks.take(),
                cookie: self.cookie.take(),
                ..Self::default()
            };
        } else {
            self.settle_existing()?;
        }
        for disks in [&mut self.disks, &mut self.revert_disks] {
            disks.take_if(|disks| disks.disks.is_empty());
        }
        self.settle_memory(flags)
    }
}

impl Snapshot {
    /// Whether the guest did not run, so that it has no memory to keep.
    #[must_use]
    pub fn offline(&self) -> bool {
        matches!(self.state, Some(SnapshotState::Shutoff | SnapshotState::DiskSnapshot))
    }

    /// Whether something of it is kept outside the guest's own images.
    #[must_use]
    pub fn external(&self) -> bool {
        let disks = self.disks.iter().flat_map(|disks| &disks.disks);
        let modes =
            disks.map(|disk| disk.mode).chain(self.memory.as_ref().map(|memory| memory.mode));
        modes.into_iter().any(|mode| mode == Some(SnapshotMode::External))
    }

    /// Sets the time at which a new snapshot is made, in seconds since 1970; it is also its name if it has none.
    pub fn made_at(&mut self, time: i64) {
        self.creation_time = Some(time);
        self.name.get_or_insert_with(|| time.to_string());
    }

    /// Refuses to keep the memory of a guest that has none, or if only its disks are to be kept.
    pub fn check_offline(&self) -> Result<()> {
        match self.memory.as_ref().and_then(|memory| memory.mode) {
            None | Some(SnapshotMode::No) => Ok(()),
            Some(_) => {
                Err(xml_error("memory state cannot be saved with offline or disk-only snapshot"))
            }
        }
    }

    fn settle_existing(&mut self) -> Result<()> {
        if self.name.is_none() {
            return Err(xml_error("a redefined snapshot must have a name"));
        }
        if self.creation_time.is_none() {
            return Err(xml_error("missing creationTime from existing snapshot"));
        }
        if self.state.is_none() {
            return Err(xml_error("missing state from existing snapshot"));
        }
        if self.offline() {
            self.cookie = None;
        }
        Ok(())
    }

    fn settle_memory(&mut self, flags: ParseFlags) -> Result<()> {
        let offline = self.offline();
        let memory = self.memory.get_or_insert_default();
        if memory.mode == Some(SnapshotMode::Manual) {
            return Err(xml_error("'manual' memory snapshot mode not supported"));
        }
        if memory.mode.is_none() {
            memory.mode = match &memory.file {
                Some(_) => Some(SnapshotMode::External),
                None if flags.contains(ParseFlags::NEW) => None,
                None if offline => Some(SnapshotMode::No),
                None => Some(SnapshotMode::Internal),
            };
        }
        match (&memory.file, memory.mode) {
            (Some(file), mode) if mode != Some(SnapshotMode::External) => {
                return Err(xml_error(format!(
                    "memory filename '{file}' requires external snapshot"
                )));
            }
            (None, Some(SnapshotMode::External)) => {
                return Err(xml_error("external memory snapshots require a filename"));
            }
            (Some(file), _) if !file.starts_with('/') => {
                return Err(xml_error(format!(
                    "memory snapshot file path ({file}) must be absolute"
                )));
            }
            _ => {}
        }
        self.memory.take_if(|memory| memory.mode.is_none());
        if offline { self.check_offline() } else { Ok(()) }
    }
}

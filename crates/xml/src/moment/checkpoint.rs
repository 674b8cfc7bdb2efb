// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<domaincheckpoint>`: a moment from which on it is known which blocks of the disks were written.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::{MomentDomain, ParentMoment};
use crate::document::Document;
use crate::reader::{Node, ParseFlags};
use crate::schema::kinds;

element! {
    /// `<domaincheckpoint>`.
    pub struct Checkpoint {
        leaf name: Option<String> = "name",
        leaf description: Option<String> = "description",
        child parent: Option<ParentMoment> = "parent",
        /// In seconds since 1970.
        leaf creation_time: Option<i64> = "creationTime",
        child disks: Option<CheckpointDisks> = "disks",
        child domain: Option<MomentDomain> = "domain"
    }
    schema { leaf kinds::CheckpointName = "name" }
}

element! {
    /// `<disks>`.
    pub struct CheckpointDisks { child disks: Vec<CheckpointDisk> = "disk" }
    schema { some CheckpointDisk = "disk" }
}

element! {
    /// One disk.
    pub struct CheckpointDisk {
        /// Its target in the guest, or in a new checkpoint the path of its image.
        required name: String = "name",
        attr mode: Option<CheckpointMode> = "checkpoint",
        attr bitmap: Option<String> = "bitmap",
        /// How many bytes were written since: told, never read.
        attr size: Option<u64> = "size"
    }
    schema { required kinds::DiskNameOrPath = "name" }
    then Self::check
}

spellings! {
    /// Whether a disk takes part.
    pub enum CheckpointMode { No = "no", Bitmap = "bitmap" }
}

impl CheckpointDisk {
    fn check(&mut self, _: Node<'_>) -> Result<()> {
        self.mode.get_or_insert(CheckpointMode::Bitmap);
        self.bitmap.take_if(|bitmap| bitmap.is_empty());
        self.size = None;
        Ok(())
    }
}

fn xml_error(text: &'static str) -> Error {
    Error::new(ErrorCode::XmlError, text).in_domain(ErrorDomain::DomainCheckpoint)
}

impl Document for Checkpoint {
    const ROOT: &'static str = "domaincheckpoint";
    const WHAT: &'static str = "(domain_checkpoint)";
    const DOMAIN: ErrorDomain = ErrorDomain::DomainCheckpoint;

    fn settle(&mut self, flags: ParseFlags) -> Result<()> {
        self.name.take_if(|name| name.is_empty());
        self.description.take_if(|text| text.is_empty());
        if flags.contains(ParseFlags::NEW) {
            (self.parent, self.creation_time, self.domain) = (None, None, None);
        } else if self.name.is_none() {
            return Err(xml_error("a redefined checkpoint must have a name"));
        } else if self.creation_time.is_none() {
            return Err(xml_error("missing creationTime from existing checkpoint"));
        }
        self.disks.take_if(|disks| disks.disks.is_empty());
        Ok(())
    }
}

impl Checkpoint {
    /// Sets the time at which a new checkpoint is made, in seconds since 1970; it is also its name if it has none.
    pub fn made_at(&mut self, time: i64) {
        self.creation_time = Some(time);
        self.name.get_or_insert_with(|| time.to_string());
    }
}

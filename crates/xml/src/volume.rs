// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<volume>`: a volume of a storage pool. Which formats there are depends on the pool's type.
//!
//! Invariant: where the data lies, its physical size and its timestamps are measured, never defined.

mod target;

pub use target::{BackingImage, ImageFeature, ImageFeatures, Timestamp, Timestamps, VolumeTarget};

use bitflags::bitflags;
use virtus_api::{ErrorDomain, Result};

use crate::document::Document;
use crate::pool::source::Extent;
use crate::pool::{PoolType, xml_error};
use crate::reader::{Element, ParseFlags, Parsed};
use crate::schema::kinds;
use crate::slot::Reported;
use crate::units::Bytes;
use crate::writer::Writer;

spellings! {
    /// What a volume is.
    pub enum VolumeType {
        File = "file", Block = "block", Dir = "dir", Network = "network", Netdir = "netdir", Ploop = "ploop",
    }
}

bitflags! {
    /// Whether a volume's definition must state its capacity.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct VolumeFlags: u32 {
        /// It need not: the volume is a copy of another.
        const NO_CAPACITY = 1;
        /// It need not if there is a backing image.
        const OPTIONAL_CAPACITY = 2;
    }
}

element! {
    /// `<volume>`. [`Self::settle_in`] completes it.
    pub struct Volume {
        attr kind: VolumeType = "type",
        leaf name: String = "name",
        leaf key: Option<String> = "key",
        child source: Reported<VolumeSource> = "source",
        custom capacity: Option<Bytes> = "capacity",
        /// How much is taken at once; all of it if nothing is said.
        custom allocation: Option<Bytes> = "allocation",
        child physical: Reported<Bytes> = "physical",
        frame target: VolumeTarget = "target",
        block backing: Option<BackingImage> = "backingStore"
    }
    schema {
        one_leaf kinds::VolumeName = "name",
        one VolumeTarget = "target"
    }
}

element! {
    /// `<source>`: where on which devices the data lies.
    pub struct VolumeSource { child devices: Vec<VolumeDevice> = "device" }
}

element! {
    /// `<device>`.
    pub struct VolumeDevice {
        required path: String = "path",
        child extents: Vec<Extent> = "extent"
    }
}

impl Volume {
    fn capacity(&self, tag: &str, out: &mut Writer) {
        self.capacity.unwrap_or_default().write(tag, out);
    }

    fn allocation(&self, tag: &str, out: &mut Writer) {
        self.allocation.or(self.capacity).unwrap_or_default().write(tag, out);
    }

    /// Reads the document of a volume in a pool of type `pool`.
    pub fn parse_in(pool: PoolType, text: &str, flags: VolumeFlags) -> Result<Parsed<Self>> {
        let mut parsed = Self::parse(text, ParseFlags::empty())?;
        parsed.value.settle_in(pool, flags)?;
        Ok(parsed)
    }

    /// Fills in what is not said and refuses what a pool of type `pool` cannot hold.
    pub fn settle_in(&mut self, pool: PoolType, flags: VolumeFlags) -> Result<()> {
        if self.name.is_empty() {
            return Err(xml_error("missing volume name element"));
        }
        self.key.take_if(|key| key.is_empty());
        self.backing.take_if(|backing| backing.path.as_ref().is_none_or(String::is_empty));
        let optional = flags.contains(VolumeFlags::NO_CAPACITY)
            || (flags.contains(VolumeFlags::OPTIONAL_CAPACITY) && self.backing.is_some());
        if self.capacity.is_none() && !optional {
            return Err(xml_error("missing capacity element"));
        }
        // A file's size is signed on the host.
        for size in [self.capacity, self.allocation].into_iter().flatten() {
            if i64::try_from(size.0).is_err() {
                return Err(xml_error(format!("a volume of {} bytes is too large", size.0)));
            }
        }
        self.target.settle(pool)?;
        if let Some(backing) = &mut self.backing {
            backing.settle(pool)?;
        }
        Ok(())
    }
}

impl Document for Volume {
    const ROOT: &'static str = "volume";
    const SCHEMA: &'static str = "storagevol";
    const WHAT: &'static str = "(storage_volume_definition)";
    const DOMAIN: ErrorDomain = ErrorDomain::Storage;
}

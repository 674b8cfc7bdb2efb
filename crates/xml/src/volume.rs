// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<volume>`: a volume of a storage pool. Which formats there are depends on the pool's type.
//!
//! Invariant: where the data lies, its physical size and its timestamps are measured, never defined.

mod target;

pub use target::{BackingImage, ImageFeature, ImageFeatures, Timestamp, Timestamps, VolumeTarget};

use bitflags::bitflags;
use virtus_api::{ErrorDomain, Result};

use crate::pool::source::Extent;
use crate::pool::{PoolType, xml_error};
use crate::reader::{self, Element, ParseFlags, Parsed, Part, Reported};
use crate::units::Bytes;
use crate::writer::{FormatFlags, Writer};

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

part! {
    /// `<volume>`.
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

    /// Reads a `<volume>` document of a pool of type `pool`.
    pub fn parse(text: &str, pool: PoolType, flags: VolumeFlags) -> Result<Parsed<Self>> {
        let domain = ErrorDomain::Storage;
        let reading = ParseFlags::empty();
        reader::parse_for(domain, text, "(storage_volume_definition)", reading, |root| {
            root.expect("volume")?;
            let mut volume = Self::default();
            root.fill(&mut volume)?;
            volume.settle(pool, flags)?;
            Ok(volume)
        })
    }

    /// Writes the document.
    #[must_use]
    pub fn format(&self) -> String {
        let mut out = Writer::new(FormatFlags::empty());
        out.start("volume");
        self.write_attrs(&mut out);
        self.write_body(&mut out);
        out.end("volume");
        out.finish()
    }

    fn settle(&mut self, pool: PoolType, flags: VolumeFlags) -> Result<()> {
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

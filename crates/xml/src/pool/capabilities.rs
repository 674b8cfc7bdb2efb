// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<storagepoolCapabilities>`: which kinds of pools a daemon can run, and the formats that each knows.

use virtus_api::{ErrorDomain, Result};

use super::source::FormatName;
use super::types::{Formats, PoolType};
use crate::domain_capabilities::Choices;
use crate::reader::{self, Element, ParseFlags, Parsed};
use crate::value::YesNo;
use crate::writer::{FormatFlags, Writer};

part! {
    /// `<storagepoolCapabilities>`.
    pub struct PoolCapabilities { child pools: Vec<PoolFacility> = "pool" }
}

element! {
    /// `<pool>`: one kind.
    pub struct PoolFacility {
        attr kind: PoolType = "type",
        attr supported: YesNo = "supported",
        block pool: Option<FormatFacility> = "poolOptions",
        block volumes: Option<FormatFacility> = "volOptions"
    }
}

element! {
    /// `<poolOptions>`, `<volOptions>`: the formats of a pool's source or of its volumes.
    pub struct FormatFacility {
        child default: Option<FormatName> = "defaultFormat",
        block formats: Option<Choices> = "enum"
    }
}

impl FormatFacility {
    fn new(formats: Formats, list: &str) -> Self {
        Self {
            default: Some(FormatName::new(formats.default)),
            formats: Some(Choices {
                name: list.to_owned(),
                values: formats.listed.iter().map(|&word| word.to_owned()).collect(),
            }),
        }
    }
}

impl PoolCapabilities {
    /// The capabilities of a daemon that runs the pools that `supported` names.
    #[must_use]
    pub fn new(supported: impl Fn(PoolType) -> bool) -> Self {
        let facility = |&kind: &PoolType| {
            let rules = kind.rules();
            let formats = |formats: Option<Formats>, list| {
                formats.map(|formats| FormatFacility::new(formats, list))
            };
            PoolFacility {
                kind,
                supported: supported(kind).into(),
                pool: formats(rules.source_formats, "sourceFormatType"),
                volumes: formats(rules.volume_formats, "targetFormatType"),
            }
        };
        Self { pools: PoolType::ALL.iter().map(facility).collect() }
    }

    /// Reads the document.
    pub fn parse(text: &str) -> Result<Parsed<Self>> {
        let flags = ParseFlags::empty();
        reader::parse_for(
            ErrorDomain::Storage,
            text,
            "(storage_pool_capabilities)",
            flags,
            |root| {
                root.expect("storagepoolCapabilities")?;
                let mut capabilities = Self::default();
                root.fill(&mut capabilities)?;
                Ok(capabilities)
            },
        )
    }

    /// Writes the document.
    #[must_use]
    pub fn format(&self) -> String {
        let mut out = Writer::new(FormatFlags::empty());
        out.start("storagepoolCapabilities");
        out.content();
        for pool in &self.pools {
            out.as_block();
            pool.write("pool", &mut out);
        }
        out.end("storagepoolCapabilities");
        out.finish()
    }
}

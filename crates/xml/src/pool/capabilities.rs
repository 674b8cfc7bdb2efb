// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<storagepoolCapabilities>`: which kinds of pools a daemon can run, and the formats that each knows.

use virtus_api::ErrorDomain;

use super::source::FormatName;
use super::types::{Formats, PoolType};
use crate::document::Document;
use crate::domain_capabilities::Choices;
use crate::value::YesNo;

element! {
    /// `<storagepoolCapabilities>`.
    pub struct PoolCapabilities { block pools: Vec<PoolFacility> = "pool" }
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
}

impl Document for PoolCapabilities {
    const ROOT: &'static str = "storagepoolCapabilities";
    const SCHEMA: &'static str = "storagepoolcaps";
    const WHAT: &'static str = "(storage_pool_capabilities)";
    const DOMAIN: ErrorDomain = ErrorDomain::Storage;
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Storage pools and volumes: documents, capabilities, sources that were found.

use virtus_xml::chance::Chance;
use virtus_xml::pool::PoolType;
use virtus_xml::{
    Document, FormatFlags, ParseFlags, PoolCapabilities, PoolSources, StoragePool, Volume,
    VolumeFlags,
};

use super::documents::chance;
use crate::{Case, Corpus, Verdict, compare};

fn said(error: virtus_api::Error) -> String {
    format!("ERROR {error}")
}

fn read_pool(text: &str) -> Result<StoragePool, String> {
    let mut pool = StoragePool::parse(text, ParseFlags::empty()).map_err(said)?.value;
    pool.name_missing(&mut Chance(&mut chance));
    Ok(pool)
}

pub(super) fn pool(corpus: &Corpus, case: &Case) -> Verdict {
    let pool = read_pool(&case.read(corpus)?)?;
    compare::text(&case.read_expected(corpus, "xml")?, &pool.format(FormatFlags::empty()))
}

pub(super) fn volume(corpus: &Corpus, case: &Case) -> Verdict {
    let pool = case.param("pool").ok_or("no pool is named")?;
    let pool = read_pool(&corpus.read(pool)?)?;
    let mut flags = VolumeFlags::empty();
    for flag in case.words("parse_flags") {
        flags |= match flag {
            "no_capacity" => VolumeFlags::NO_CAPACITY,
            "opt_capacity" => VolumeFlags::OPTIONAL_CAPACITY,
            _ => return Err(format!("no such flag: {flag}")),
        };
    }
    let volume = Volume::parse_in(pool.kind, &case.read(corpus)?, flags).map_err(said)?.value;
    compare::text(&case.read_expected(corpus, "xml")?, &volume.format(FormatFlags::empty()))
}

fn pool_type(name: &str) -> Result<PoolType, String> {
    let known = PoolType::ALL.iter().find(|kind| kind.as_str() == name);
    known.copied().ok_or_else(|| format!("no such pool type: {name}"))
}

pub(super) fn capabilities(corpus: &Corpus, case: &Case) -> Verdict {
    let named = case.words("pool_types");
    let all = case.param("pool_types").is_some();
    let supported = |kind: PoolType| all || named.contains(&kind.as_str());
    let written = PoolCapabilities::new(supported).format(FormatFlags::empty());
    compare::text(&case.read_expected(corpus, "xml")?, &written)?;
    let again = PoolCapabilities::parse(&written, ParseFlags::empty()).map_err(said)?.value;
    compare::text(&written, &again.format(FormatFlags::empty()))
}

pub(super) fn gluster(corpus: &Corpus, case: &Case) -> Verdict {
    let kind = pool_type(case.param("pool_type").unwrap_or_default())?;
    let host = case.param("host").ok_or("no host is named")?;
    let sources = PoolSources::of_gluster(&case.read(corpus)?, host, kind).map_err(said)?;
    compare::text(&case.read_expected(corpus, "xml")?, &sources.format(FormatFlags::empty()))
}

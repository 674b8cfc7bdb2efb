// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<sources>`: what `virConnectFindStoragePoolSources` found, one `<source>` for each pool that could be.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::source::{Dir, FormatName, PoolHost, PoolSource};
use super::types::PoolType;
use crate::reader::{self, Element, Node, ParseFlags, Parsed};
use crate::writer::{FormatFlags, Writer};

part! {
    /// `<sources>`.
    pub struct PoolSources { child sources: Vec<PoolSource> = "source" }
}

impl PoolSources {
    /// Reads a `<sources>` document.
    pub fn parse(text: &str) -> Result<Parsed<Self>> {
        let flags = ParseFlags::empty();
        reader::parse_for(ErrorDomain::Storage, text, "(storage_sources)", flags, |root| {
            root.expect("sources")?;
            let mut sources = Self::default();
            root.fill(&mut sources)?;
            Ok(sources)
        })
    }

    /// The pools of type `kind` that could be made of the volumes of a gluster server, from what
    /// `gluster --xml volume info all` prints about `host`.
    pub fn of_gluster(text: &str, host: &str, kind: PoolType) -> Result<Self> {
        let flags = ParseFlags::empty();
        let names =
            reader::parse_for(ErrorDomain::Storage, text, "(gluster_cli_output)", flags, |root| {
                root.expect("cliOutput")?;
                volume_names(root)
            })?;
        let host = PoolHost { name: host.to_owned(), port: None };
        let source = |name| {
            let hosts = vec![host.clone()];
            let dir = |path| Some(Dir { path: Some(path) });
            match kind {
                PoolType::Gluster => Ok(PoolSource {
                    hosts,
                    dir: dir("/".to_owned()),
                    name: Some(name),
                    ..PoolSource::default()
                }),
                PoolType::Netfs => Ok(PoolSource {
                    hosts,
                    dir: dir(name),
                    format: Some(FormatName::new("glusterfs")),
                    ..PoolSource::default()
                }),
                _ => Err(Error::new(
                    ErrorCode::InvalidArg,
                    format!("a pool of type '{kind}' cannot be made of a gluster volume"),
                )
                .in_domain(ErrorDomain::Storage)),
            }
        };
        Ok(Self { sources: names.value.into_iter().map(source).collect::<Result<_>>()? })
    }

    /// Writes the document.
    #[must_use]
    pub fn format(&self) -> String {
        let mut out = Writer::new(FormatFlags::empty());
        out.start("sources");
        out.content();
        for source in &self.sources {
            out.as_block();
            source.write("source", &mut out);
        }
        out.end("sources");
        out.finish()
    }
}

/// The names in `<volInfo><volumes>`; much else stands there that is not ours to judge.
fn volume_names(output: Node<'_>) -> Result<Vec<String>> {
    let lists = output.children().filter(|node| node.name() == "volInfo");
    let lists = lists.flat_map(|info| info.children()).filter(|node| node.name() == "volumes");
    let volumes = lists.flat_map(|list| list.children()).filter(|node| node.name() == "volume");
    volumes
        .map(|volume| {
            let name = volume.find("name").ok_or_else(|| volume.missing_child("name"))?;
            name.text_value()
        })
        .collect()
}

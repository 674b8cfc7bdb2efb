// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<sources>`: what `virConnectFindStoragePoolSources` found, one `<source>` for each pool that could be.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::source::{Dir, FormatName, PoolHost, PoolSource};
use super::types::PoolType;
use crate::document::Document;
use crate::reader::{self, Element, Node, ParseFlags};
use crate::writer::{FormatFlags, Writer};

element! {
    /// `<sources>`.
    pub struct PoolSources { block sources: Vec<PoolSource> = "source" }
}

impl PoolSources {
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
}

impl Document for PoolSources {
    const ROOT: &'static str = "sources";
    const WHAT: &'static str = "(storage_sources)";
    const DOMAIN: ErrorDomain = ErrorDomain::Storage;

    fn format(&self, flags: FormatFlags) -> String {
        let mut out = Writer::new(flags);
        // Nothing found is a list, too.
        out.as_block();
        self.write(Self::ROOT, &mut out);
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

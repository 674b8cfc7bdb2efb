// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<pool>`: a storage pool. What its type demands and allows is in one table ([`types`]).
//!
//! Invariant: sizes are measured, never defined: what a definition says of them is not kept.

mod adapter;
pub mod capabilities;
mod options;
pub mod permissions;
pub mod source;
pub mod sources;
pub mod types;

pub use adapter::{Adapter, AdapterType, ParentAddress};
pub use options::{PoolOption, PoolOptions};
pub use types::PoolType;

use uuid::Uuid;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use self::permissions::Permissions;
use self::source::PoolSource;
use self::types::{SourceParts, TargetRule};
use crate::chance::Chance;
use crate::document::Document;
use crate::reader::{Element, Node, ParseFlags, Part};
use crate::schema::{Shape, kinds};
use crate::slot::Reported;
use crate::units::Bytes;
use crate::value::YesNo;
use crate::writer::Writer;

/// `<pool>`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StoragePool {
    pub kind: PoolType,
    pub body: PoolBody,
    pub options: PoolOptions,
}

part! {
    /// What stands in `<pool>`. [`StoragePool`] dereferences to it.
    pub struct PoolBody {
        leaf name: String = "name",
        leaf uuid: Option<Uuid> = "uuid",
        frame capacity: Reported<Bytes> = "capacity",
        frame allocation: Reported<Bytes> = "allocation",
        frame available: Reported<Bytes> = "available",
        child features: PoolFeatures = "features",
        frame source: PoolSource = "source",
        block target: Option<PoolTarget> = "target",
        child refresh: Option<Refresh> = "refresh"
    }
}

element! {
    /// `<features>`.
    pub struct PoolFeatures { child cow: Option<Cow> = "cow" }
}

element! {
    /// `<cow>`: whether the file system copies on write.
    pub struct Cow { attr state: Option<YesNo> = "state" }
    schema { required YesNo = "state" }
}

element! {
    /// `<target>`: where the volumes appear.
    pub struct PoolTarget {
        leaf path: Option<String> = "path",
        child permissions: Permissions = "permissions"
    }
    schema {
        one_leaf kinds::AbsolutePath = "path"
    }
}

element! {
    /// `<refresh>`: how volumes are measured.
    pub struct Refresh { child volume: RefreshVolume = "volume" }
}

element! {
    /// `<volume>` of `<refresh>`.
    pub struct RefreshVolume { attr allocation: Option<RefreshAllocation> = "allocation" }
}

spellings! {
    /// What counts as a volume's allocation.
    pub enum RefreshAllocation { Default = "default", Capacity = "capacity" }
}

fn error(code: ErrorCode, text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(code, text).in_domain(ErrorDomain::Storage)
}

pub(crate) fn xml_error(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    error(ErrorCode::XmlError, text)
}

pub(crate) fn unsupported(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    error(ErrorCode::ConfigUnsupported, text)
}

/// `path` without needless slashes. Two at the front have a meaning of their own, and so may any in a URI.
#[must_use]
pub fn sanitize_path(path: &str) -> String {
    if path.contains("://") {
        return path.to_owned();
    }
    let slashes = path.len() - path.trim_start_matches('/').len();
    let mut clean = "/".repeat(if slashes == 2 { 2 } else { slashes.min(1) });
    for (at, name) in path.split('/').filter(|name| !name.is_empty()).enumerate() {
        if at > 0 {
            clean.push('/');
        }
        clean.push_str(name);
    }
    clean
}

impl std::ops::Deref for StoragePool {
    type Target = PoolBody;
    fn deref(&self) -> &PoolBody {
        &self.body
    }
}

impl std::ops::DerefMut for StoragePool {
    fn deref_mut(&mut self) -> &mut PoolBody {
        &mut self.body
    }
}

impl StoragePool {
    /// Gives a pool without a UUID a random one.
    pub fn name_missing(&mut self, chance: &mut Chance<'_>) {
        self.uuid.get_or_insert_with(|| chance.uuid());
    }

    fn settle_target(&mut self, rule: TargetRule) -> Result<()> {
        let named = self.target.take();
        let (path, mut permissions) =
            named.map_or_else(Default::default, |target| (target.path, target.permissions));
        let path = match rule {
            TargetRule::Nowhere => return Ok(()),
            TargetRule::Under(folder) => {
                format!("{folder}{}", self.source.name.as_deref().unwrap_or_default())
            }
            TargetRule::Named => path
                .filter(|path| !path.is_empty())
                .ok_or_else(|| xml_error("missing storage pool target path"))?,
        };
        permissions.settle();
        self.target = Some(PoolTarget { path: Some(sanitize_path(&path)), permissions });
        Ok(())
    }
}

impl Document for StoragePool {
    const ROOT: &'static str = "pool";
    const SCHEMA: &'static str = "storagepool";
    const WHAT: &'static str = "(storage_pool_definition)";
    const DOMAIN: ErrorDomain = ErrorDomain::Storage;

    /// Fills in what is not said, drops what such a pool has no use for and refuses what is no pool.
    fn settle(&mut self, _: ParseFlags) -> Result<()> {
        let (kind, rules) = (self.kind, self.kind.rules());
        let has_name = rules.source.contains(SourceParts::NAME);
        self.body.source.settle(kind)?;
        if self.name.is_empty() {
            let named = self.source.name.clone().filter(|_| has_name);
            self.name = named.ok_or_else(|| xml_error("missing pool source name element"))?;
        }
        if self.name.contains('/') {
            return Err(xml_error(format!("name {} cannot contain '/'", self.name)));
        }
        if has_name && self.source.name.is_none() {
            self.body.source.name = Some(self.name.clone());
        }
        self.features.cow.take_if(|cow| cow.state.is_none());
        if self.features.cow.is_some() && !rules.cow {
            return Err(error(
                ErrorCode::NoSupport,
                "cow feature may only be used for 'fs' and 'dir' pools",
            ));
        }
        self.body.source.check(kind)?;
        self.settle_target(rules.target)?;
        if kind == PoolType::IscsiDirect && self.source.initiator.is_none() {
            return Err(unsupported("missing initiator IQN"));
        }
        self.refresh.take_if(|refresh| refresh.volume.allocation.is_none());
        Ok(())
    }
}

impl Element for StoragePool {
    const SHAPE: &'static Shape = shape!(StoragePool:
        required PoolType = "type",
        case "type" ["logical" "rbd" "sheepdog" "gluster" "zfs" "vstorage"] { leaf kinds::ObjectName = "name" },
        one_leaf kinds::ObjectName = "name",
        case "type" ["dir" "mpath"] { child PoolSource = "source" },
        one PoolSource = "source",
        case "type" ["fs" "netfs" "dir" "disk" "iscsi" "scsi" "mpath" "vstorage"] { one PoolTarget = "target" },
        case "type" ["logical"] { one (leaf kinds::AbsolutePath = "path", part PoolTarget) = "target" },
        case "type" ["zfs"] { child (leaf kinds::AbsolutePath = "path", part PoolTarget) = "target" },
        part PoolBody,
        pieces (options::PIECES)
    );

    fn read(node: Node<'_>) -> Result<Self> {
        let kind: PoolType = node.need("type")?;
        let mut body = PoolBody::default();
        for (name, _) in node.attrs().filter(|(name, _)| *name != "type") {
            node.unknown_attr(name, &["type"]);
        }
        for child in node.children().filter(|child| child.namespace() == node.namespace()) {
            if !body.child(child.name(), child)? {
                child.unknown(PoolBody::CHILDREN);
            }
        }
        Ok(Self { kind, body, options: PoolOptions::read(node, kind.rules().options)? })
    }

    fn write(&self, tag: &str, out: &mut Writer) {
        let rule = self.kind.rules().options;
        out.start(tag);
        out.attr("type", &self.kind);
        self.options.write_namespace(rule, out);
        self.body.write_body(out);
        self.options.write(rule, out);
        out.end(tag);
    }
}

#[cfg(test)]
mod tests {
    use super::sanitize_path;

    #[test]
    fn paths_lose_needless_slashes() {
        for (path, clean) in [
            ("///var//lib/", "/var/lib"),
            ("//var//lib", "//var/lib"),
            ("/", "/"),
            ("///", "/"),
            ("//", "//"),
            ("share/", "share"),
            ("gluster://host//volume", "gluster://host//volume"),
            ("", ""),
        ] {
            assert_eq!(sanitize_path(path), clean);
        }
    }
}

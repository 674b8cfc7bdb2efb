// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The namespaces of pools: `fs:mount_opts` passes options to mount, `rbd:config_opts` to librbd.

use virtus_api::Result;

use super::types::OptionRule;
use crate::reader::Node;
use crate::schema::Piece;
use crate::writer::Writer;

/// The namespaces' names.
const MOUNT: &str = "http://libvirt.org/schemas/storagepool/fs/1.0";
const RBD: &str = "http://libvirt.org/schemas/storagepool/rbd/1.0";

/// Options in the namespace of the pool's kind, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolOptions {
    pub options: Vec<PoolOption>,
}

/// One option; those of mount have no value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolOption {
    pub name: String,
    pub value: Option<String>,
}

/// How a kind of options is spelt.
struct Spelling {
    namespace: &'static str,
    prefix: &'static str,
    list: &'static str,
    has_value: bool,
}

impl OptionRule {
    fn spelling(self) -> Option<Spelling> {
        match self {
            Self::None => None,
            Self::Mount => Some(Spelling {
                namespace: MOUNT,
                prefix: "fs",
                list: "mount_opts",
                has_value: false,
            }),
            Self::Rbd => Some(Spelling {
                namespace: RBD,
                prefix: "rbd",
                list: "config_opts",
                has_value: true,
            }),
        }
    }
}

/// What the schema allows in the namespaces of pools.
pub(super) const PIECES: &[Piece] = pieces!(
    foreign (MOUNT) (
        some (required String = "name") = "option"
    ) = "mount_opts",
    foreign (RBD) (
        some (required String = "name", required String = "value") = "option"
    ) = "config_opts"
);

impl PoolOptions {
    /// Reads the options from the children of `<pool>`; other namespaces are nobody's.
    pub(super) fn read(pool: Node<'_>, rule: OptionRule) -> Result<Self> {
        let Some(spelling) = rule.spelling() else { return Ok(Self::default()) };
        let ours = |node: &Node<'_>| node.namespace() == Some(spelling.namespace);
        let mut options = Vec::new();
        for list in pool.children().filter(ours) {
            if list.name() != spelling.list {
                list.unknown(&[spelling.list]);
                continue;
            }
            for option in list.children() {
                if option.name() != "option" {
                    option.unknown(&["option"]);
                    continue;
                }
                options.push(PoolOption {
                    name: option.need("name")?,
                    value: if spelling.has_value { Some(option.need("value")?) } else { None },
                });
            }
        }
        Ok(Self { options })
    }

    /// Declares the namespace if it is used.
    pub(super) fn write_namespace(&self, rule: OptionRule, out: &mut Writer) {
        if let Some(spelling) = rule.spelling().filter(|_| !self.options.is_empty()) {
            out.attr_text(&format!("xmlns:{}", spelling.prefix), spelling.namespace);
        }
    }

    pub(super) fn write(&self, rule: OptionRule, out: &mut Writer) {
        let Some(spelling) = rule.spelling().filter(|_| !self.options.is_empty()) else { return };
        let list = format!("{}:{}", spelling.prefix, spelling.list);
        let tag = format!("{}:option", spelling.prefix);
        out.start(&list);
        for option in &self.options {
            out.start(&tag);
            out.attr("name", &option.name);
            out.opt("value", option.value.as_ref());
            out.end(&tag);
        }
        out.end(&list);
    }
}

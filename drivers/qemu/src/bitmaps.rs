// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Dirty bitmaps of a backing chain: what QEMU says of them, and the transactions by which checkpoints, backups and
//! block jobs keep them true.
//!
//! A bitmap of a checkpoint begins in the image that was on top when the checkpoint was made and goes on, under the
//! same name, in every overlay since. It is sound only without a gap.

use std::collections::BTreeMap;

use serde_json::Value;
use virtus_api::{Error, ErrorCode, Result};

use crate::plan::Props;

/// The bitmap that QEMU fills while a block job's bitmaps are merged.
const WRITES_MEANWHILE: &str = "libvirt-tmp-activewrite";

/// What QEMU says about its nodes, by their names.
#[derive(Debug, Clone, Default)]
pub struct Nodes(BTreeMap<String, Node>);

/// One node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// In the order in which QEMU names them.
    pub bitmaps: Vec<Bitmap>,
    /// Whether it is a qcow2 image of the old version, which keeps no bitmaps.
    pub qcow2_v2: bool,
    /// Snapshots inside the image: name, and whether they hold the guest's memory.
    pub snapshots: Vec<(String, bool)>,
}

/// One bitmap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bitmap {
    pub name: String,
    /// Whether writes are noted.
    pub recording: bool,
    /// Whether a job uses it.
    pub busy: bool,
    /// Whether it is written into the image.
    pub persistent: bool,
    /// Whether it was not written when the image was closed last, so that it cannot be used.
    pub inconsistent: bool,
    /// The bytes for which one bit stands.
    pub granularity: u64,
    /// The bytes that are noted as written.
    pub dirty: u64,
}

impl Nodes {
    /// Reads the answer to `query-named-block-nodes`.
    #[must_use]
    pub fn read(reply: &Value) -> Self {
        let nodes = reply.as_array().into_iter().flatten();
        Self(
            nodes
                .filter_map(|node| Some((node["node-name"].as_str()?.to_owned(), Node::read(node))))
                .collect(),
        )
    }

    /// The node of this name.
    #[must_use]
    pub fn get(&self, node: &str) -> Option<&Node> {
        self.0.get(node)
    }

    fn bitmap(&self, node: &str, name: &str) -> Option<&Bitmap> {
        self.0.get(node)?.bitmaps.iter().find(|bitmap| bitmap.name == name)
    }

    /// Whether the bitmap can be used in the chain, whose nodes are given from the top down: it is sound in each image
    /// that has it, and these are the top and what follows it without a gap.
    #[must_use]
    pub fn is_sound(&self, chain: &[&str], name: &str) -> bool {
        let found: Vec<_> = chain.iter().map(|node| self.bitmap(node, name)).collect();
        let run = found.iter().take_while(|bitmap| bitmap.is_some()).count();
        let mut all = found.iter().flatten();
        run > 0
            && found.iter().flatten().count() == run
            && all.all(|bitmap| bitmap.persistent && bitmap.recording && !bitmap.inconsistent)
    }

    /// Merges bitmaps of the images `chain` into `target`.
    fn merge(&self, chain: &[&str], above: &[&str], merge: &Merge<'_>) -> Vec<Value> {
        let mut actions = Vec::new();
        let names: Vec<&str> = match merge.only {
            Some((name, _)) => vec![name],
            None => self.sound_on_top(chain),
        };
        for name in names {
            let sources: Vec<(&str, &Bitmap)> =
                above.iter().filter_map(|node| Some((*node, self.bitmap(node, name)?))).collect();
            let into = merge.only.map_or(name, |(_, into)| into);
            if self.bitmap(merge.target, name).is_none() {
                let granularity = sources.first().map(|(_, bitmap)| bitmap.granularity);
                let lasting = merge.only.is_none();
                actions.push(action(
                    "block-dirty-bitmap-add",
                    named(merge.target, into)
                        .with("persistent", lasting)
                        .with("disabled", !lasting)
                        .maybe("granularity", granularity.filter(|size| *size != 0)),
                ));
            }
            let mut bitmaps: Vec<Value> = sources
                .iter()
                .map(|(node, bitmap)| named(node, &bitmap.name).into_value())
                .collect();
            bitmaps.extend(merge.writes.map(|node| named(node, WRITES_MEANWHILE).into_value()));
            let data = Props::new().with("node", merge.target).with("target", into);
            actions.push(action("block-dirty-bitmap-merge", data.with("bitmaps", bitmaps)));
        }
        if let Some(node) = merge.writes {
            actions.push(remove(node, WRITES_MEANWHILE));
        }
        actions
    }

    /// The sound bitmaps of the top image, the youngest first.
    fn sound_on_top(&self, chain: &[&str]) -> Vec<&str> {
        let top = chain.first().and_then(|top| self.0.get(*top));
        let names = top.into_iter().flat_map(|node| &node.bitmaps).map(|bitmap| &*bitmap.name);
        names.rev().filter(|name| self.is_sound(chain, name)).collect()
    }

    /// Collects what was written since a checkpoint into a bitmap of a backup's own.
    #[must_use]
    pub fn backup(&self, chain: &[&str], since: &str, target: &str, into: &str) -> Vec<Value> {
        self.merge(chain, chain, &Merge { target, only: Some((since, into)), writes: None })
    }

    /// Carries the bitmaps over when a copy of the chain, or of its top only, takes its place.
    #[must_use]
    pub fn block_copy(&self, chain: &[&str], shallow: bool, mirror: &str) -> Vec<Value> {
        let above = if shallow { chain.get(..1).unwrap_or_default() } else { chain };
        self.merge(chain, above, &Merge { target: mirror, only: None, writes: Some(mirror) })
    }

    /// Carries the bitmaps over when the images from number `top` on are committed into number `base`; the topmost
    /// image has number 0.
    #[must_use]
    pub fn block_commit(&self, chain: &[&str], top: usize, base: usize) -> Vec<Value> {
        let (Some(&target), Some(above)) = (chain.get(base), chain.get(top..base)) else {
            return Vec::new();
        };
        // Only the active image is written to while the job runs.
        let writes = (top == 0).then_some(target);
        self.merge(&chain[top..], above, &Merge { target, only: None, writes })
    }

    /// Deletes the bitmap of a checkpoint; also the nodes that must be made writable for it, the deepest first.
    ///
    /// # Errors
    /// `VIR_ERR_INTERNAL_ERROR` if no image of `disk` has it.
    pub fn delete<'c>(
        &self,
        chain: &[&'c str],
        name: &str,
        disk: &str,
    ) -> Result<(Vec<Value>, Vec<&'c str>)> {
        let with: Vec<&str> =
            chain.iter().copied().filter(|node| self.bitmap(node, name).is_some()).collect();
        if with.is_empty() {
            let text = format!("bitmap '{name}' not found in backing chain of '{disk}'");
            return Err(Error::new(ErrorCode::InternalError, text));
        }
        let actions = with.iter().map(|node| remove(node, name)).collect();
        let below = with.into_iter().rev().filter(|node| chain.first() != Some(node));
        Ok((actions, below.collect()))
    }
}

/// Where bitmaps are merged to.
struct Merge<'a> {
    /// The node.
    target: &'a str,
    /// One bitmap and the temporary one that it becomes; otherwise all, under their names.
    only: Option<(&'a str, &'a str)>,
    /// The node whose writes meanwhile belong to all of them.
    writes: Option<&'a str>,
}

impl Node {
    fn read(node: &Value) -> Self {
        let image = &node["image"];
        let detail = &image["format-specific"];
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let snapshot = |one: &Value| {
            let memory = one["vm-state-size"].as_u64().is_some_and(|size| size > 0);
            Some((one["name"].as_str()?.to_owned(), memory))
        };
        Self {
            bitmaps: list(&node["dirty-bitmaps"]).iter().filter_map(Bitmap::read).collect(),
            qcow2_v2: detail["type"] == "qcow2" && detail["data"]["compat"] == "0.10",
            snapshots: list(&image["snapshots"]).iter().filter_map(snapshot).collect(),
        }
    }
}

impl Bitmap {
    fn read(bitmap: &Value) -> Option<Self> {
        Some(Self {
            name: bitmap["name"].as_str()?.to_owned(),
            recording: bitmap["recording"] == true,
            busy: bitmap["busy"] == true,
            persistent: bitmap["persistent"] == true,
            inconsistent: bitmap["inconsistent"] == true,
            granularity: bitmap["granularity"].as_u64().unwrap_or(0),
            dirty: bitmap["count"].as_u64().unwrap_or(0),
        })
    }
}

fn named(node: &str, name: &str) -> Props {
    Props::new().with("node", node).with("name", name)
}

fn remove(node: &str, name: &str) -> Value {
    action("block-dirty-bitmap-remove", named(node, name))
}

fn action(kind: &str, data: Props) -> Value {
    Props::new().with("type", kind).with("data", data).into_value()
}

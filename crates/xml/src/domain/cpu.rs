// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<cpu>`: what CPU the guest sees; its topology; its NUMA nodes.

use virtus_api::Result;

use super::memory::AccessShare;
use crate::cpuset::CpuSet;
use crate::reader::{Element, Node, Part};
use crate::schema::{Piece, Shape, kinds};
use crate::units::scale;
use crate::value::{OnOff, YesNo};
use crate::writer::Writer;

element! {
    /// `<cpu>` of a guest.
    pub struct Cpu {
        attr mode: Option<CpuMode> = "mode",
        attr matches: Option<CpuMatch> = "match",
        attr check: Option<CpuCheck> = "check",
        attr migratable: Option<OnOff> = "migratable",
        attr deprecated_features: Option<OnOff> = "deprecated_features",
        leaf arch: Option<String> = "arch",
        custom model: Option<CpuModel> = "model",
        leaf vendor: Option<String> = "vendor",
        child topology: Option<Topology> = "topology",
        child cache: Option<CpuCache> = "cache",
        child maxphysaddr: Option<MaxPhysAddr> = "maxphysaddr",
        child features: Vec<CpuFeature> = "feature",
        child numa: Option<Numa> = "numa"
    }
}

impl Cpu {
    /// A model that has neither a name nor a maker is kept, for what it says of others, but not written.
    fn model(&self, tag: &str, out: &mut Writer) {
        let Some(model) = &self.model else { return };
        if model.name.is_some() {
            model.write(tag, out);
        } else if model.vendor_id.is_some() {
            CpuModel { fallback: None, ..model.clone() }.write(tag, out);
        }
    }
}

spellings! {
    /// How the CPU is chosen.
    pub enum CpuMode {
        Custom = "custom", HostModel = "host-model", HostPassthrough = "host-passthrough", Maximum = "maximum",
    }
}

spellings! {
    /// How the host's CPU must match.
    pub enum CpuMatch { Exact = "exact", Minimum = "minimum", Strict = "strict" }
}

spellings! {
    /// How carefully it is checked that the guest gets what is asked for.
    pub enum CpuCheck { None = "none", Partial = "partial", Full = "full" }
}

element! {
    /// `<model>` of a CPU.
    pub struct CpuModel {
        attr fallback: Option<Fallback> = "fallback",
        attr vendor_id: Option<String> = "vendor_id",
        text name: Option<String>
    }
}

spellings! {
    /// Whether a similar model will do.
    pub enum Fallback { Allow = "allow", Forbid = "forbid" }
}

element! {
    /// `<topology>`.
    pub struct Topology {
        required sockets: u32 = "sockets",
        attr dies: Option<u32> = "dies",
        attr clusters: Option<u32> = "clusters",
        required cores: u32 = "cores",
        required threads: u32 = "threads"
    }
}

element! {
    /// `<cache>` of a CPU.
    pub struct CpuCache {
        attr level: Option<u32> = "level",
        required mode: CpuCacheMode = "mode"
    }
}

spellings! {
    /// What the guest sees of the caches.
    pub enum CpuCacheMode { Emulate = "emulate", Passthrough = "passthrough", Disable = "disable" }
}

element! {
    /// `<maxphysaddr>`.
    pub struct MaxPhysAddr {
        required mode: PhysAddrMode = "mode",
        attr bits: Option<u32> = "bits",
        attr limit: Option<u32> = "limit"
    }
}

spellings! {
    /// How the width of addresses is chosen.
    pub enum PhysAddrMode { Emulate = "emulate", Passthrough = "passthrough" }
}

element! {
    /// `<feature>` of a CPU.
    pub struct CpuFeature {
        attr policy: Option<FeaturePolicy> = "policy",
        required name: String = "name"
    }
}

spellings! {
    /// Whether a feature must be there.
    pub enum FeaturePolicy {
        Force = "force", Require = "require", Optional = "optional", Disable = "disable", Forbid = "forbid",
    }
}

element! {
    /// `<numa>` of a CPU: the guest's nodes.
    pub struct Numa {
        child cells: Vec<NumaCell> = "cell",
        child interconnects: Option<Interconnects> = "interconnects"
    }
}

/// `<cell>`: one node of the guest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NumaCell {
    pub id: Option<u32>,
    pub cpus: Option<CpuSet>,
    pub memory_kib: u64,
    pub mem_access: Option<AccessShare>,
    pub discard: Option<YesNo>,
    pub body: NumaCellBody,
}

part! {
    /// What stands in a cell.
    pub struct NumaCellBody {
        child distances: Option<Distances> = "distances",
        child caches: Vec<NumaCache> = "cache"
    }
}

impl Element for NumaCell {
    const SHAPE: &'static Shape = shape!(NumaCell:
        attr u32 = "id",
        attr CpuSet = "cpus",
        required u64 = "memory",
        attr kinds::Unit = "unit",
        attr AccessShare = "memAccess",
        attr YesNo = "discard",
        part NumaCellBody
    );
    fn read(node: Node<'_>) -> Result<Self> {
        let mut body = NumaCellBody::default();
        for child in node.children() {
            if !body.child(child.name(), child)? {
                child.unknown(NumaCellBody::CHILDREN);
            }
        }
        Ok(Self {
            id: node.get("id")?,
            cpus: node.get("cpus")?,
            memory_kib: scale(node, node.need("memory")?, 1024)?.div_ceil(1024),
            mem_access: node.get("memAccess")?,
            discard: node.get("discard")?,
            body,
        })
    }

    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        out.opt("id", self.id.as_ref());
        out.opt("cpus", self.cpus.as_ref());
        out.attr("memory", &self.memory_kib);
        out.attr_text("unit", "KiB");
        out.opt("memAccess", self.mem_access.as_ref());
        out.opt("discard", self.discard.as_ref());
        self.body.write_body(out);
        out.end(tag);
    }
}

element! {
    /// `<distances>`.
    pub struct Distances { child siblings: Vec<Sibling> = "sibling" }
}

element! {
    /// How far another node is.
    pub struct Sibling {
        required id: u32 = "id",
        required value: u32 = "value"
    }
}

element! {
    /// `<cache>` of a node's memory.
    pub struct NumaCache {
        required level: u32 = "level",
        required associativity: Associativity = "associativity",
        required policy: CachePolicy = "policy",
        child size: Option<ValueKib> = "size",
        child line: Option<ValueBytes> = "line"
    }
}

spellings! {
    /// How a cache finds its lines.
    pub enum Associativity { None = "none", Direct = "direct", Full = "full" }
}

spellings! {
    /// When a cache writes.
    pub enum CachePolicy { None = "none", Writeback = "writeback", Writethrough = "writethrough" }
}

/// A size whose number stands in `value`, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ValueKib(pub u64);
/// A size whose number stands in `value`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ValueBytes(pub u64);

impl Element for ValueKib {
    const SHAPE: &'static Shape =
        shape!(ValueKib: required u64 = "value", attr kinds::Unit = "unit");
    fn read(node: Node<'_>) -> Result<Self> {
        Ok(Self(scale(node, node.need("value")?, 1024)?.div_ceil(1024)))
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        out.attr("value", &self.0);
        out.attr_text("unit", "KiB");
        out.end(tag);
    }
}

impl Element for ValueBytes {
    const SHAPE: &'static Shape = ValueKib::SHAPE;
    fn read(node: Node<'_>) -> Result<Self> {
        Ok(Self(scale(node, node.need("value")?, 1)?))
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        out.attr("value", &self.0);
        out.attr_text("unit", "B");
        out.end(tag);
    }
}

/// `<interconnects>`: how fast nodes reach each other; the lines keep their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Interconnects {
    pub lines: Vec<Interconnect>,
}

/// What latencies and bandwidths have in common.
const INTERCONNECT: &[Piece] = pieces!(
    required u32 = "initiator",
    required u32 = "target",
    required MemoryAccess = "type",
    required u64 = "value"
);

/// One `<latency>` or `<bandwidth>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Interconnect {
    /// KiB per second; otherwise nanoseconds.
    pub bandwidth: bool,
    pub initiator: u32,
    pub target: u32,
    pub cache: Option<u32>,
    pub access: MemoryAccess,
    pub value: u64,
}

spellings! {
    /// Which accesses are measured.
    pub enum MemoryAccess { Access = "access", Read = "read", Write = "write" }
}

impl Element for Interconnects {
    const SHAPE: &'static Shape = shape!(Interconnects:
        many (pieces (INTERCONNECT), attr u32 = "cache") = "latency",
        many (pieces (INTERCONNECT), attr u32 = "cache", attr kinds::Unit = "unit") = "bandwidth"
    );
    fn read(node: Node<'_>) -> Result<Self> {
        let mut lines = Vec::new();
        for child in node.children() {
            let bandwidth = match child.name() {
                "latency" => false,
                "bandwidth" => true,
                _ => {
                    child.unknown(&["latency", "bandwidth"]);
                    continue;
                }
            };
            let number: u64 = child.need("value")?;
            let value = if bandwidth { scale(child, number, 1024)?.div_ceil(1024) } else { number };
            lines.push(Interconnect {
                bandwidth,
                initiator: child.need("initiator")?,
                target: child.need("target")?,
                cache: child.get("cache")?,
                access: child.need("type")?,
                value,
            });
        }
        Ok(Self { lines })
    }

    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        for line in &self.lines {
            let tag = if line.bandwidth { "bandwidth" } else { "latency" };
            out.start(tag);
            out.attr("initiator", &line.initiator);
            out.attr("target", &line.target);
            out.opt("cache", line.cache.as_ref());
            out.attr("type", &line.access);
            out.attr("value", &line.value);
            if line.bandwidth {
                out.attr_text("unit", "KiB");
            }
            out.end(tag);
        }
        out.end(tag);
    }
}

/// What libvirt assumes of a guest's CPU when it is not said.
pub(crate) fn settle(cpu: Option<&mut Cpu>) {
    let Some(cpu) = cpu else { return };
    let named = cpu.model.as_ref().and_then(|model| model.name.as_deref());
    let named = named.is_some_and(|name| !name.is_empty());
    if cpu.mode.is_none() && (named || cpu.matches.is_some()) {
        cpu.mode = Some(CpuMode::Custom);
    }
    if cpu.mode == Some(CpuMode::Custom) && named {
        cpu.matches.get_or_insert(CpuMatch::Exact);
    }
    if let Some(model) = &mut cpu.model {
        let counts = !matches!(cpu.mode, Some(CpuMode::HostPassthrough | CpuMode::Maximum));
        model.name = model.name.take().filter(|name| counts && !name.is_empty());
        model.fallback.get_or_insert(Fallback::Allow);
    }
    for feature in &mut cpu.features {
        feature.policy.get_or_insert(FeaturePolicy::Require);
    }
    let cells = cpu.numa.iter_mut().flat_map(|numa| numa.cells.iter_mut());
    for (number, cell) in (0..).zip(cells) {
        cell.id.get_or_insert(number);
    }
    if let Some(topology) = &mut cpu.topology {
        topology.dies.get_or_insert(1);
        topology.clusters.get_or_insert(1);
    }
    if let Some(numa) = &mut cpu.numa {
        numa.cells.sort_by_key(|cell| cell.id);
    }
}

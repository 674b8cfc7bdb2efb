// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How much memory a guest has and what it is made of.

use virtus_api::Result;

use crate::cpuset::CpuSet;
use crate::reader::{Element, Node};
use crate::schema::{Shape, kinds};
use crate::units::{Kib, scale};
use crate::value::OnOff;
use crate::writer::Writer;

/// `<memory>`: the memory at boot, with hot-plugged devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    pub kib: u64,
    /// Whether a core dump of the hypervisor contains it.
    pub dump_core: Option<OnOff>,
}

/// `<maxMemory slots='16'>`: the memory that can be reached by plugging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MaxMemory {
    pub kib: u64,
    pub slots: u32,
}

impl Element for Memory {
    const SHAPE: &'static Shape =
        shape!(Memory: attr kinds::Unit = "unit", attr OnOff = "dumpCore", text u64);
    fn read(node: Node<'_>) -> Result<Self> {
        Ok(Self { kib: Kib::of(node)?.0, dump_core: node.get("dumpCore")? })
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        out.opt("dumpCore", self.dump_core.as_ref());
        out.attr_text("unit", "KiB");
        out.text(&self.kib);
        out.end(tag);
    }
}

impl Element for MaxMemory {
    const SHAPE: &'static Shape =
        shape!(MaxMemory: attr kinds::Unit = "unit", attr u32 = "slots", text u64);
    fn read(node: Node<'_>) -> Result<Self> {
        Ok(Self { kib: Kib::of(node)?.0, slots: node.get("slots")?.unwrap_or_default() })
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        if self.slots > 0 {
            out.attr("slots", &self.slots);
        }
        out.attr_text("unit", "KiB");
        out.text(&self.kib);
        out.end(tag);
    }
}

spellings! {
    /// Whether others can map the memory.
    pub enum AccessShare { Shared = "shared", Private = "private" }
}

element! {
    /// `<memoryBacking>`.
    pub struct MemoryBacking {
        child hugepages: Option<HugePages> = "hugepages",
        flag nosharepages: bool = "nosharepages",
        flag locked: bool = "locked",
        child source: Option<BackingSource> = "source",
        child access: Option<BackingAccess> = "access",
        child allocation: Option<Allocation> = "allocation",
        flag discard: bool = "discard"
    }
}

element! {
    /// `<hugepages>`.
    pub struct HugePages { child pages: Vec<HugePage> = "page" }
}

/// `<page size='2048' unit='KiB' nodeset='0'/>`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HugePage {
    pub kib: u64,
    pub nodeset: Option<CpuSet>,
}

impl Element for HugePage {
    const SHAPE: &'static Shape =
        shape!(HugePage: required u64 = "size", attr kinds::Unit = "unit", attr CpuSet = "nodeset");
    fn read(node: Node<'_>) -> Result<Self> {
        let bytes = scale(node, node.need("size")?, 1024)?;
        Ok(Self { kib: bytes.div_ceil(1024), nodeset: node.get("nodeset")? })
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        out.attr("size", &self.kib);
        out.attr_text("unit", "KiB");
        out.opt("nodeset", self.nodeset.as_ref());
        out.end(tag);
    }
}

element! {
    /// `<source type='memfd'/>`.
    pub struct BackingSource { required kind: BackingType = "type" }
}

spellings! {
    /// What the memory is made of.
    pub enum BackingType { File = "file", Anonymous = "anonymous", Memfd = "memfd" }
}

element! {
    /// `<access mode='shared'/>`.
    pub struct BackingAccess { required mode: AccessShare = "mode" }
}

element! {
    /// `<allocation>`.
    pub struct Allocation {
        attr mode: Option<AllocationMode> = "mode",
        attr threads: Option<u32> = "threads"
    }
}

spellings! {
    /// When memory is allocated.
    pub enum AllocationMode { Immediate = "immediate", Ondemand = "ondemand" }
}

element! {
    /// `<memtune>`.
    pub struct Memtune {
        child hard_limit: Option<Kib> = "hard_limit",
        child soft_limit: Option<Kib> = "soft_limit",
        child min_guarantee: Option<Kib> = "min_guarantee",
        child swap_hard_limit: Option<Kib> = "swap_hard_limit"
    }
}

element! {
    /// `<numatune>`.
    pub struct Numatune {
        child memory: Option<NumaMemory> = "memory",
        child memnodes: Vec<Memnode> = "memnode"
    }
}

spellings! {
    /// How host nodes are used.
    pub enum NumaMode {
        Strict = "strict", Preferred = "preferred", Interleave = "interleave", Restrictive = "restrictive",
    }
}

spellings! {
    /// Who chooses the place.
    pub enum Placement { Static = "static", Auto = "auto" }
}

/// `<memory mode='strict' nodeset='0'/>` of `<numatune>`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NumaMemory {
    pub mode: NumaMode,
    pub nodeset: Option<CpuSet>,
    pub placement: Option<Placement>,
}

impl Element for NumaMemory {
    const SHAPE: &'static Shape = shape!(NumaMemory: case "placement" ["auto"] { without attr "nodeset" }, attr NumaMode = "mode", attr CpuSet = "nodeset", attr Placement = "placement");
    fn read(node: Node<'_>) -> Result<Self> {
        Ok(Self {
            mode: node.get("mode")?.unwrap_or_default(),
            nodeset: node.get("nodeset")?,
            placement: node.get("placement")?,
        })
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        out.attr("mode", &self.mode);
        if self.placement == Some(Placement::Auto) {
            out.attr("placement", &Placement::Auto);
        } else {
            out.opt("nodeset", self.nodeset.as_ref());
        }
        out.end(tag);
    }
}

element! {
    /// `<memnode>`: where the memory of one guest node comes from.
    pub struct Memnode {
        required cellid: u32 = "cellid",
        attr mode: NumaMode = "mode",
        required nodeset: CpuSet = "nodeset"
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<memory>` among the devices: memory that can be plugged.

use uuid::Uuid;

use super::device::Device;
use super::memory::AccessShare;
use crate::cpuset::CpuSet;
use crate::units::Kib;
use crate::value::{Hex, YesNo};

element! {
    /// `<memory model='dimm'>`.
    pub struct MemoryDevice {
        required model: MemoryModel = "model",
        attr access: Option<AccessShare> = "access",
        attr discard: Option<YesNo> = "discard",
        leaf uuid: Option<Uuid> = "uuid",
        child source: Option<MemorySource> = "source",
        child target: Option<MemoryTarget> = "target",
        part info: Device
    }
}

spellings! {
    /// What kind of memory it is.
    pub enum MemoryModel {
        Dimm = "dimm", Nvdimm = "nvdimm", VirtioPmem = "virtio-pmem", VirtioMem = "virtio-mem", SgxEpc = "sgx-epc",
    }
}

element! {
    /// `<source>`: where the host takes it from.
    pub struct MemorySource {
        leaf nodemask: Option<CpuSet> = "nodemask",
        child pagesize: Option<Kib> = "pagesize",
        leaf path: Option<String> = "path",
        child alignsize: Option<Kib> = "alignsize",
        flag pmem: bool = "pmem"
    }
}

element! {
    /// `<target>`: how the guest sees it.
    pub struct MemoryTarget {
        attr dynamic_memslots: Option<YesNo> = "dynamicMemslots",
        child size: Kib = "size",
        leaf node: Option<u32> = "node",
        child label: Option<MemoryLabel> = "label",
        flag readonly: bool = "readonly",
        child block: Option<Kib> = "block",
        child requested: Option<Kib> = "requested",
        child current: Option<Kib> = "current",
        child address: Option<MemoryBase> = "address"
    }
}

element! {
    /// `<label>` of an NVDIMM.
    pub struct MemoryLabel { child size: Kib = "size" }
}

element! {
    /// `<address base='0x…'/>`.
    pub struct MemoryBase { required base: Hex<1> = "base" }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<capabilities>`: the host, and which guests a connection can run.

use uuid::Uuid;
use virtus_api::Result;

use crate::cpuset::CpuSet;
use crate::domain::cpu::{Interconnects, MaxPhysAddr, NumaCache, Sibling, Topology};
use crate::reader::{self, Element, Node, ParseFlags, Parsed};
use crate::schema::Shape;
use crate::units::Kib;
use crate::value::{OnOff, YesNo};
use crate::writer::{FormatFlags, Writer};

part! {
    /// `<capabilities>`.
    pub struct Capabilities {
        child host: Host = "host",
        child guests: Vec<Guest> = "guest"
    }
}

element! {
    /// `<host>`.
    pub struct Host {
        leaf uuid: Option<Uuid> = "uuid",
        child cpu: HostCpu = "cpu",
        child power_management: Option<PowerManagement> = "power_management",
        child iommu: Option<IommuSupport> = "iommu",
        block migration_features: Option<MigrationFeatures> = "migration_features",
        child topology: Option<HostTopology> = "topology",
        child cache: Option<HostCaches> = "cache",
        child memory_bandwidth: Option<HostBandwidth> = "memory_bandwidth",
        child secmodels: Vec<Secmodel> = "secmodel"
    }
}

element! {
    /// `<cpu>` of the host.
    pub struct HostCpu {
        leaf arch: Option<String> = "arch",
        child flags: Option<HostFlags> = "features",
        leaf model: Option<String> = "model",
        leaf vendor: Option<String> = "vendor",
        child microcode: Option<Microcode> = "microcode",
        child signature: Option<Signature> = "signature",
        child counter: Option<Counter> = "counter",
        child topology: Option<Topology> = "topology",
        child maxphysaddr: Option<MaxPhysAddr> = "maxphysaddr",
        child features: Vec<HostFeature> = "feature",
        child pages: Vec<PageSize> = "pages"
    }
}

element! {
    /// `<features>` of the host beside its CPU model.
    pub struct HostFlags {
        flag pae: bool = "pae",
        flag nonpae: bool = "nonpae",
        flag vmx: bool = "vmx",
        flag svm: bool = "svm"
    }
}

element! {
    /// `<microcode version='…'/>`.
    pub struct Microcode { required version: u32 = "version" }
}

element! {
    /// `<signature>`.
    pub struct Signature {
        required family: u32 = "family",
        required model: u32 = "model",
        required stepping: u32 = "stepping"
    }
}

element! {
    /// `<counter name='tsc'/>`.
    pub struct Counter {
        required name: String = "name",
        required frequency: u64 = "frequency",
        attr scaling: Option<YesNo> = "scaling"
    }
}

element! {
    /// `<feature name='…'/>`.
    pub struct HostFeature { required name: String = "name" }
}

element! {
    /// `<pages unit='KiB' size='4'/>`.
    pub struct PageSize {
        attr unit: Option<String> = "unit",
        required size: u64 = "size"
    }
}

element! {
    /// `<power_management>`.
    pub struct PowerManagement {
        flag suspend_mem: bool = "suspend_mem",
        flag suspend_disk: bool = "suspend_disk",
        flag suspend_hybrid: bool = "suspend_hybrid"
    }
}

element! {
    /// `<iommu support='no'/>`.
    pub struct IommuSupport { attr support: YesNo = "support" }
}

element! {
    /// `<migration_features>`.
    pub struct MigrationFeatures {
        flag live: bool = "live",
        child uri_transports: Option<UriTransports> = "uri_transports"
    }
}

element! {
    /// `<uri_transports>`.
    pub struct UriTransports { leaf transports: Vec<String> = "uri_transport" }
}

element! {
    /// `<topology>` of the host.
    pub struct HostTopology {
        frame cells: Cells = "cells",
        child interconnects: Option<Interconnects> = "interconnects"
    }
}

/// `<cells num='…'>`: the number is that of the cells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cells {
    pub cells: Vec<Cell>,
}

element! {
    /// `<cell>`: one NUMA node.
    pub struct Cell {
        required id: u32 = "id",
        child memory: Option<Kib> = "memory",
        child pages: Vec<CellPages> = "pages",
        child distances: Option<Distances> = "distances",
        child caches: Vec<NumaCache> = "cache",
        child cpus: Option<Cpus> = "cpus"
    }
}

element! {
    /// `<pages unit='KiB' size='4'>2048</pages>`: how many there are.
    pub struct CellPages {
        attr unit: Option<String> = "unit",
        required size: u64 = "size",
        text count: u64
    }
}

element! {
    /// `<distances>`.
    pub struct Distances { child siblings: Vec<Sibling> = "sibling" }
}

/// `<cpus num='…'>`: the number is that of the CPUs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cpus {
    pub cpus: Vec<HostThread>,
}

element! {
    /// `<cpu>`: one logical CPU.
    pub struct HostThread {
        required id: u32 = "id",
        attr socket_id: Option<u32> = "socket_id",
        attr die_id: Option<u32> = "die_id",
        attr cluster_id: Option<u32> = "cluster_id",
        attr core_id: Option<u32> = "core_id",
        attr siblings: Option<CpuSet> = "siblings"
    }
}

element! {
    /// `<cache>` of the host.
    pub struct HostCaches {
        child banks: Vec<CacheBank> = "bank",
        child monitor: Option<Monitor> = "monitor"
    }
}

element! {
    /// `<bank>`: one cache.
    pub struct CacheBank {
        required id: u32 = "id",
        required level: u32 = "level",
        required kind: String = "type",
        required size: u64 = "size",
        attr unit: Option<String> = "unit",
        required cpus: CpuSet = "cpus",
        child controls: Vec<CacheControl> = "control"
    }
}

element! {
    /// `<control>`: how a cache can be divided.
    pub struct CacheControl {
        required granularity: u64 = "granularity",
        attr min: Option<u64> = "min",
        attr unit: Option<String> = "unit",
        attr kind: Option<String> = "type",
        required max_allocs: u32 = "maxAllocs"
    }
}

element! {
    /// `<monitor>`: what can be watched.
    pub struct Monitor {
        attr level: Option<u32> = "level",
        attr reuse_threshold: Option<u32> = "reuseThreshold",
        required max_monitors: u32 = "maxMonitors",
        child features: Vec<HostFeature> = "feature"
    }
}

element! {
    /// `<memory_bandwidth>`.
    pub struct HostBandwidth {
        child nodes: Vec<BandwidthNode> = "node",
        child monitor: Option<Monitor> = "monitor"
    }
}

element! {
    /// `<node>`.
    pub struct BandwidthNode {
        required id: u32 = "id",
        required cpus: CpuSet = "cpus",
        child controls: Vec<CacheControl> = "control"
    }
}

element! {
    /// `<secmodel>`: how guests are confined.
    pub struct Secmodel {
        leaf model: String = "model",
        frame doi: Doi = "doi",
        child baselabels: Vec<BaseLabel> = "baselabel"
    }
}

/// `<doi>`, which has an end tag even where it is empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Doi(pub String);

impl Element for Doi {
    const SHAPE: &'static Shape = shape!(Doi: text String);
    fn read(node: Node<'_>) -> Result<Self> {
        node.text_value().map(Self)
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        out.whole_text(&self.0);
        out.end(tag);
    }
}

element! {
    /// `<baselabel type='kvm'>`.
    pub struct BaseLabel {
        required kind: String = "type",
        text label: String
    }
}

element! {
    /// `<guest>`: one architecture.
    pub struct Guest {
        leaf os_type: String = "os_type",
        child arch: GuestArch = "arch",
        child features: Option<GuestFeatures> = "features"
    }
}

element! {
    /// `<arch>`.
    pub struct GuestArch {
        required name: String = "name",
        leaf wordsize: u32 = "wordsize",
        leaf emulator: Option<String> = "emulator",
        leaf loader: Option<String> = "loader",
        child machines: Vec<Machine> = "machine",
        child domains: Vec<GuestDomain> = "domain"
    }
}

element! {
    /// `<machine>`.
    pub struct Machine {
        attr canonical: Option<String> = "canonical",
        attr max_cpus: Option<u32> = "maxCpus",
        attr deprecated: Option<YesNo> = "deprecated",
        text name: String
    }
}

element! {
    /// `<domain type='kvm'>`.
    pub struct GuestDomain {
        required kind: String = "type",
        leaf emulator: Option<String> = "emulator",
        leaf loader: Option<String> = "loader",
        child machines: Vec<Machine> = "machine"
    }
}

element! {
    /// `<features>` of a guest.
    pub struct GuestFeatures {
        flag pae: bool = "pae",
        flag nonpae: bool = "nonpae",
        flag ia64_be: bool = "ia64_be",
        child acpi: Option<Toggle> = "acpi",
        child apic: Option<Toggle> = "apic",
        flag cpuselection: bool = "cpuselection",
        flag deviceboot: bool = "deviceboot",
        child disksnapshot: Option<Toggle> = "disksnapshot",
        child hap: Option<Toggle> = "hap",
        flag external_snapshot: bool = "externalSnapshot"
    }
}

element! {
    /// A feature and whether it can be changed.
    pub struct Toggle {
        required default: OnOff = "default",
        required toggle: YesNo = "toggle"
    }
}

/// The number of elements in a list, which libvirt writes before it.
fn write_counted<T: Element>(list: &[T], tag: &str, item: &str, out: &mut Writer) {
    out.start(tag);
    out.attr_text("num", list.len());
    for element in list {
        element.write(item, out);
    }
    out.end(tag);
}

/// Reads the elements called `item`.
fn read_counted<T: Element>(node: Node<'_>, item: &'static str) -> Result<Vec<T>> {
    let mut list = Vec::new();
    for child in node.children() {
        if child.name() == item {
            list.push(T::read(child)?);
        } else {
            child.unknown(&[item]);
        }
    }
    Ok(list)
}

impl Element for Cells {
    const SHAPE: &'static Shape = shape!(Cells: required u32 = "num", many Cell = "cell");
    fn read(node: Node<'_>) -> Result<Self> {
        read_counted(node, "cell").map(|cells| Self { cells })
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        write_counted(&self.cells, tag, "cell", out);
    }
}

impl Element for Cpus {
    const SHAPE: &'static Shape = shape!(Cpus: required u32 = "num", many HostThread = "cpu");
    fn read(node: Node<'_>) -> Result<Self> {
        read_counted(node, "cpu").map(|cpus| Self { cpus })
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        write_counted(&self.cpus, tag, "cpu", out);
    }
}

impl Capabilities {
    /// Reads the document.
    pub fn parse(text: &str) -> Result<Parsed<Self>> {
        reader::parse(text, "(capabilities)", ParseFlags::empty(), |root| {
            root.expect("capabilities")?;
            let mut capabilities = Self::default();
            root.fill(&mut capabilities)?;
            Ok(capabilities)
        })
    }

    /// Writes the document, with the empty lines that libvirt puts around host and guests.
    #[must_use]
    pub fn format(&self) -> String {
        let mut out = Writer::new(FormatFlags::empty());
        out.start("capabilities");
        out.blank_line();
        self.host.write("host", &mut out);
        out.blank_line();
        for guest in &self.guests {
            guest.write("guest", &mut out);
            out.blank_line();
        }
        out.end("capabilities");
        out.finish()
    }

    /// The guests of one architecture.
    pub fn guests_of<'a>(&'a self, arch: &'a str) -> impl Iterator<Item = &'a Guest> {
        self.guests.iter().filter(move |guest| guest.arch.name == arch)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<features>`: what the machine can do.

use crate::schema::kinds;
use crate::units::Kib;
use crate::value::{OnOff, YesNo};

element! {
    /// `<features>`.
    pub struct Features {
        flag acpi: bool = "acpi",
        child apic: Option<Apic> = "apic",
        flag pae: bool = "pae",
        child hap: Option<State> = "hap",
        flag viridian: bool = "viridian",
        flag privnet: bool = "privnet",
        block hyperv: Option<super::hyperv::Hyperv> = "hyperv",
        block kvm: Option<KvmFeatures> = "kvm",
        child pvspinlock: Option<State> = "pvspinlock",
        child capabilities: Option<super::lxc::Capabilities> = "capabilities",
        child pmu: Option<State> = "pmu",
        child vmport: Option<State> = "vmport",
        child gic: Option<Gic> = "gic",
        child smm: Option<Smm> = "smm",
        child ioapic: Option<Ioapic> = "ioapic",
        child hpt: Option<Hpt> = "hpt",
        child vmcoreinfo: Option<State> = "vmcoreinfo",
        child htm: Option<State> = "htm",
        child nested_hv: Option<State> = "nested-hv",
        child msrs: Option<Msrs> = "msrs",
        child ccf_assist: Option<State> = "ccf-assist",
        block xen: Option<XenFeatures> = "xen",
        child cfpc: Option<Word> = "cfpc",
        child sbbc: Option<Word> = "sbbc",
        child ibs: Option<Word> = "ibs",
        child tcg: Option<Tcg> = "tcg",
        child async_teardown: Option<AsyncTeardown> = "async-teardown",
        child ras: Option<State> = "ras",
        child ps2: Option<State> = "ps2",
        child aia: Option<Word> = "aia"
    }
}

element! {
    /// A feature that is on or off; without `state` it is on.
    pub struct State { attr state: Option<OnOff> = "state" }
}

impl Features {
    /// A feature that is named without a state is on; the set for Windows is chosen by hand.
    pub(crate) fn settle(&mut self) {
        let states = [
            &mut self.hap,
            &mut self.pvspinlock,
            &mut self.pmu,
            &mut self.vmport,
            &mut self.vmcoreinfo,
            &mut self.htm,
            &mut self.nested_hv,
            &mut self.ccf_assist,
            &mut self.ras,
            &mut self.ps2,
        ];
        for state in states.into_iter().flatten() {
            state.state.get_or_insert(OnOff::On);
        }
        if let Some(smm) = &mut self.smm
            && *smm.state.get_or_insert(OnOff::On) == OnOff::Off
        {
            smm.tseg = None;
        }
        if let Some(hyperv) = &mut self.hyperv {
            hyperv.mode.get_or_insert(super::hyperv::HypervMode::Custom);
        }
        if let Some(teardown) = &mut self.async_teardown {
            teardown.enabled.get_or_insert(YesNo::Yes);
        }
    }
}

element! {
    /// `<apic>`.
    pub struct Apic { attr eoi: Option<OnOff> = "eoi" }
}

element! {
    /// `<kvm>`: paravirtual features.
    pub struct KvmFeatures {
        child hidden: Option<State> = "hidden",
        child hint_dedicated: Option<State> = "hint-dedicated",
        child poll_control: Option<State> = "poll-control",
        child pv_ipi: Option<State> = "pv-ipi",
        child dirty_ring: Option<DirtyRing> = "dirty-ring"
    }
}

element! {
    /// `<dirty-ring>`.
    pub struct DirtyRing {
        attr state: Option<OnOff> = "state",
        attr size: Option<u32> = "size"
    }
}

element! {
    /// `<xen>`.
    pub struct XenFeatures {
        child e820_host: Option<State> = "e820_host",
        child passthrough: Option<XenPassthrough> = "passthrough"
    }
}

element! {
    /// `<passthrough>`.
    pub struct XenPassthrough {
        attr state: Option<OnOff> = "state",
        attr mode: Option<String> = "mode"
    }
}

element! {
    /// `<smm>`: system management mode.
    pub struct Smm {
        attr state: Option<OnOff> = "state",
        child tseg: Option<Tseg> = "tseg"
    }
}

/// `<tseg unit='MiB'>48</tseg>`: kept in bytes, written in the unit in which libvirt writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tseg {
    pub bytes: u64,
}

impl crate::reader::Element for Tseg {
    const SHAPE: &'static crate::schema::Shape = <Kib as crate::reader::Element>::SHAPE;
    fn read(node: crate::reader::Node<'_>) -> virtus_api::Result<Self> {
        crate::units::scaled(node, 1 << 20).map(|bytes| Self { bytes })
    }
    fn write(&self, tag: &str, out: &mut crate::writer::Writer) {
        let (number, unit) = crate::units::pretty(self.bytes);
        out.start(tag);
        out.attr_text("unit", unit);
        out.text(&number);
        out.end(tag);
    }
}

element! {
    /// `<gic version='3'/>`.
    pub struct Gic { attr version: Option<String> = "version" }
    schema {
        attr kinds::GicVersion = "version"
    }
}

element! {
    /// `<ioapic driver='qemu'/>`.
    pub struct Ioapic { attr driver: Option<IoapicDriver> = "driver" }
}

spellings! {
    /// Who implements the I/O APIC.
    pub enum IoapicDriver { Qemu = "qemu", Kvm = "kvm" }
}

element! {
    /// `<hpt>`: the page table of pseries.
    pub struct Hpt {
        attr resizing: Option<HptResizing> = "resizing",
        child maxpagesize: Option<Kib> = "maxpagesize"
    }
}

spellings! {
    /// Whether the table may grow.
    pub enum HptResizing { Enabled = "enabled", Disabled = "disabled", Required = "required" }
}

element! {
    /// `<msrs unknown='ignore'/>`.
    pub struct Msrs { required unknown: UnknownMsr = "unknown" }
}

spellings! {
    /// What happens at an unknown register.
    pub enum UnknownMsr { Ignore = "ignore", Fault = "fault" }
}

element! {
    /// A feature with a `value`.
    pub struct Word { required value: String = "value" }
}

element! {
    /// `<tcg>`.
    pub struct Tcg { child tb_cache: Option<Kib> = "tb-cache" }
}

element! {
    /// `<async-teardown enabled='yes'/>`.
    pub struct AsyncTeardown { attr enabled: Option<YesNo> = "enabled" }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The files in which libvirt describes CPU models (`/usr/share/libvirt/cpu_map`), and dumps of CPU registers.
//!
//! `index.xml` names, by architecture, the files that hold vendors, features and models. A later model may be
//! built on an earlier one, so the order of the files matters.

use virtus_api::ErrorDomain;

use crate::document::Document;
use crate::value::{Hex, OnOff, YesNo};

element! {
    /// `<cpus>`: the index, or one of the files that it names.
    pub struct CpuMapFile {
        child archs: Vec<MapArch> = "arch",
        child vendors: Vec<MapVendor> = "vendor",
        child features: Vec<MapFeature> = "feature",
        child models: Vec<MapModel> = "model"
    }
}

element! {
    /// `<arch>`: the files of one architecture.
    pub struct MapArch {
        required name: String = "name",
        child includes: Vec<MapInclude> = "include",
        child groups: Vec<MapGroup> = "group"
    }
}

element! {
    /// `<group>`: models of one maker.
    pub struct MapGroup {
        required name: String = "name",
        child includes: Vec<MapInclude> = "include"
    }
}

element! {
    /// `<include filename='…'/>`.
    pub struct MapInclude { required filename: String = "filename" }
}

element! {
    /// `<vendor>`: a maker, and how its CPUs say so.
    pub struct MapVendor {
        required name: String = "name",
        /// x86: the twelve letters of CPUID leaf 0.
        attr string: Option<String> = "string",
        /// Arm: the implementer in MIDR.
        attr value: Option<Hex<2>> = "value"
    }
}

element! {
    /// `<feature>`: a name and, on x86, the bits that mean it.
    pub struct MapFeature {
        required name: String = "name",
        attr migratable: Option<YesNo> = "migratable",
        child aliases: Vec<MapAlias> = "alias",
        child cpuid: Vec<Cpuid> = "cpuid",
        child msr: Vec<Msr> = "msr"
    }
}

element! {
    /// `<alias>`: what others call a feature.
    pub struct MapAlias {
        required name: String = "name",
        attr source: Option<String> = "source"
    }
}

element! {
    /// `<model>`: what CPUs of one kind have.
    pub struct MapModel {
        required name: String = "name",
        child check: Option<MapCheck> = "check",
        child decode: Option<MapDecode> = "decode",
        child ancestor: Option<MapName> = "model",
        child signatures: Vec<MapSignature> = "signature",
        child vendor: Option<MapName> = "vendor",
        child pvrs: Vec<MapPvr> = "pvr",
        child features: Vec<MapModelFeature> = "feature"
    }
}

element! {
    /// `<check partial='compat'/>`: how `check='partial'` is done for a model.
    pub struct MapCheck { attr partial: Option<String> = "partial" }
}

element! {
    /// `<decode>`: whether a model may be the answer for a host's or a guest's CPU.
    pub struct MapDecode {
        required host: OnOff = "host",
        required guest: OnOff = "guest"
    }
}

element! {
    /// A reference by name.
    pub struct MapName { required name: String = "name" }
}

element! {
    /// `<signature>`: a CPU of this family and model is of this kind.
    pub struct MapSignature {
        required family: u32 = "family",
        required model: u32 = "model",
        /// Such as `5-7`; absent: any.
        attr stepping: Option<crate::cpuset::CpuSet> = "stepping"
    }
}

element! {
    /// `<pvr>`: a version register of POWER, or the part number of Arm.
    pub struct MapPvr {
        required value: Hex<8> = "value",
        attr mask: Option<Hex<8>> = "mask"
    }
}

element! {
    /// `<feature>` of a model.
    pub struct MapModelFeature {
        required name: String = "name",
        /// QEMU's model no longer has it.
        attr removed: Option<YesNo> = "removed",
        /// QEMU's model always had it, the description only later.
        attr added: Option<YesNo> = "added"
    }
}

element! {
    /// `<cpudata>`: registers of one x86 CPU.
    pub struct CpuData {
        attr arch: Option<String> = "arch",
        child cpuid: Vec<Cpuid> = "cpuid",
        child msr: Vec<Msr> = "msr"
    }
}

element! {
    /// `<cpuid>`: what the instruction answers for one leaf.
    pub struct Cpuid {
        required eax_in: Hex<8> = "eax_in",
        attr ecx_in: Option<Hex<8>> = "ecx_in",
        attr eax: Option<Hex<8>> = "eax",
        attr ebx: Option<Hex<8>> = "ebx",
        attr ecx: Option<Hex<8>> = "ecx",
        attr edx: Option<Hex<8>> = "edx"
    }
}

element! {
    /// `<msr>`: a model-specific register.
    pub struct Msr {
        required index: Hex<1> = "index",
        required eax: Hex<8> = "eax",
        required edx: Hex<8> = "edx"
    }
}

impl Document for CpuMapFile {
    const ROOT: &'static str = "cpus";
    const WHAT: &'static str = "(cpu_map)";
    const DOMAIN: ErrorDomain = ErrorDomain::Cpu;
}

impl Document for CpuData {
    const ROOT: &'static str = "cpudata";
    const WHAT: &'static str = "(cpu_data)";
    const DOMAIN: ErrorDomain = ErrorDomain::Cpu;
}

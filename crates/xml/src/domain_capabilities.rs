// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<domainCapabilities>`: what a guest of one kind of machine can have on this host.

use virtus_api::Result;

use crate::domain::cpu::{CpuFeature, CpuModel, MaxPhysAddr};
use crate::reader::{self, Element, Node, ParseFlags, Parsed};
use crate::schema::Shape;
use crate::units::Kib;
use crate::value::YesNo;
use crate::writer::{FormatFlags, Writer};

element! {
    /// `<domainCapabilities>`.
    pub struct DomainCapabilities {
        leaf path: Option<String> = "path",
        leaf domain: Option<String> = "domain",
        leaf machine: Option<String> = "machine",
        leaf arch: Option<String> = "arch",
        child vcpu: Option<MaxVcpu> = "vcpu",
        child iothreads: Option<Facility> = "iothreads",
        child os: Option<OsFacility> = "os",
        child cpu: Option<CpuModes> = "cpu",
        child memory_backing: Option<Facility> = "memoryBacking",
        frame devices: DeviceFacilities = "devices",
        frame features: FeatureFacilities = "features"
    }
}

element! {
    /// `<vcpu max='255'/>`.
    pub struct MaxVcpu { required max: u32 = "max" }
}

element! {
    /// Something that is supported or not, and in which variants.
    pub struct Facility {
        required supported: YesNo = "supported",
        child enums: Vec<Choices> = "enum"
    }
}

element! {
    /// `<enum name='…'>`: the values that may be used.
    pub struct Choices {
        required name: String = "name",
        leaf values: Vec<String> = "value"
    }
}

element! {
    /// `<os>`.
    pub struct OsFacility {
        required supported: YesNo = "supported",
        child enums: Vec<Choices> = "enum",
        child loader: Option<LoaderFacility> = "loader"
    }
}

element! {
    /// `<loader>`: the firmware images and how they can be used.
    pub struct LoaderFacility {
        required supported: YesNo = "supported",
        leaf values: Vec<String> = "value",
        child enums: Vec<Choices> = "enum"
    }
}

element! {
    /// `<cpu>`: what can be said of a guest's CPU.
    pub struct CpuModes { child modes: Vec<CpuModeFacility> = "mode" }
}

/// `<mode>`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CpuModeFacility {
    pub name: String,
    pub supported: YesNo,
    pub enums: Vec<Choices>,
    /// `host-model`: what it stands for.
    pub host_model: Option<HostModel>,
    /// `custom`: the models that can be named.
    pub models: Vec<CustomModel>,
}

part! {
    /// The CPU that `host-model` stands for.
    pub struct HostModel {
        child model: Option<CpuModel> = "model",
        leaf vendor: Option<String> = "vendor",
        child maxphysaddr: Option<MaxPhysAddr> = "maxphysaddr",
        child features: Vec<CpuFeature> = "feature"
    }
}

/// A model with, behind it, what keeps it from being usable.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CustomModel {
    pub model: ModelLine,
    pub blockers: Vec<String>,
}

element! {
    /// `<model usable='yes'>`.
    pub struct ModelLine {
        attr usable: Option<Usable> = "usable",
        attr deprecated: Option<YesNo> = "deprecated",
        attr vendor: Option<String> = "vendor",
        attr canonical: Option<String> = "canonical",
        text name: String
    }
}

spellings! {
    /// Whether this host can run a model.
    pub enum Usable { Unknown = "unknown", Yes = "yes", No = "no" }
}

element! {
    /// `<devices>`.
    pub struct DeviceFacilities {
        child disk: Option<Facility> = "disk",
        child graphics: Option<Facility> = "graphics",
        child video: Option<Facility> = "video",
        child hostdev: Option<Facility> = "hostdev",
        child rng: Option<Facility> = "rng",
        child filesystem: Option<Facility> = "filesystem",
        child tpm: Option<Facility> = "tpm",
        child redirdev: Option<Facility> = "redirdev",
        child channel: Option<Facility> = "channel",
        child crypto: Option<Facility> = "crypto",
        child interface: Option<Facility> = "interface",
        child panic: Option<Facility> = "panic"
    }
}

element! {
    /// `<features>`.
    pub struct FeatureFacilities {
        child gic: Option<Facility> = "gic",
        child vmcoreinfo: Option<Facility> = "vmcoreinfo",
        child genid: Option<Facility> = "genid",
        child backing_store_input: Option<Facility> = "backingStoreInput",
        child backup: Option<Facility> = "backup",
        child async_teardown: Option<Facility> = "async-teardown",
        child s390_pv: Option<Facility> = "s390-pv",
        child ps2: Option<Facility> = "ps2",
        child sev: Option<Sev> = "sev",
        child sgx: Option<Sgx> = "sgx",
        child hyperv: Option<Facility> = "hyperv",
        child launch_security: Option<Facility> = "launchSecurity"
    }
}

element! {
    /// `<sev>`: AMD's encrypted guests.
    pub struct Sev {
        required supported: YesNo = "supported",
        leaf cbitpos: Option<u32> = "cbitpos",
        leaf reduced_phys_bits: Option<u32> = "reducedPhysBits",
        leaf max_guests: Option<u32> = "maxGuests",
        leaf max_es_guests: Option<u32> = "maxESGuests",
        leaf cpu0_id: Option<String> = "cpu0Id"
    }
}

element! {
    /// `<sgx>`: Intel's enclaves.
    pub struct Sgx {
        required supported: YesNo = "supported",
        leaf flc: Option<YesNo> = "flc",
        leaf sgx1: Option<YesNo> = "sgx1",
        leaf sgx2: Option<YesNo> = "sgx2",
        child section_size: Option<Kib> = "section_size",
        child sections: Option<SgxSections> = "sections"
    }
}

element! {
    /// `<sections>`.
    pub struct SgxSections { child sections: Vec<SgxSection> = "section" }
}

element! {
    /// Enclave memory of one node.
    pub struct SgxSection {
        required node: u32 = "node",
        required size: u64 = "size",
        attr unit: Option<String> = "unit"
    }
}

impl Facility {
    /// What is not there.
    #[must_use]
    pub fn no() -> Self {
        Self::default()
    }

    /// What is there.
    #[must_use]
    pub fn yes() -> Self {
        Self { supported: YesNo::Yes, enums: Vec::new() }
    }

    /// The same with one more list of values.
    #[must_use]
    pub fn with<V: ToString>(mut self, name: &str, values: impl IntoIterator<Item = V>) -> Self {
        let values = values.into_iter().map(|value| value.to_string()).collect();
        self.enums.push(Choices { name: name.to_owned(), values });
        self
    }
}

impl Element for CpuModeFacility {
    const SHAPE: &'static Shape = shape!(CpuModeFacility:
        required String = "name",
        required YesNo = "supported",
        many Choices = "enum",
        case "name" ["custom"] { many ModelLine = "model", many (required String = "model", some (required String = "name") = "feature") = "blockers" },
        part HostModel
    );
    fn read(node: Node<'_>) -> Result<Self> {
        use crate::reader::Part;
        let mut mode = Self {
            name: node.need("name")?,
            supported: node.need("supported")?,
            ..Self::default()
        };
        let custom = mode.name == "custom";
        for child in node.children() {
            match child.name() {
                "enum" => mode.enums.push(Choices::read(child)?),
                "model" if custom => {
                    let model = ModelLine::read(child)?;
                    mode.models.push(CustomModel { model, blockers: Vec::new() });
                }
                "blockers" if custom => {
                    let model: String = child.need("model")?;
                    let blocked =
                        mode.models.iter_mut().rev().find(|known| known.model.name == model);
                    let blocked =
                        blocked.ok_or_else(|| child.error("there is no such model before it"))?;
                    for feature in child.children() {
                        blocked.blockers.push(feature.need("name")?);
                    }
                }
                name => {
                    let host_model = mode.host_model.get_or_insert_with(HostModel::default);
                    if !host_model.child(name, child)? {
                        child.unknown(HostModel::CHILDREN);
                    }
                }
            }
        }
        Ok(mode)
    }

    fn write(&self, tag: &str, out: &mut Writer) {
        use crate::reader::Part;
        out.start(tag);
        out.attr("name", &self.name);
        out.attr("supported", &self.supported);
        for choices in &self.enums {
            choices.write("enum", out);
        }
        if let Some(host_model) = &self.host_model {
            host_model.write_body(out);
        }
        for custom in &self.models {
            custom.model.write("model", out);
            if !custom.blockers.is_empty() {
                out.start("blockers");
                out.attr("model", &custom.model.name);
                for feature in &custom.blockers {
                    out.start("feature");
                    out.attr("name", feature);
                    out.end("feature");
                }
                out.end("blockers");
            }
        }
        out.end(tag);
    }
}

impl DomainCapabilities {
    /// A kind of guest of which nothing more is known.
    #[must_use]
    pub fn of(path: Option<&str>, domain: &str, machine: Option<&str>, arch: &str) -> Self {
        let mode = |name: &str| CpuModeFacility { name: name.to_owned(), ..Default::default() };
        Self {
            path: path.map(str::to_owned),
            domain: Some(domain.to_owned()),
            machine: machine.map(str::to_owned),
            arch: Some(arch.to_owned()),
            cpu: Some(CpuModes {
                modes: ["host-passthrough", "maximum", "host-model", "custom"].map(mode).into(),
            }),
            features: FeatureFacilities {
                sev: Some(Sev::default()),
                sgx: Some(Sgx::default()),
                ..FeatureFacilities::default()
            },
            ..Self::default()
        }
    }

    /// Reads the document.
    pub fn parse(text: &str) -> Result<Parsed<Self>> {
        reader::parse(text, "(domainCapabilities)", ParseFlags::empty(), |root| {
            root.expect("domainCapabilities")?;
            Self::read(root)
        })
    }

    /// Writes the document.
    #[must_use]
    pub fn format(&self) -> String {
        let mut out = Writer::new(FormatFlags::empty());
        self.write("domainCapabilities", &mut out);
        out.finish()
    }
}

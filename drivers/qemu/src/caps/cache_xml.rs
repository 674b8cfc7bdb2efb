// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The capabilities cache file: `<qemuCaps>`, in libvirt's own format and order.

use std::fmt::Write as _;
use std::str::FromStr;

use roxmltree::{Document, Node};
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::model::{
    Accel, Accelerator, Capabilities, CpuModel, CpuProperty, CpuValue, GicVersion, HostCpu, Hyperv,
    Machine, SevInfo, SgxInfo, SgxSection,
};
use super::{Flag, FlagSet};

impl Capabilities {
    /// Reads a `<qemuCaps>` document. Flags that this version does not know are passed over.
    ///
    /// # Errors
    /// Where the text is not XML, not `<qemuCaps>`, or a number is not a number.
    pub fn from_cache_xml(text: &str) -> Result<Self> {
        let document = Document::parse(text).map_err(|e| bad(&e.to_string()))?;
        let root = document.root_element();
        if root.tag_name().name() != "qemuCaps" {
            return Err(bad("the root element is not <qemuCaps>"));
        }
        let mut caps = Self::default();
        for node in root.children().filter(Node::is_element) {
            caps.read_child(node)?;
        }
        Ok(caps)
    }

    fn read_child(&mut self, node: Node<'_, '_>) -> Result<()> {
        match node.tag_name().name() {
            "emulator" => self.binary = text(node).into(),
            "qemuctime" => self.binary_ctime = parse(text(node), "qemuctime")?,
            "qemumoddirmtime" => {
                self.modules_mtime = Some(parse(text(node), "qemumoddirmtime")?);
            }
            "selfctime" => self.daemon_ctime = parse(text(node), "selfctime")?,
            "selfvers" => self.daemon_version = parse(text(node), "selfvers")?,
            "flag" => {
                if let Some(flag) = node.attribute("name").and_then(Flag::from_name) {
                    self.flags.insert(flag);
                }
            }
            "version" => self.version = parse(text(node), "version")?,
            "microcodeVersion" => self.microcode = parse(text(node), "microcodeVersion")?,
            "package" => self.package = text(node).to_owned(),
            "kernelVersion" => self.kernel_version = Some(text(node).to_owned()),
            "arch" => self.arch = text(node).to_owned(),
            "hostCPU" => self.under(node)?.host_cpu = Some(host_cpu(node)?),
            "cpu" => self.under(node)?.cpus.push(cpu_model(node)),
            "machine" => {
                let machine = machine(node)?;
                self.under(node)?.machines.push(machine);
            }
            "gic" => self.gic.push(GicVersion {
                version: parse(required(node, "version")?, "gic version")?,
                kernel: yes(node, "kernel"),
                emulated: yes(node, "emulated"),
            }),
            "sev" => self.sev = Some(sev(node)?),
            "sgx" if yes(node, "supported") => self.sgx = Some(sgx(node)?),
            "hypervCapabilities" => self.hyperv = Some(hyperv(node)),
            "kvmTrouble" => self.kvm_trouble = Some(text(node).to_owned()),
            "stamp" => self.stamp = Some(text(node).to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn under(&mut self, node: Node<'_, '_>) -> Result<&mut Accelerator> {
        let name = required(node, "type")?;
        let accel =
            Accel::from_name(name).ok_or_else(|| bad(&format!("unknown accelerator '{name}'")))?;
        Ok(self.accelerator_mut(accel))
    }

    /// What is known under `accel`, empty at first, kept in the order of [`Accel`].
    pub(super) fn accelerator_mut(&mut self, accel: Accel) -> &mut Accelerator {
        let index = match self.accelerators.binary_search_by_key(&accel, |a| a.accel) {
            Ok(index) => index,
            Err(index) => {
                self.accelerators.insert(index, Accelerator::new(accel));
                index
            }
        };
        &mut self.accelerators[index]
    }

    /// Writes the `<qemuCaps>` document.
    #[must_use]
    pub fn to_cache_xml(&self) -> String {
        let mut out = Writer(String::with_capacity(64 * 1024));
        out.0.push_str("<qemuCaps>\n");
        out.leaf(1, "emulator", self.binary.to_string_lossy());
        out.leaf(1, "qemuctime", self.binary_ctime);
        if let Some(mtime) = self.modules_mtime {
            out.leaf(1, "qemumoddirmtime", mtime);
        }
        out.leaf(1, "selfctime", self.daemon_ctime);
        out.leaf(1, "selfvers", self.daemon_version);
        for flag in self.flags.iter() {
            out.empty(1, "flag", &[("name", Some(flag.name()))]);
        }
        out.leaf(1, "version", self.version);
        out.leaf(1, "microcodeVersion", self.microcode);
        out.leaf(1, "package", &self.package);
        if let Some(kernel) = &self.kernel_version {
            out.leaf(1, "kernelVersion", kernel);
        }
        out.leaf(1, "arch", &self.arch);
        for accelerator in &self.accelerators {
            out.accelerator(accelerator);
        }
        for gic in &self.gic {
            let version = gic.version.to_string();
            out.empty(
                1,
                "gic",
                &[
                    ("version", Some(&version)),
                    ("kernel", Some(yes_no(gic.kernel))),
                    ("emulated", Some(yes_no(gic.emulated))),
                ],
            );
        }
        out.security(self.sev.as_ref(), self.sgx.as_ref());
        if let Some(hyperv) = &self.hyperv {
            out.list_of_caps(hyperv);
        }
        // These two are not libvirt's, which passes over them.
        if let Some(trouble) = &self.kvm_trouble {
            out.leaf(1, "kvmTrouble", trouble);
        }
        if let Some(stamp) = &self.stamp {
            out.leaf(1, "stamp", stamp);
        }
        out.0.push_str("</qemuCaps>\n");
        out.0
    }
}

impl FlagSet {
    /// The flags named by the `<flag name='…'/>` children of `parent` (status files carry such a list).
    #[must_use]
    pub fn from_flag_elements(parent: Node<'_, '_>) -> Self {
        parent
            .children()
            .filter(|node| node.has_tag_name("flag"))
            .filter_map(|node| Flag::from_name(node.attribute("name")?))
            .collect()
    }
}

fn host_cpu(node: Node<'_, '_>) -> Result<HostCpu> {
    let mut cpu = HostCpu {
        model: required(node, "model")?.to_owned(),
        migratability: yes(node, "migratability"),
        ..HostCpu::default()
    };
    for child in node.children().filter(Node::is_element) {
        match child.tag_name().name() {
            "property" => cpu.properties.push(cpu_property(child)?),
            "deprecatedFeatures" => {
                cpu.deprecated_features = names(child, "property");
            }
            _ => {}
        }
    }
    Ok(cpu)
}

fn cpu_property(node: Node<'_, '_>) -> Result<CpuProperty> {
    let value = required(node, "value")?;
    let value = match required(node, "type")? {
        "boolean" => CpuValue::Boolean(value == "true"),
        "number" => CpuValue::Number(parse(value, "CPU property")?),
        _ => CpuValue::Text(value.to_owned()),
    };
    Ok(CpuProperty {
        name: required(node, "name")?.to_owned(),
        value,
        migratable: node.attribute("migratable").map(|word| word == "yes"),
    })
}

fn cpu_model(node: Node<'_, '_>) -> CpuModel {
    CpuModel {
        name: node.attribute("name").unwrap_or_default().to_owned(),
        typename: node.attribute("typename").map(str::to_owned),
        usable: node.attribute("usable").map(|word| word == "yes"),
        blockers: names(node, "blocker"),
        deprecated: yes(node, "deprecated"),
        vendor: node.attribute("vendor").map(str::to_owned),
    }
}

fn machine(node: Node<'_, '_>) -> Result<Machine> {
    Ok(Machine {
        name: required(node, "name")?.to_owned(),
        alias: node.attribute("alias").map(str::to_owned),
        hotplug_cpus: yes(node, "hotplugCpus"),
        max_cpus: node.attribute("maxCpus").map_or(Ok(0), |text| parse(text, "maxCpus"))?,
        default: yes(node, "default"),
        default_cpu: node.attribute("defaultCPU").map(str::to_owned),
        numa_mem: yes(node, "numaMemSupported"),
        default_ram_id: node.attribute("defaultRAMid").map(str::to_owned),
        deprecated: yes(node, "deprecated"),
        acpi: node.attribute("acpi").map(|word| word == "yes"),
    })
}

fn sev(node: Node<'_, '_>) -> Result<SevInfo> {
    let cpu0 = child_text(node, "cpu0Id");
    Ok(SevInfo {
        cbitpos: parse(child_text(node, "cbitpos"), "cbitpos")?,
        reduced_phys_bits: parse(child_text(node, "reducedPhysBits"), "reducedPhysBits")?,
        pdh: child_text(node, "pdh").to_owned(),
        cert_chain: child_text(node, "certChain").to_owned(),
        cpu0_id: (!cpu0.is_empty()).then(|| cpu0.to_owned()),
    })
}

fn sgx(node: Node<'_, '_>) -> Result<SgxInfo> {
    let mut sections = Vec::new();
    for section in node.descendants().filter(|child| child.has_tag_name("section")) {
        sections.push(SgxSection {
            node: parse(required(section, "node")?, "section node")?,
            size: parse(required(section, "size")?, "section size")?,
        });
    }
    Ok(SgxInfo {
        flc: child_text(node, "flc") == "yes",
        sgx1: child_text(node, "sgx1") == "yes",
        sgx2: child_text(node, "sgx2") == "yes",
        section_size: parse(child_text(node, "section_size"), "section_size")?,
        sections,
    })
}

fn hyperv(node: Node<'_, '_>) -> Hyperv {
    Hyperv { supported: yes(node, "supported"), features: names(node, "cap") }
}

/// Writes lines of XML as libvirt does: two blanks per level, single quotes.
struct Writer(String);

impl Writer {
    fn start(&mut self, level: usize, tag: &str, attributes: &[(&str, Option<&str>)]) {
        let _ = write!(self.0, "{:width$}<{tag}", "", width = 2 * level);
        for (name, value) in attributes {
            if let Some(value) = value {
                let _ = write!(self.0, " {name}='");
                self.escaped(value);
                self.0.push('\'');
            }
        }
    }

    fn open(&mut self, level: usize, tag: &str, attributes: &[(&str, Option<&str>)]) {
        self.start(level, tag, attributes);
        self.0.push_str(">\n");
    }

    fn close(&mut self, level: usize, tag: &str) {
        let _ = writeln!(self.0, "{:width$}</{tag}>", "", width = 2 * level);
    }

    fn empty(&mut self, level: usize, tag: &str, attributes: &[(&str, Option<&str>)]) {
        self.start(level, tag, attributes);
        self.0.push_str("/>\n");
    }

    fn leaf(&mut self, level: usize, tag: &str, value: impl ToString) {
        let _ = write!(self.0, "{:width$}<{tag}>", "", width = 2 * level);
        self.escaped(&value.to_string());
        let _ = writeln!(self.0, "</{tag}>");
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '\'' => self.0.push_str("&apos;"),
                '"' => self.0.push_str("&quot;"),
                c => self.0.push(c),
            }
        }
    }

    fn accelerator(&mut self, known: &Accelerator) {
        let kind = known.accel.name();
        if let Some(cpu) = &known.host_cpu {
            self.open(
                1,
                "hostCPU",
                &[
                    ("type", Some(kind)),
                    ("model", Some(&cpu.model)),
                    ("migratability", Some(yes_no(cpu.migratability))),
                ],
            );
            for property in &cpu.properties {
                self.cpu_property(property);
            }
            if !cpu.deprecated_features.is_empty() {
                self.open(2, "deprecatedFeatures", &[]);
                for name in &cpu.deprecated_features {
                    self.empty(3, "property", &[("name", Some(name))]);
                }
                self.close(2, "deprecatedFeatures");
            }
            self.close(1, "hostCPU");
        }
        for cpu in &known.cpus {
            self.cpu_model(kind, cpu);
        }
        for machine in &known.machines {
            self.machine(kind, machine);
        }
    }

    fn cpu_property(&mut self, property: &CpuProperty) {
        let number;
        let (kind, value) = match &property.value {
            CpuValue::Boolean(true) => ("boolean", "true"),
            CpuValue::Boolean(false) => ("boolean", "false"),
            CpuValue::Number(value) => {
                number = value.to_string();
                ("number", number.as_str())
            }
            CpuValue::Text(text) => ("string", text.as_str()),
        };
        self.empty(
            2,
            "property",
            &[
                ("name", Some(&property.name)),
                ("type", Some(kind)),
                ("value", Some(value)),
                ("migratable", property.migratable.map(yes_no)),
            ],
        );
    }

    fn cpu_model(&mut self, kind: &str, cpu: &CpuModel) {
        let attributes = [
            ("type", Some(kind)),
            ("name", Some(cpu.name.as_str())),
            ("typename", cpu.typename.as_deref()),
            ("usable", cpu.usable.map(yes_no)),
            ("deprecated", cpu.deprecated.then_some("yes")),
            ("vendor", cpu.vendor.as_deref()),
        ];
        if cpu.blockers.is_empty() {
            return self.empty(1, "cpu", &attributes);
        }
        self.open(1, "cpu", &attributes);
        for blocker in &cpu.blockers {
            self.empty(2, "blocker", &[("name", Some(blocker))]);
        }
        self.close(1, "cpu");
    }

    fn machine(&mut self, kind: &str, machine: &Machine) {
        let max_cpus = machine.max_cpus.to_string();
        self.empty(
            1,
            "machine",
            &[
                ("type", Some(kind)),
                ("name", Some(&machine.name)),
                ("alias", machine.alias.as_deref()),
                ("hotplugCpus", machine.hotplug_cpus.then_some("yes")),
                ("maxCpus", Some(&max_cpus)),
                ("default", machine.default.then_some("yes")),
                ("defaultCPU", machine.default_cpu.as_deref()),
                ("numaMemSupported", machine.numa_mem.then_some("yes")),
                ("defaultRAMid", machine.default_ram_id.as_deref()),
                ("deprecated", machine.deprecated.then_some("yes")),
                ("acpi", machine.acpi.map(yes_no)),
            ],
        );
    }

    fn security(&mut self, sev: Option<&SevInfo>, sgx: Option<&SgxInfo>) {
        if let Some(sev) = sev {
            self.open(1, "sev", &[]);
            self.leaf(2, "cbitpos", sev.cbitpos);
            self.leaf(2, "reducedPhysBits", sev.reduced_phys_bits);
            self.leaf(2, "pdh", &sev.pdh);
            self.leaf(2, "certChain", &sev.cert_chain);
            if let Some(id) = &sev.cpu0_id {
                self.leaf(2, "cpu0Id", id);
            }
            self.close(1, "sev");
        }
        if let Some(sgx) = sgx {
            self.open(1, "sgx", &[("supported", Some("yes"))]);
            self.leaf(2, "flc", yes_no(sgx.flc));
            self.leaf(2, "sgx1", yes_no(sgx.sgx1));
            self.leaf(2, "sgx2", yes_no(sgx.sgx2));
            let _ = writeln!(
                self.0,
                "    <section_size unit='KiB'>{}</section_size>",
                sgx.section_size
            );
            if !sgx.sections.is_empty() {
                self.open(2, "sections", &[]);
                for section in &sgx.sections {
                    let (node, size) = (section.node.to_string(), section.size.to_string());
                    let unit = ("unit", Some("KiB"));
                    self.empty(3, "section", &[("node", Some(&node)), ("size", Some(&size)), unit]);
                }
                self.close(2, "sections");
            }
            self.close(1, "sgx");
        }
    }

    fn list_of_caps(&mut self, hyperv: &Hyperv) {
        let supported = [("supported", Some(yes_no(hyperv.supported)))];
        if hyperv.features.is_empty() {
            return self.empty(1, "hypervCapabilities", &supported);
        }
        self.open(1, "hypervCapabilities", &supported);
        for feature in &hyperv.features {
            self.empty(2, "cap", &[("name", Some(feature))]);
        }
        self.close(1, "hypervCapabilities");
    }
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn bad(cause: &str) -> Error {
    Error::new(ErrorCode::XmlError, format!("cannot read a QEMU capabilities cache: {cause}"))
        .in_domain(ErrorDomain::Qemu)
}

fn text<'a>(node: Node<'a, '_>) -> &'a str {
    node.text().unwrap_or_default()
}

fn child_text<'a>(node: Node<'a, '_>, name: &str) -> &'a str {
    node.children().find(|child| child.has_tag_name(name)).map(text).unwrap_or_default()
}

fn required<'a>(node: Node<'a, '_>, name: &str) -> Result<&'a str> {
    node.attribute(name).ok_or_else(|| bad(&format!("<{}> lacks '{name}'", node.tag_name().name())))
}

fn yes(node: Node<'_, '_>, name: &str) -> bool {
    node.attribute(name) == Some("yes")
}

fn names(node: Node<'_, '_>, tag: &str) -> Vec<String> {
    node.children()
        .filter(|child| child.has_tag_name(tag))
        .filter_map(|child| child.attribute("name").map(str::to_owned))
        .collect()
}

fn parse<T: FromStr>(text: &str, what: &str) -> Result<T> {
    text.trim().parse().map_err(|_| bad(&format!("'{text}' is no number for {what}")))
}

#[cfg(test)]
mod tests;

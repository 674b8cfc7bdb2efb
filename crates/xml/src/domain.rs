// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<domain>`: a guest, whole. One file per family of elements.
//!
//! Invariant: the fields stand in libvirt's order; what hypervisors add stands in a namespace's own file.

pub mod address;
pub mod any_device;
pub mod chardev;
pub mod clock;
pub mod controller;
pub mod cpu;
pub mod device;
pub mod devices;
pub mod disk;
pub mod features;
pub mod filesystem;
pub mod foreign;
pub mod graphics;
pub mod hostdev;
pub mod hyperv;
pub mod idmap;
pub mod input;
pub mod interface;
pub mod lxc;
pub mod memory;
pub mod memory_device;
pub mod metadata;
pub mod misc;
pub mod os;
pub mod qemu;
pub mod seclabel;
pub mod security;
pub mod sound;
pub mod storage;
pub mod sysinfo;
pub mod tpm;
pub mod tuning;
pub mod video;

use uuid::Uuid;
use virtus_api::Result;

use crate::reader::{self, Element, Node, ParseFlags, Parsed, Part};
use crate::schema::{Shape, kinds};
use crate::value::YesNo;
use crate::writer::{FormatFlags, Writer};

spellings! {
    /// Which hypervisor runs a guest.
    pub enum DomainType {
        Qemu = "qemu", Kqemu = "kqemu", Kvm = "kvm", Xen = "xen", Lxc = "lxc", Uml = "uml", Openvz = "openvz",
        Test = "test", Vmware = "vmware", Hyperv = "hyperv", Vbox = "vbox", Phyp = "phyp",
        Parallels = "parallels", Bhyve = "bhyve", Vz = "vz", Hvf = "hvf",
    }
}

/// `<domain>`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Domain {
    pub kind: DomainType,
    /// The number of a running guest.
    pub id: Option<i32>,
    pub body: Body,
    pub qemu: qemu::QemuNamespace,
    pub lxc: Option<lxc::Namespace>,
    pub foreign: foreign::Foreign,
}

part! {
    /// What stands in `<domain>`. [`Domain`] dereferences to it.
    pub struct Body {
        leaf name: String = "name",
        leaf uuid: Option<Uuid> = "uuid",
        child genid: Option<GenId> = "genid",
        leaf title: Option<String> = "title",
        leaf description: Option<String> = "description",
        child metadata: Option<metadata::Metadata> = "metadata",
        child max_memory: Option<memory::MaxMemory> = "maxMemory",
        child memory: memory::Memory = "memory",
        child current_memory: Option<crate::units::Kib> = "currentMemory",
        child blkiotune: Option<tuning::Blkiotune> = "blkiotune",
        child memtune: Option<memory::Memtune> = "memtune",
        child memory_backing: memory::MemoryBacking = "memoryBacking",
        child vcpu: Option<tuning::Vcpu> = "vcpu",
        child vcpus: Option<tuning::Vcpus> = "vcpus",
        leaf iothreads: Option<u32> = "iothreads",
        child iothreadids: Option<tuning::IothreadIds> = "iothreadids",
        child defaultiothread: Option<tuning::DefaultIothread> = "defaultiothread",
        child cputune: Box<tuning::Cputune> = "cputune",
        child numatune: Option<memory::Numatune> = "numatune",
        child resource: Option<tuning::Resource> = "resource",
        child sysinfos: Vec<sysinfo::Sysinfo> = "sysinfo",
        child throttlegroups: Option<tuning::ThrottleGroups> = "throttlegroups",
        leaf bootloader: Option<String> = "bootloader",
        leaf bootloader_args: Option<String> = "bootloader_args",
        child os: os::Os = "os",
        child idmap: Option<idmap::IdMap> = "idmap",
        child features: features::Features = "features",
        child cpu: Option<cpu::Cpu> = "cpu",
        child clock: Option<clock::Clock> = "clock",
        leaf on_poweroff: Option<LifecycleAction> = "on_poweroff",
        leaf on_reboot: Option<LifecycleAction> = "on_reboot",
        leaf on_crash: Option<LifecycleAction> = "on_crash",
        leaf on_lockfailure: Option<LockFailure> = "on_lockfailure",
        child pm: Option<Pm> = "pm",
        child perf: Option<Perf> = "perf",
        frame devices: devices::Devices = "devices",
        child seclabels: Vec<seclabel::Seclabel> = "seclabel",
        child keywrap: Option<security::Keywrap> = "keywrap",
        child launch_security: Option<Box<security::LaunchSecurity>> = "launchSecurity"
    }
}

/// `<genid>`: changes when a guest is rolled back; empty until one is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GenId(pub Option<Uuid>);

impl Element for GenId {
    const SHAPE: &'static Shape = shape!(GenId: text kinds::MaybeUuid);
    fn read(node: Node<'_>) -> Result<Self> {
        if node.text().trim().is_empty() {
            Ok(Self(None))
        } else {
            node.text_value().map(|id| Self(Some(id)))
        }
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        if let Some(id) = &self.0 {
            out.text(id);
        }
        out.end(tag);
    }
}

spellings! {
    /// What happens at the end of a guest's life.
    pub enum LifecycleAction {
        Destroy = "destroy", Restart = "restart", RenameRestart = "rename-restart", Preserve = "preserve",
        CoredumpDestroy = "coredump-destroy", CoredumpRestart = "coredump-restart",
    }
}

spellings! {
    /// What happens when a lease is lost.
    pub enum LockFailure {
        Default = "default", Poweroff = "poweroff", Restart = "restart", Pause = "pause", Ignore = "ignore",
    }
}

element! {
    /// `<pm>`.
    pub struct Pm {
        child suspend_to_mem: Option<Enabled> = "suspend-to-mem",
        child suspend_to_disk: Option<Enabled> = "suspend-to-disk"
    }
}

element! {
    /// An element whose only content is `enabled='yes'`.
    pub struct Enabled { attr enabled: Option<YesNo> = "enabled" }
}

element! {
    /// `<perf>`.
    pub struct Perf { child events: Vec<PerfEvent> = "event" }
}

element! {
    /// One counter.
    pub struct PerfEvent {
        required name: String = "name",
        required enabled: YesNo = "enabled"
    }
}

impl std::ops::Deref for Domain {
    type Target = Body;
    fn deref(&self) -> &Body {
        &self.body
    }
}

impl std::ops::DerefMut for Domain {
    fn deref_mut(&mut self) -> &mut Body {
        &mut self.body
    }
}

impl Domain {
    /// Reads a `<domain>` document.
    pub fn parse(text: &str, flags: ParseFlags) -> Result<Parsed<Self>> {
        reader::parse(text, "(domain_definition)", flags, |root| {
            root.expect("domain")?;
            root.conform(Self::SHAPE)?;
            let mut domain = Self::read(root)?;
            if !flags.contains(ParseFlags::RAW) {
                domain.settle(flags)?;
                if !flags.contains(ParseFlags::SKIP_VALIDATE) {
                    domain.validate()?;
                }
            }
            Ok(domain)
        })
    }

    /// Writes the document.
    #[must_use]
    pub fn format(&self, flags: FormatFlags) -> String {
        let mut out = Writer::new(flags);
        if self.id.is_some() && out.inactive() {
            let mut definition = self.clone();
            definition.strip_live();
            definition.write("domain", &mut out);
        } else if !out.in_status() && self.devices.interfaces.iter().any(|c| c.actual.is_some()) {
            let mut shown = self.clone();
            shown.devices.interfaces.iter_mut().for_each(interface::Interface::show_actual);
            shown.write("domain", &mut out);
        } else {
            self.write("domain", &mut out);
        }
        out.finish()
    }
}

impl Element for Domain {
    const SHAPE: &'static Shape = shape!(Domain:
        required DomainType = "type",
        attr i32 = "id",
        one_leaf kinds::Title = "name",
        leaf kinds::Title = "title",
        part Body,
        pieces (qemu::PIECES),
        foreign (lxc::NAMESPACE) lxc::Namespace = "namespace",
        pieces (foreign::PIECES)
    );
    fn read(node: Node<'_>) -> Result<Self> {
        let mut domain = Self { kind: node.need("type")?, ..Self::default() };
        for (name, value) in node.attrs() {
            match name {
                "type" => {}
                "id" => {
                    if !node.inactive() {
                        domain.id = Some(value.value()?);
                    }
                }
                _ => node.unknown_attr(name, &["type", "id"]),
            }
        }
        for child in node.children() {
            match child.namespace() {
                None => {
                    if !domain.body.child(child.name(), child)? {
                        child.unknown(Body::CHILDREN);
                    }
                }
                Some(qemu::NAMESPACE) => domain.qemu.child(child)?,
                Some(lxc::NAMESPACE) => domain.lxc = Some(lxc::Namespace::read(child)?),
                Some(_) => {
                    // Other namespaces are nobody's, as in libvirt.
                    domain.foreign.child(child)?;
                }
            }
        }
        Ok(domain)
    }

    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        out.attr("type", &self.kind);
        if let Some(id) = self.id.as_ref().filter(|_| !out.inactive()) {
            out.attr("id", id);
        }
        if !self.qemu.is_empty() {
            out.attr_text("xmlns:qemu", qemu::NAMESPACE);
        }
        if self.lxc.is_some() {
            out.attr_text("xmlns:lxc", lxc::NAMESPACE);
        }
        self.foreign.write_namespaces(out);
        self.body.write_body(out);
        self.foreign.write(out);
        self.qemu.write(out);
        if let Some(lxc) = &self.lxc {
            lxc.write("lxc:namespace", out);
        }
        out.end(tag);
    }
}

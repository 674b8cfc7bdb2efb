// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<domstatus>`: all that a daemon must know to take over a running guest.
//!
//! Invariant: the file is libvirt's: a guest that libvirt started is read here, one that we started is read there.
//! What is not understood is kept ([`Tree`]) and written again.

use virtus_api::Result;

use crate::cpuset::CpuSet;
use crate::domain::Domain;
use crate::domain::cpu::Cpu;
use crate::reader::{self, Element, ParseFlags, Parsed, Part};
use crate::tree::Tree;
use crate::value::YesNo;
use crate::writer::{FormatFlags, Writer};

/// A running guest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    pub body: Body,
    /// What is not understood.
    pub others: Vec<Tree>,
    pub domain: Domain,
}

part! {
    /// What stands before `<domain>`. [`Status`] dereferences to it.
    pub struct Body {
        required state: String = "state",
        required reason: String = "reason",
        attr pid: Option<i32> = "pid",
        child taints: Vec<Taint> = "taint",
        leaf deprecations: Vec<String> = "deprecation",
        child monitor: Option<Monitor> = "monitor",
        child namespaces: Option<Tree> = "namespaces",
        child vcpus: Option<Vcpus> = "vcpus",
        block qemu_caps: Option<Flags> = "qemuCaps",
        leaf lockstate: Option<String> = "lockstate",
        child job: Option<Tree> = "job",
        child devices: Option<Devices> = "devices",
        child numad: Option<Numad> = "numad",
        child lib_dir: Option<Path> = "libDir",
        child channel_target_dir: Option<Path> = "channelTargetDir",
        child memory_backing_dir: Option<Path> = "memoryBackingDir",
        child cpu: Option<Cpu> = "cpu",
        flag chardev_stdio_logd: bool = "chardevStdioLogd",
        flag remember_owner: bool = "rememberOwner",
        child allow_reboot: Option<Choice> = "allowReboot",
        flag prevent_reboot: bool = "preventReboot",
        child nodename: Option<Index> = "nodename",
        child fdset: Option<Index> = "fdset",
        child blockjobs: Option<Tree> = "blockjobs",
        leaf agent_timeout: Option<i32> = "agentTimeout"
    }
}

element! {
    /// `<taint flag='high-privileges'/>`.
    pub struct Taint { required flag: String = "flag" }
}

element! {
    /// `<monitor>`: where the hypervisor is spoken to.
    pub struct Monitor {
        required path: String = "path",
        attr kind: Option<String> = "type"
    }
}

element! {
    /// `<vcpus>`: the threads of the guest's CPUs.
    pub struct Vcpus { child vcpus: Vec<VcpuThread> = "vcpu" }
}

element! {
    /// One thread.
    pub struct VcpuThread {
        attr id: Option<u32> = "id",
        required pid: i32 = "pid"
    }
}

element! {
    /// `<qemuCaps>`: what this guest's QEMU can do.
    pub struct Flags { child flags: Vec<Flag> = "flag" }
}

element! {
    /// One capability.
    pub struct Flag { required name: String = "name" }
}

element! {
    /// `<devices>`: the aliases of the devices that the hypervisor has.
    pub struct Devices { child devices: Vec<DeviceAlias> = "device" }
}

element! {
    /// One device.
    pub struct DeviceAlias { required alias: String = "alias" }
}

element! {
    /// `<numad>`: the placement that was advised.
    pub struct Numad {
        attr nodeset: Option<CpuSet> = "nodeset",
        attr cpuset: Option<CpuSet> = "cpuset"
    }
}

element! {
    /// An element whose only content is `path='…'`.
    pub struct Path { required path: String = "path" }
}

element! {
    /// An element whose only content is `value='yes'`.
    pub struct Choice { required value: YesNo = "value" }
}

element! {
    /// An element whose only content is `index='0'`.
    pub struct Index { required index: u64 = "index" }
}

impl std::ops::Deref for Status {
    type Target = Body;
    fn deref(&self) -> &Body {
        &self.body
    }
}

impl std::ops::DerefMut for Status {
    fn deref_mut(&mut self) -> &mut Body {
        &mut self.body
    }
}

/// Brings the job of an older release to the present form: what it did not say, and the source of an image
/// that is migrated in an element of its own.
fn settle_job(job: &mut Tree) {
    if job.attr("async").is_none() {
        return;
    }
    for (name, usual) in [("flags", "0x0"), ("asyncStarted", "0")] {
        if job.attr(name).is_none() {
            job.attrs.push((name.to_owned(), usual.to_owned()));
        }
    }
    let images = job.children.iter_mut().flat_map(|disk| &mut disk.children);
    for image in images.filter(|image| image.name == "migrationSource") {
        if image.child("source").is_none() {
            let of_image =
                |(name, _): &(String, String)| ["type", "format"].contains(&name.as_str());
            let (own, other) = std::mem::take(&mut image.attrs).into_iter().partition(of_image);
            let children = std::mem::take(&mut image.children);
            image.attrs = own;
            image.children = vec![Tree { attrs: other, children, ..Tree::new("source") }];
        }
    }
}

impl Status {
    /// Reads a status file.
    pub fn parse(text: &str) -> Result<Parsed<Self>> {
        reader::parse(text, "(domain_status)", ParseFlags::STATUS, |root| {
            root.expect("domstatus")?;
            let mut status = Self::default();
            for (name, value) in root.attrs() {
                if !status.body.attr(name, value)? {
                    root.unknown_attr(name, Body::ATTRS);
                }
            }
            for child in root.children() {
                if child.name() == "domain" {
                    status.domain = Domain::read(child)?;
                    status.domain.settle(ParseFlags::STATUS)?;
                } else if !status.body.child(child.name(), child)? {
                    status.others.push(Tree::read(child)?);
                }
            }
            status.body.finish(root)?;
            status.body.job.iter_mut().for_each(settle_job);
            if status.domain.id.is_none() {
                return Err(root.missing_child("domain"));
            }
            Ok(status)
        })
    }

    /// Writes the status file, secrets included: only its owner may read it.
    #[must_use]
    pub fn format(&self) -> String {
        let mut out = Writer::new(FormatFlags::STATUS | FormatFlags::SECURE);
        out.start("domstatus");
        self.body.write_attrs(&mut out);
        self.body.write_body(&mut out);
        for other in &self.others {
            other.write(&other.name, &mut out);
        }
        self.domain.write("domain", &mut out);
        out.end("domstatus");
        out.finish()
    }
}

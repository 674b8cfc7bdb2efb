// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The small namespaces: `xen:` and `bhyve:` pass arguments on, `vmware:` names a data centre.

use virtus_api::Result;

use crate::reader::Node;
use crate::schema::Piece;
use crate::writer::Writer;

/// The namespaces' names.
pub const XEN: &str = "http://libvirt.org/schemas/domain/xen/1.0";
pub const BHYVE: &str = "http://libvirt.org/schemas/domain/bhyve/1.0";
pub const VMWARE: &str = "http://libvirt.org/schemas/domain/vmware/1.0";

/// What the schema allows in these namespaces.
pub(super) const PIECES: &[Piece] = pieces!(
    foreign (XEN) (many (required String = "value") = "arg") = "commandline",
    foreign (BHYVE) (
        many (required String = "value") = "arg",
        many (required String = "name", attr String = "value") = "env"
    ) = "commandline",
    foreign (VMWARE) (text String) = "datacenterpath"
);

/// All elements of these namespaces.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Foreign {
    pub xen_args: Vec<String>,
    pub bhyve_args: Vec<String>,
    pub bhyve_env: Vec<(String, Option<String>)>,
    pub vmware_datacenter: Option<String>,
}

impl Foreign {
    /// Takes a child of `<domain>` that is in one of these namespaces, or answers `false`.
    pub fn child(&mut self, node: Node<'_>) -> Result<bool> {
        match (node.namespace(), node.name()) {
            (Some(XEN), "commandline") => {
                for child in node.children() {
                    self.xen_args.push(child.need("value")?);
                }
            }
            (Some(BHYVE), "commandline") => {
                for child in node.children() {
                    match child.name() {
                        "arg" => self.bhyve_args.push(child.need("value")?),
                        "env" => self.bhyve_env.push((child.need("name")?, child.get("value")?)),
                        _ => child.unknown(&["arg", "env"]),
                    }
                }
            }
            (Some(VMWARE), "datacenterpath") => self.vmware_datacenter = Some(node.text_value()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Declares the namespaces that are used.
    pub fn write_namespaces(&self, out: &mut Writer) {
        if !self.xen_args.is_empty() {
            out.attr_text("xmlns:xen", XEN);
        }
        if self.has_bhyve() {
            out.attr_text("xmlns:bhyve", BHYVE);
        }
        if self.vmware_datacenter.is_some() {
            out.attr_text("xmlns:vmware", VMWARE);
        }
    }

    fn has_bhyve(&self) -> bool {
        !self.bhyve_args.is_empty() || !self.bhyve_env.is_empty()
    }

    /// Writes the elements.
    pub fn write(&self, out: &mut Writer) {
        if !self.xen_args.is_empty() {
            out.start("xen:commandline");
            write_args(&self.xen_args, "xen:arg", out);
            out.end("xen:commandline");
        }
        if self.has_bhyve() {
            out.start("bhyve:commandline");
            write_args(&self.bhyve_args, "bhyve:arg", out);
            for (name, value) in &self.bhyve_env {
                out.start("bhyve:env");
                out.attr("name", name);
                out.opt("value", value.as_ref());
                out.end("bhyve:env");
            }
            out.end("bhyve:commandline");
        }
        if let Some(path) = &self.vmware_datacenter {
            out.leaf("vmware:datacenterpath", path);
        }
    }
}

fn write_args(args: &[String], tag: &str, out: &mut Writer) {
    for arg in args {
        out.start(tag);
        out.attr("value", arg);
        out.end(tag);
    }
}

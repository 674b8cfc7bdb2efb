// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The `qemu:` namespace: what is passed to QEMU as it stands.

use virtus_api::Result;

use crate::reader::Node;
use crate::schema::Piece;
use crate::value::Value;
use crate::writer::Writer;

/// The namespace's name.
pub const NAMESPACE: &str = "http://libvirt.org/schemas/domain/qemu/1.0";

/// What the schema allows in this namespace.
pub(super) const PIECES: &[Piece] = pieces!(
    foreign (NAMESPACE) (
        many (required String = "value") = "arg",
        many (required String = "name", attr String = "value") = "env"
    ) = "commandline",
    foreign (NAMESPACE) (
        many (required String = "capability") = "add",
        many (required String = "capability") = "del"
    ) = "capabilities",
    foreign (NAMESPACE) (required Deprecation = "behavior") = "deprecation",
    foreign (NAMESPACE) (
        many (
            required String = "alias",
            one (
                some (required String = "name", required PropertyType = "type", attr String = "value") = "property"
            ) = "frontend"
        ) = "device"
    ) = "override"
);

/// All elements of the namespace.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct QemuNamespace {
    pub args: Vec<String>,
    pub env: Vec<(String, Option<String>)>,
    pub capabilities_add: Vec<String>,
    pub capabilities_del: Vec<String>,
    pub deprecation: Option<Deprecation>,
    pub overrides: Vec<DeviceOverride>,
}

spellings! {
    /// What QEMU does when a deprecated interface is used.
    pub enum Deprecation { None = "none", Omit = "omit", Reject = "reject", Crash = "crash" }
}

/// `<qemu:device alias='…'>`: properties that are forced on one device.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceOverride {
    pub alias: String,
    pub properties: Vec<PropertyOverride>,
}

/// One property.
#[derive(Debug, Clone, PartialEq)]
pub struct PropertyOverride {
    pub name: String,
    pub kind: PropertyType,
    pub value: Option<String>,
}

spellings! {
    /// How a property's value is typed.
    pub enum PropertyType {
        String = "string", Signed = "signed", Unsigned = "unsigned", Bool = "bool", Remove = "remove",
    }
}

impl QemuNamespace {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes a child of `<domain>` that is in this namespace.
    pub fn child(&mut self, node: Node<'_>) -> Result<()> {
        match node.name() {
            "commandline" => self.commandline(node)?,
            "capabilities" => {
                for child in node.children() {
                    let capability = child.need("capability")?;
                    match child.name() {
                        "add" => self.capabilities_add.push(capability),
                        "del" => self.capabilities_del.push(capability),
                        _ => child.unknown(&["add", "del"]),
                    }
                }
            }
            "deprecation" => self.deprecation = Some(node.need("behavior")?),
            "override" => {
                for child in node.children() {
                    if child.name() == "device" {
                        self.overrides.push(device_override(child)?);
                    } else {
                        child.unknown(&["device"]);
                    }
                }
            }
            _ => node.unknown(&["commandline", "capabilities", "deprecation", "override"]),
        }
        Ok(())
    }

    fn commandline(&mut self, node: Node<'_>) -> Result<()> {
        for child in node.children() {
            match child.name() {
                "arg" => self.args.push(child.need("value")?),
                "env" => {
                    let name: String = child.need("name")?;
                    let first = name.bytes().next().unwrap_or_default();
                    if !first.is_ascii_alphabetic() && first != b'_' {
                        return Err(child.error(format_args!(
                            "Invalid environment name '{name}', it must begin with a letter or underscore"
                        )));
                    }
                    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                        return Err(child.error(format_args!(
                            "Invalid environment name '{name}', it must contain only alphanumerics and underscore"
                        )));
                    }
                    self.env.push((name, child.get("value")?));
                }
                _ => child.unknown(&["arg", "env"]),
            }
        }
        Ok(())
    }

    /// Writes the elements with the prefix `qemu`.
    pub fn write(&self, out: &mut Writer) {
        if !self.args.is_empty() || !self.env.is_empty() {
            out.start("qemu:commandline");
            for arg in &self.args {
                valued(out, "qemu:arg", None, Some(arg));
            }
            for (name, value) in &self.env {
                valued(out, "qemu:env", Some(name), value.as_ref());
            }
            out.end("qemu:commandline");
        }
        if !self.capabilities_add.is_empty() || !self.capabilities_del.is_empty() {
            out.start("qemu:capabilities");
            let adds = self.capabilities_add.iter().map(|name| ("qemu:add", name));
            for (tag, name) in
                adds.chain(self.capabilities_del.iter().map(|name| ("qemu:del", name)))
            {
                out.start(tag);
                out.attr_text("capability", name);
                out.end(tag);
            }
            out.end("qemu:capabilities");
        }
        if !self.overrides.is_empty() {
            out.start("qemu:override");
            for device in &self.overrides {
                device.write(out);
            }
            out.end("qemu:override");
        }
        if let Some(behavior) = &self.deprecation {
            out.start("qemu:deprecation");
            out.attr("behavior", behavior);
            out.end("qemu:deprecation");
        }
    }
}

fn valued(out: &mut Writer, tag: &str, name: Option<&String>, value: Option<&String>) {
    out.start(tag);
    out.opt("name", name);
    out.opt("value", value);
    out.end(tag);
}

fn device_override(node: Node<'_>) -> Result<DeviceOverride> {
    let mut properties = Vec::new();
    for frontend in node.children() {
        for property in frontend.children() {
            let found = PropertyOverride {
                name: property.need("name")?,
                kind: property.need("type")?,
                value: property.get("value")?,
            };
            check_property(property, &found)?;
            properties.push(found);
        }
    }
    Ok(DeviceOverride { alias: node.need("alias")?, properties })
}

fn check_property(node: Node<'_>, property: &PropertyOverride) -> Result<()> {
    let Some(value) = &property.value else {
        return if property.kind == PropertyType::Remove {
            Ok(())
        } else {
            Err(node.missing_attr("value"))
        };
    };
    let fits = match property.kind {
        PropertyType::Signed => i64::parse(value).is_some(),
        PropertyType::Unsigned => u64::parse(value).is_some(),
        PropertyType::Bool => {
            matches!(value.as_str(), "true" | "false" | "yes" | "no" | "on" | "off")
        }
        PropertyType::String => true,
        PropertyType::Remove => false,
    };
    if fits {
        return Ok(());
    }
    Err(node.error(format_args!(
        "invalid value '{value}' for property '{}' of type '{}'",
        property.name, property.kind
    )))
}

impl DeviceOverride {
    fn write(&self, out: &mut Writer) {
        out.start("qemu:device");
        out.attr("alias", &self.alias);
        out.start("qemu:frontend");
        for property in &self.properties {
            out.start("qemu:property");
            out.attr("name", &property.name);
            out.attr("type", &property.kind);
            out.opt("value", property.value.as_ref());
            out.end("qemu:property");
        }
        out.end("qemu:frontend");
        out.end("qemu:device");
    }
}

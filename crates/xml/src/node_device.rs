// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<device>`: a device of the host and what it can do. One file for each family of capabilities.

mod capability;
pub mod mdev;
pub mod network;
pub mod pci;
pub mod s390;
pub mod scsi;
pub mod storage;
pub mod system;
pub mod usb;
pub mod vpd;

pub use capability::{Kind, Sub};

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use crate::chance::Chance;
use crate::document::Document;
use crate::reader::{Element, Node, ParseFlags, Part};
use crate::schema::Shape;
use crate::slot::Reported;
use crate::value::Allowed;
use crate::writer::{FormatFlags, Writer};

element! {
    /// `<device>`.
    pub struct NodeDevice {
        leaf name: String = "name",
        leaf path: Option<String> = "path",
        child nodes: Vec<DeviceFile> = "devnode",
        child parent: Option<Parent> = "parent",
        child driver: Reported<Driver> = "driver",
        child capabilities: Vec<Capability> = "capability"
    }
    schema { one_leaf String = "name" }
}

element! {
    /// `<devnode>`: a name under `/dev`.
    pub struct DeviceFile {
        required kind: DeviceFileType = "type",
        text path: String
    }
}

spellings! {
    /// The device's own name, or another that leads to it.
    pub enum DeviceFileType { Dev = "dev", Link = "link" }
}

element! {
    /// `<parent>`: its name, or for a new virtual adapter the world wide names by which it is found.
    pub struct Parent {
        attr wwnn: Option<String> = "wwnn",
        attr wwpn: Option<String> = "wwpn",
        attr fabric_wwn: Option<String> = "fabric_wwn",
        text name: Option<String>
    }
}

element! {
    /// `<driver>` of the host's kernel.
    pub struct Driver { leaf name: Option<String> = "name" }
}

/// Declares the kinds of capabilities.
macro_rules! capabilities {
    ($($variant:ident($ty:ty)),* $(,)?) => {
        /// `<capability>`: what the device is; `type` says which kind.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Capability { $($variant(Box<$ty>)),* }

        impl Capability {
            /// All kinds.
            pub const KINDS: &'static [&'static str] = &[$(<$ty>::KIND),*];

            /// The attribute `type`.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => <$ty>::KIND),* }
            }
        }

        impl Element for Capability {
            const SHAPE: &'static Shape = capability::capability_shape!($($ty),*);
            fn read(node: Node<'_>) -> Result<Self> {
                let kind = node.attr("type").ok_or_else(|| node.missing_attr("type"))?;
                match kind.text() {
                    $(<$ty>::KIND => capability::read(node).map(|it| Self::$variant(Box::new(it))),)*
                    _ => Err(kind.invalid(&Allowed::OneOf(Self::KINDS))),
                }
            }
            fn write(&self, tag: &str, out: &mut Writer) {
                out.as_block();
                out.start(tag);
                out.attr_text("type", self.kind());
                match self {
                    $(Self::$variant(part) => {
                        part.write_attrs(out);
                        part.write_body(out);
                    })*
                }
                out.end(tag);
            }
        }
    };
}

capabilities! {
    System(system::System), Pci(pci::PciDevice), UsbDevice(usb::UsbDevice), UsbInterface(usb::UsbInterface),
    Net(network::NetDevice), ScsiHost(scsi::ScsiHost), ScsiTarget(scsi::ScsiTarget), Scsi(scsi::ScsiDevice),
    Storage(storage::StorageDevice), ScsiGeneric(scsi::ScsiGeneric), Drm(system::DrmDevice),
    Mdev(mdev::Mdev), Ccw(s390::CcwDevice), CcwGroup(s390::CcwGroup), Css(s390::CssDevice),
    Vdpa(network::VdpaDevice), ApCard(s390::ApCard), ApQueue(s390::ApQueue), ApMatrix(s390::ApMatrix),
}

fn xml_error(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::XmlError, text).in_domain(ErrorDomain::Nodedev)
}

impl NodeDevice {
    /// Gives a new virtual adapter the world wide names that it has not: random, with the maker's `oui`.
    pub fn name_missing(&mut self, oui: [u8; 3], chance: &mut Chance<'_>) {
        for capability in &mut self.capabilities {
            let Capability::ScsiHost(host) = capability else { continue };
            let Some(port) = &mut host.fc_host.0 else { continue };
            for name in [&mut port.wwnn, &mut port.wwpn] {
                name.get_or_insert_with(|| chance.world_wide_name(oui));
            }
        }
    }
}

impl Document for NodeDevice {
    const ROOT: &'static str = "device";
    const SCHEMA: &'static str = "nodedev";
    const WHAT: &'static str = "(node_device_definition)";
    const DOMAIN: ErrorDomain = ErrorDomain::Nodedev;

    /// What a device must have, and the order in which its names are written. A new one has no name of its own.
    fn settle(&mut self, flags: ParseFlags) -> Result<()> {
        if flags.contains(ParseFlags::NEW) {
            "new device".clone_into(&mut self.name);
        } else if self.name.is_empty() {
            return Err(xml_error("the device has no <name>"));
        }
        self.path.take_if(|path| path.is_empty());
        self.nodes.sort_by_key(|node| node.kind);
        self.parent
            .take_if(|parent| *parent == Parent { name: Some(String::new()), ..Parent::default() });
        if self.capabilities.is_empty() {
            return Err(xml_error(format!("no device capabilities for '{}'", self.name)));
        }
        Ok(())
    }

    /// Writes the document; a device that is defined but not there has no place in sysfs.
    fn format(&self, flags: FormatFlags) -> String {
        let mut out = Writer::new(flags);
        if flags.contains(FormatFlags::INACTIVE) {
            Self { path: None, ..self.clone() }.write(Self::ROOT, &mut out);
        } else {
            self.write(Self::ROOT, &mut out);
        }
        out.finish()
    }
}

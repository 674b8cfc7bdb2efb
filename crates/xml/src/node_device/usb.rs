// SPDX-License-Identifier: Apache-2.0 OR MIT
//! USB devices and their interfaces.

use virtus_api::Result;

use super::capability::Kind;
use crate::reader::{Element, Node};
use crate::schema::Shape;
use crate::value::HexId;
use crate::writer::Writer;

part! {
    /// A USB device.
    pub struct UsbDevice {
        needed bus: u32 = "bus",
        needed device: u32 = "device",
        child product: Option<UsbIdentity> = "product",
        child vendor: Option<UsbIdentity> = "vendor"
    }
    schema { one UsbIdentity = "product", one UsbIdentity = "vendor" }
}

/// `<product id='0x1234'>`, which libvirt ends with a blank before the slash if nothing is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsbIdentity {
    pub id: HexId<4>,
    pub name: Option<String>,
}

part! {
    /// An interface of a USB device.
    pub struct UsbInterface {
        needed number: u32 = "number",
        needed class: u32 = "class",
        needed subclass: u32 = "subclass",
        needed protocol: u32 = "protocol",
        leaf description: Option<String> = "description"
    }
}

impl Element for UsbIdentity {
    const SHAPE: &'static Shape = shape!(UsbIdentity: required HexId<4> = "id", text String);
    fn read(node: Node<'_>) -> Result<Self> {
        let name = Some(node.text().into_owned()).filter(|name| !name.is_empty());
        Ok(Self { id: node.need("id")?, name })
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        if let Some(name) = &self.name {
            out.start(tag);
            out.attr("id", &self.id);
            out.text(name);
            out.end(tag);
        } else {
            out.raw(&format!("<{tag} id='0x{:04x}' />", self.id.0));
        }
    }
}

impl Kind for UsbDevice {
    const KIND: &'static str = "usb_device";

    fn check(&mut self, node: Node<'_>) -> Result<()> {
        for (tag, identity) in [("product", &self.product), ("vendor", &self.vendor)] {
            if identity.is_none() {
                return Err(node.missing_child(tag));
            }
        }
        Ok(())
    }
}

impl Kind for UsbInterface {
    const KIND: &'static str = "usb";
}

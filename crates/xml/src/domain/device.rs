// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What every device may have: boot order, alias, option ROM, ACPI index, address.
//!
//! Invariant: an alias that libvirt made is never part of a definition; one that the user made (`ua-…`) always is.

use virtus_api::Result;

use super::address::Address;
use crate::reader::{Node, Part, Source};
use crate::schema::Piece;
use crate::schema::kinds;
use crate::slot::ChildSlot;
use crate::value::{OnOff, YesNo};
use crate::writer::Writer;

/// The pieces that stand last in most devices.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Device {
    pub boot: Option<Boot>,
    pub alias: Option<String>,
    /// The first port of a companion USB controller.
    pub master: Option<Master>,
    pub rom: Option<Rom>,
    pub acpi: Option<Acpi>,
    pub address: Option<Address>,
}

element! {
    /// `<boot order='1'/>`.
    pub struct Boot {
        required order: u32 = "order",
        attr loadparm: Option<String> = "loadparm"
    }
    schema {
        required kinds::Positive = "order",
        attr kinds::LoadParm = "loadparm"
    }
}

element! {
    /// `<master startport='2'/>` of a companion controller.
    pub struct Master { attr startport: u32 = "startport" }
}

element! {
    /// `<rom>`: the option ROM that the guest's firmware sees.
    pub struct Rom {
        attr enabled: Option<YesNo> = "enabled",
        attr bar: Option<OnOff> = "bar",
        attr file: Option<String> = "file"
    }
    schema {
        attr kinds::AbsolutePath = "file"
    }
}

element! {
    /// `<acpi index='1'/>`: names the device in the guest.
    pub struct Acpi { attr index: u32 = "index" }
}

element! {
    /// `<alias name='…'/>`.
    pub struct Alias { required name: String = "name" }
}

part! {
    /// Virtio's transport options, which stand in the `<driver>` of every virtio device.
    pub struct VirtioOptions {
        attr iommu: Option<OnOff> = "iommu",
        attr ats: Option<OnOff> = "ats",
        attr packed: Option<OnOff> = "packed",
        attr page_per_vq: Option<OnOff> = "page_per_vq"
    }
}

element! {
    /// A `<driver>` that has nothing but virtio's options.
    pub struct VirtioDriver { part virtio: VirtioOptions }
}

/// Whether a user chose this alias.
#[must_use]
pub fn is_user_alias(alias: &str) -> bool {
    alias.starts_with("ua-")
}

impl Part for Device {
    const ATTRS: &'static [&'static str] = &[];
    const CHILDREN: &'static [&'static str] =
        &["boot", "alias", "master", "rom", "acpi", "address"];
    const PIECES: &'static [Piece] = pieces!(
        child Boot = "boot",
        child Alias = "alias",
        child Master = "master",
        child Rom = "rom",
        child Acpi = "acpi",
        child Address = "address"
    );

    fn attr(&mut self, _: &str, _: Source<'_>) -> Result<bool> {
        Ok(false)
    }

    fn child(&mut self, name: &str, node: Node<'_>) -> Result<bool> {
        match name {
            "boot" => {
                self.boot.set(node)?;
                if let Some(loadparm) = self.boot.as_mut().and_then(|boot| boot.loadparm.as_mut()) {
                    loadparm.make_ascii_uppercase();
                }
            }
            "alias" => {
                let name: String = node.need("name")?;
                if is_user_alias(&name) || !node.inactive() {
                    self.alias = Some(name);
                }
            }
            "master" => self.master.set(node)?,
            "rom" => self.rom.set(node)?,
            "acpi" => self.acpi.set(node)?,
            "address" => self.address.set(node)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn text(&mut self, _: Source<'_>) -> Result<bool> {
        Ok(false)
    }

    fn finish(&mut self, _: Node<'_>) -> Result<()> {
        Ok(())
    }

    fn write_attrs(&self, _: &mut Writer) {}

    fn write_body(&self, out: &mut Writer) {
        self.boot.write("boot", out);
        if let Some(alias) = self.alias.as_deref().filter(|a| is_user_alias(a) || !out.inactive()) {
            out.start("alias");
            out.attr_text("name", alias);
            out.end("alias");
        }
        self.master.write("master", out);
        self.rom.write("rom", out);
        self.acpi.write("acpi", out);
        self.address.write("address", out);
    }
}

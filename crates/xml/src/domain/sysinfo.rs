// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<sysinfo>`: what the firmware tells the guest about the machine.

element! {
    /// `<sysinfo>`.
    pub struct Sysinfo {
        required kind: SysinfoType = "type",
        child entries: Vec<Entry> = "entry",
        child bios: Option<Entries> = "bios",
        child system: Option<Entries> = "system",
        child base_boards: Vec<Entries> = "baseBoard",
        child chassis: Option<Entries> = "chassis",
        child processors: Vec<Entries> = "processor",
        child memory_devices: Vec<Entries> = "memory_device",
        child oem_strings: Option<Entries> = "oemStrings"
    }
}

spellings! {
    /// By what means it is told.
    pub enum SysinfoType { Smbios = "smbios", Fwcfg = "fwcfg" }
}

element! {
    /// A block of entries.
    pub struct Entries { child entries: Vec<Entry> = "entry" }
}

element! {
    /// One entry.
    pub struct Entry {
        attr name: Option<String> = "name",
        attr file: Option<String> = "file",
        text value: String
    }
}

/// The entries of each block, in the order in which they are written.
const BIOS: &[&str] = &["vendor", "version", "date", "release"];
const SYSTEM: &[&str] = &["manufacturer", "product", "version", "serial", "uuid", "sku", "family"];
const BASE_BOARD: &[&str] = &["manufacturer", "product", "version", "serial", "asset", "location"];
const CHASSIS: &[&str] = &["manufacturer", "version", "serial", "asset", "sku"];

impl Sysinfo {
    /// Brings the entries of each block into libvirt's order.
    pub(crate) fn settle(&mut self) {
        let blocks =
            [(&mut self.bios, BIOS), (&mut self.system, SYSTEM), (&mut self.chassis, CHASSIS)];
        for (block, order) in blocks {
            if let Some(block) = block {
                block.sort(order);
            }
        }
        for board in &mut self.base_boards {
            board.sort(BASE_BOARD);
        }
    }
}

impl Entries {
    fn sort(&mut self, order: &[&str]) {
        let place = |entry: &Entry| {
            let name = entry.name.as_deref().unwrap_or_default();
            order.iter().position(|&known| known == name).unwrap_or(order.len())
        };
        self.entries.sort_by_key(place);
    }

    /// The value of the entry `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|e| e.name.as_deref() == Some(name)).map(|e| e.value.as_str())
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The output of `dmidecode`: blocks of indented `Name: value` lines, each after a line with its title.

use virtus_xml::domain::sysinfo::{Entries, Entry, Sysinfo};

use super::block;

/// Names in libvirt's documents and in the text, in the order in which libvirt writes them.
type Names = &'static [(&'static str, &'static str)];

const BIOS: Names = &[
    ("vendor", "Vendor"),
    ("version", "Version"),
    ("date", "Release Date"),
    ("release", "BIOS Revision"),
];
const SYSTEM: Names = &[
    ("manufacturer", "Manufacturer"),
    ("product", "Product Name"),
    ("version", "Version"),
    ("serial", "Serial Number"),
    ("uuid", "UUID"),
    ("sku", "SKU Number"),
    ("family", "Family"),
];
const BASE_BOARD: Names = &[
    ("manufacturer", "Manufacturer"),
    ("product", "Product Name"),
    ("version", "Version"),
    ("serial", "Serial Number"),
    ("asset", "Asset Tag"),
    ("location", "Location In Chassis"),
];
const CHASSIS: Names = &[
    ("manufacturer", "Manufacturer"),
    ("version", "Version"),
    ("serial", "Serial Number"),
    ("asset", "Asset Tag"),
    ("sku", "SKU Number"),
];
const PROCESSOR: Names = &[
    ("socket_destination", "Socket Designation"),
    ("type", "Type"),
    ("family", "Family"),
    ("manufacturer", "Manufacturer"),
    ("signature", "Signature"),
    ("version", "Version"),
    ("external_clock", "External Clock"),
    ("max_speed", "Max Speed"),
    ("status", "Status"),
    ("serial_number", "Serial Number"),
    ("part_number", "Part Number"),
];
const MEMORY_DEVICE: Names = &[
    ("size", "Size"),
    ("form_factor", "Form Factor"),
    ("locator", "Locator"),
    ("bank_locator", "Bank Locator"),
    ("type", "Type"),
    ("type_detail", "Type Detail"),
    ("speed", "Speed"),
    ("manufacturer", "Manufacturer"),
    ("serial_number", "Serial Number"),
    ("part_number", "Part Number"),
];

/// Reads the tables. `raw_oem_string` answers the unchanged text of a vendor's string by its number, if it
/// can: `dmidecode` shows what is not printable as a dot.
pub fn from_dmidecode(text: &str, raw_oem_string: impl Fn(u32) -> Option<String>) -> Sysinfo {
    let mut found = Sysinfo::default();
    let mut oem = Vec::new();
    for (title, table) in tables(text) {
        match title {
            "BIOS Information" => found.bios = found.bios.or_else(|| entries(&table, BIOS)),
            "System Information" => found.system = found.system.or_else(|| entries(&table, SYSTEM)),
            "Base Board Information" => found.base_boards.extend(entries(&table, BASE_BOARD)),
            "Chassis Information" => {
                found.chassis = found.chassis.or_else(|| entries(&table, CHASSIS));
            }
            "Processor Information" => found.processors.extend(entries(&table, PROCESSOR)),
            "Memory Device" if value(&table, "Size") != Some("No Module Installed") => {
                found.memory_devices.extend(entries(&table, MEMORY_DEVICE));
            }
            "OEM Strings" => oem.extend(oem_strings(&table).map(|(number, value)| {
                let raw = value.contains('.').then(|| raw_oem_string(number)).flatten();
                let raw = raw.map(|raw| raw.trim_end_matches('\n').to_owned());
                let value = raw.filter(|raw| !raw.is_empty()).unwrap_or_else(|| value.to_owned());
                Entry { value, ..Entry::default() }
            })),
            _ => {}
        }
    }
    found.oem_strings = (!oem.is_empty()).then_some(Entries { entries: oem });
    found
}

/// The numbers of the vendor's strings that may not be shown as they are.
pub(super) fn doubtful_oem_strings(text: &str) -> Vec<u32> {
    let tables = tables(text).into_iter().filter(|(title, _)| *title == "OEM Strings");
    let strings: Vec<_> =
        tables.flat_map(|(_, table)| oem_strings(&table).collect::<Vec<_>>()).collect();
    strings.into_iter().filter(|(_, value)| value.contains('.')).map(|(number, _)| number).collect()
}

/// The names and values of a table, in their order.
type Table<'a> = Vec<(&'a str, &'a str)>;

fn tables(text: &str) -> Vec<(&str, Table<'_>)> {
    let mut tables: Vec<(&str, Table<'_>)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if !line.starts_with(char::is_whitespace) {
            tables.push((line.trim(), Vec::new()));
        } else if let (Some((_, table)), Some((name, value))) =
            (tables.last_mut(), line.split_once(": "))
        {
            table.push((name.trim(), value.trim()));
        }
    }
    tables
}

fn value<'a>(table: &Table<'a>, name: &str) -> Option<&'a str> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

fn entries(table: &Table<'_>, names: Names) -> Option<Entries> {
    block(names.iter().map(|(name, title)| (*name, value(table, title))))
}

fn oem_strings<'a>(table: &Table<'a>) -> impl Iterator<Item = (u32, &'a str)> {
    table
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("String ")?.parse().ok()?, *value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_has_its_own_lines() {
        let text = "# dmidecode 3.2\nMemory Device\n\tSize: No Module Installed\n\tType: DDR4\n\n\
                    Memory Device Mapped Address\n\tRange Size: 16 GB\n\n\
                    Memory Device\n\tSize: 4 GB\n\tLocator: A1\n\n\
                    OEM Strings\n\tString 1: a.b\n\tString 2: plain\n\tString 3: c.d\n";
        let found = from_dmidecode(text, |number| (number == 1).then(|| "a\nb\n".to_owned()));
        assert_eq!(found.memory_devices.len(), 1);
        assert_eq!(found.memory_devices[0].get("size"), Some("4 GB"));
        let strings: Vec<_> =
            found.oem_strings.unwrap().entries.into_iter().map(|e| e.value).collect();
        assert_eq!(strings, ["a\nb", "plain", "c.d"]);
        assert_eq!(doubtful_oem_strings(text), [1, 3]);
        assert_eq!(found.bios, None);
    }
}

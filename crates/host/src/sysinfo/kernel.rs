// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the kernel shows of the firmware's tables: less than `dmidecode` tells, but it needs no program.

use std::fs;
use std::path::Path;

use virtus_xml::domain::sysinfo::{Entries, Sysinfo};

use super::block;

/// Where the kernel shows the tables.
pub(super) const TABLES: &str = "/sys/class/dmi/id";

/// Each entry: libvirt's name, the kernel's file.
type Names = &'static [(&'static str, &'static str)];

const BIOS: Names = &[
    ("vendor", "bios_vendor"),
    ("version", "bios_version"),
    ("date", "bios_date"),
    ("release", "bios_release"),
];
const SYSTEM: Names = &[
    ("manufacturer", "sys_vendor"),
    ("product", "product_name"),
    ("version", "product_version"),
    ("serial", "product_serial"),
    ("uuid", "product_uuid"),
    ("sku", "product_sku"),
    ("family", "product_family"),
];
const BOARD: Names = &[
    ("manufacturer", "board_vendor"),
    ("product", "board_name"),
    ("version", "board_version"),
    ("serial", "board_serial"),
    ("asset", "board_asset_tag"),
];
const CHASSIS: Names = &[
    ("manufacturer", "chassis_vendor"),
    ("version", "chassis_version"),
    ("serial", "chassis_serial"),
    ("asset", "chassis_asset_tag"),
];

/// What the files of a folder say.
pub(super) fn read(tables: &Path) -> Sysinfo {
    Sysinfo {
        bios: entries(tables, BIOS),
        system: entries(tables, SYSTEM),
        base_boards: entries(tables, BOARD).into_iter().collect(),
        chassis: entries(tables, CHASSIS),
        ..Sysinfo::default()
    }
}

fn entries(tables: &Path, names: Names) -> Option<Entries> {
    let read = |file| fs::read_to_string(tables.join(file)).ok();
    let texts: Vec<_> = names.iter().map(|(name, file)| (*name, read(file))).collect();
    block(texts.iter().map(|(name, text)| (*name, text.as_deref().map(str::trim))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_told_is_written() {
        assert_eq!(read(Path::new("/nowhere")), Sysinfo::default());
        let tables = std::env::temp_dir().join(format!("virtus-dmi-{}", std::process::id()));
        fs::create_dir_all(&tables).unwrap();
        for (file, text) in [("sys_vendor", "Acme\n"), ("product_serial", "  \n")] {
            std::io::Write::write_all(
                &mut fs::File::create(tables.join(file)).unwrap(),
                text.as_bytes(),
            )
            .unwrap();
        }
        let host = read(&tables);
        fs::remove_dir_all(&tables).unwrap();
        let system = host.system.unwrap();
        assert_eq!(system.get("manufacturer"), Some("Acme"));
        assert_eq!(system.entries.len(), 1);
        assert!(host.bios.is_none() && host.base_boards.is_empty());
    }
}

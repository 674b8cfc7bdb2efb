// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this host's firmware says of the host, from what the kernel keeps of its tables.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use virtus_api::{ConnectGetSysinfo, Error, ErrorCode, Result};
use virtus_core::{Call, Routes};
use virtus_domain::routes::check_flags;
use virtus_xml::FormatFlags;
use virtus_xml::domain::sysinfo::{Entries, Entry, Sysinfo, SysinfoType};
use virtus_xml::reader::Element as _;
use virtus_xml::writer::Writer;

use super::by;
use crate::driver::QemuDriver;

/// Where the kernel shows the tables.
const TABLES: &str = "/sys/class/dmi/id";

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

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(get))
}

async fn get(_: Arc<QemuDriver>, _: Call, request: ConnectGetSysinfo) -> Result<String> {
    check_flags(request.flags, 0, "virConnectGetSysinfo")?;
    let host = read(Path::new(TABLES));
    if host == Sysinfo::default() {
        return Err(Error::new(
            ErrorCode::ConfigUnsupported,
            "Host SMBIOS information is not available",
        )
        .hint("the firmware of this host has no such tables, or the kernel does not show them"));
    }
    let mut out = Writer::new(FormatFlags::empty());
    host.write("sysinfo", &mut out);
    Ok(out.finish())
}

fn read(tables: &Path) -> Sysinfo {
    Sysinfo {
        kind: SysinfoType::Smbios,
        bios: block(tables, BIOS),
        system: block(tables, SYSTEM),
        base_boards: block(tables, BOARD).into_iter().collect(),
        chassis: block(tables, CHASSIS),
        ..Sysinfo::default()
    }
}

/// A block with those entries that are there; none if it would be empty.
fn block(tables: &Path, names: Names) -> Option<Entries> {
    let entries: Vec<Entry> = names
        .iter()
        .filter_map(|(name, file)| {
            let text = fs::read_to_string(tables.join(file)).ok()?;
            let value = text.trim();
            (!value.is_empty()).then(|| Entry {
                name: Some((*name).to_owned()),
                value: value.to_owned(),
                ..Entry::default()
            })
        })
        .collect();
    (!entries.is_empty()).then_some(Entries { entries })
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

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<sysinfo>`: what the firmware says about the machine.

use virtus_api::Result;
use virtus_xml::domain::os::SmbiosMode;
use virtus_xml::domain::sysinfo::{Entries, Sysinfo, SysinfoType};

use super::argv::Opts;
use super::line::Line;
use super::storage::unsupported;

const BIOS: &[(&str, &str)] =
    &[("vendor", "vendor"), ("version", "version"), ("date", "date"), ("release", "release")];
const SYSTEM: &[(&str, &str)] = &[
    ("manufacturer", "manufacturer"),
    ("product", "product"),
    ("version", "version"),
    ("serial", "serial"),
    ("uuid", "uuid"),
    ("sku", "sku"),
    ("family", "family"),
];
const BOARD: &[(&str, &str)] = &[
    ("product", "product"),
    ("version", "version"),
    ("serial", "serial"),
    ("asset", "asset"),
    ("location", "location"),
];
const CHASSIS: &[(&str, &str)] =
    &[("version", "version"), ("serial", "serial"), ("asset", "asset"), ("sku", "sku")];

/// Writes `-smbios` and `-fw_cfg`.
pub(crate) fn write(line: &mut Line<'_>) -> Result<()> {
    match line.domain.os.smbios.as_ref().map(|smbios| smbios.mode) {
        Some(SmbiosMode::Sysinfo) => {
            for sysinfo in &line.domain.sysinfos {
                if sysinfo.kind == SysinfoType::Smbios {
                    tables(line, sysinfo);
                }
            }
        }
        Some(SmbiosMode::Host) => return Err(unsupported("<smbios mode='host'/>")),
        Some(SmbiosMode::Emulate) | None => {}
    }
    for sysinfo in &line.domain.sysinfos {
        if sysinfo.kind == SysinfoType::Fwcfg {
            for entry in &sysinfo.entries {
                let mut opts =
                    Opts::default().with("name", entry.name.as_deref().unwrap_or_default());
                match &entry.file {
                    Some(file) => opts.set("file", file),
                    None => opts.set("string", &entry.value),
                }
                line.argv.pair("-fw_cfg", opts);
            }
        }
    }
    Ok(())
}

fn tables(line: &mut Line<'_>, sysinfo: &Sysinfo) {
    let mut table = |number: u32, entries: Option<&Entries>, keys: &[(&str, &str)]| {
        let Some(entries) = entries else { return };
        let mut opts = Opts::default().with("type", number);
        if number >= 2 {
            // Boards and chassis name their maker even where nobody is stated.
            opts.set("manufacturer", entries.get("manufacturer").unwrap_or_default());
        }
        for (name, key) in keys {
            opts = opts.maybe(key, entries.get(name));
        }
        line.argv.pair("-smbios", opts);
    };
    table(0, sysinfo.bios.as_ref(), BIOS);
    table(1, sysinfo.system.as_ref(), SYSTEM);
    for board in &sysinfo.base_boards {
        table(2, Some(board), BOARD);
    }
    table(3, sysinfo.chassis.as_ref(), CHASSIS);
    if let Some(strings) = &sysinfo.oem_strings {
        let mut opts = Opts::default().with("type", 11);
        for entry in &strings.entries {
            opts.set("value", &entry.value);
        }
        line.argv.pair("-smbios", opts);
    }
}

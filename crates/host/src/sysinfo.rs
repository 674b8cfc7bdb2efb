// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the firmware or the kernel says of this host, as libvirt's `<sysinfo>`.
//!
//! The readers of texts are pure; [`host`] finds out which text this host has.

mod cpuinfo;
mod kernel;
mod smbios;

use std::path::Path;
use std::time::Duration;

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::domain::sysinfo::{Entries, Entry, Sysinfo};

pub use cpuinfo::{from_arm_cpuinfo, from_ppc_cpuinfo, from_s390};
pub use smbios::from_dmidecode;

use crate::process::{Run, find_program};

/// How long `dmidecode` may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of this host.
///
/// # Errors
/// `VIR_ERR_CONFIG_UNSUPPORTED` where neither firmware nor kernel tell anything.
pub async fn host() -> Result<Sysinfo> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = || read("/proc/cpuinfo");
    let found = match crate::node::arch().as_str() {
        "ppc64" | "ppc64le" => from_ppc_cpuinfo(&cpus()),
        "s390" | "s390x" => from_s390(&read("/proc/sysinfo"), &cpus()),
        arch => match smbios_tables().await {
            Some(found) => found,
            None if arch.starts_with("arm") || arch == "aarch64" => from_arm_cpuinfo(&cpus()),
            None => kernel::read(Path::new(kernel::TABLES)),
        },
    };
    if found != Sysinfo::default() {
        return Ok(found);
    }
    Err(Error::new(ErrorCode::ConfigUnsupported, "Host SMBIOS information is not available")
        .hint("install dmidecode; where that finds nothing, the firmware has no such tables"))
}

/// The firmware's tables; none if there are none or nobody can read them.
async fn smbios_tables() -> Option<Sysinfo> {
    const TYPES: &str = "0,1,2,3,4,11,17";
    let program = find_program("dmidecode")?;
    let ask = |words: &[&str]| Run::new(program.clone()).args(words).output(PATIENCE);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let tables = ask(&["-q", "-t", TYPES]).await.ok().filter(|said| said.exit.is_success())?;
    let tables = text(tables.stdout);
    let mut raw = Vec::new();
    for number in smbios::doubtful_oem_strings(&tables) {
        let said = ask(&["--oem-string", &number.to_string()]).await.ok();
        raw.extend(said.filter(|said| said.exit.is_success()).map(|s| (number, text(s.stdout))));
    }
    let find = |number| raw.iter().find(|(n, _)| *n == number).map(|(_, text)| text.clone());
    Some(from_dmidecode(&tables, find)).filter(|found| *found != Sysinfo::default())
}

fn entry(name: &str, value: &str) -> Entry {
    Entry { name: Some(name.to_owned()), value: value.to_owned(), ..Entry::default() }
}

/// A block of the entries that have a value; none if no entry has.
fn block<'a>(entries: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Option<Entries> {
    let known = entries.into_iter().filter_map(|(name, value)| Some(entry(name, value?)));
    let entries: Vec<Entry> = known.filter(|entry| !entry.value.is_empty()).collect();
    (!entries.is_empty()).then_some(Entries { entries })
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which host this is.

use std::fs;

use rustix::fs::{Mode, OFlags, open};
use uuid::Uuid;

/// The host's name, with its domain where the resolver's file of hosts knows it.
#[must_use]
pub fn hostname() -> String {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy().into_owned();
    if name.contains('.') || name.is_empty() {
        return name;
    }
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .map(|line| line.split_ascii_whitespace().skip(1).collect::<Vec<_>>())
        .filter(|names| names.contains(&&*name))
        .filter_map(|names| names.first().map(|first| (*first).to_owned()))
        .find(|full| full.starts_with(&format!("{name}.")) && !full.starts_with("localhost"))
        .unwrap_or(name)
}

/// The host's architecture by libvirt's name.
#[must_use]
pub fn arch() -> String {
    let uname = rustix::system::uname();
    let machine = uname.machine().to_string_lossy().into_owned();
    match machine.as_str() {
        "i386" | "i486" | "i586" | "i686" => "i686".to_owned(),
        "amd64" => "x86_64".to_owned(),
        "armv8l" => "armv7l".to_owned(),
        _ => machine,
    }
}

/// The host's UUID: that of its firmware if that looks real, else one made of the machine's id.
#[must_use]
pub fn uuid() -> Option<Uuid> {
    let parse = |path: &str| Uuid::parse_str(fs::read_to_string(path).ok()?.trim()).ok();
    parse("/sys/class/dmi/id/product_uuid")
        .filter(looks_real)
        .or_else(|| parse("/etc/machine-id").filter(looks_real))
}

/// Firmware of cheap boards has one digit all over.
fn looks_real(uuid: &Uuid) -> bool {
    let text = uuid.simple().to_string();
    let mut digits = text.bytes();
    let first = digits.next();
    digits.any(|digit| Some(digit) != first)
}

/// Whether `/dev/kvm` can be opened. That guests run on it is another question, which the QEMU driver
/// answers by trying.
#[must_use]
pub fn kvm_opens() -> bool {
    open("/dev/kvm", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).is_ok()
}

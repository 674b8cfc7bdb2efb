// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which host this is.

use std::fs;
use std::sync::{Mutex, PoisonError};

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

/// What the administrator says the host's UUID is.
static CHOSEN: Mutex<Option<Uuid>> = Mutex::new(None);

/// The host's UUID: the chosen one, else that of its firmware if that looks real, else the machine's id.
#[must_use]
pub fn uuid() -> Option<Uuid> {
    let chosen = *CHOSEN.lock().unwrap_or_else(PoisonError::into_inner);
    chosen.or_else(|| read("/sys/class/dmi/id/product_uuid")).or_else(machine_id)
}

/// Says what [`uuid`] answers in this process from now on; `None`: what the host itself says.
pub fn choose_uuid(uuid: Option<Uuid>) {
    *CHOSEN.lock().unwrap_or_else(PoisonError::into_inner) = uuid;
}

/// The id of the installed system, which looks like a UUID.
#[must_use]
pub fn machine_id() -> Option<Uuid> {
    read("/etc/machine-id")
}

fn read(path: &str) -> Option<Uuid> {
    Uuid::parse_str(fs::read_to_string(path).ok()?.trim()).ok().filter(looks_real)
}

/// Whether it can be a host's UUID. Firmware of cheap boards has one digit all over.
#[must_use]
pub fn looks_real(uuid: &Uuid) -> bool {
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

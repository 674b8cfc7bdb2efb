// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reads the configuration of a container of the LXC tools as a definition. Pure.
//!
//! Keys of their third release are read as those of the older ones, which they replaced.

mod mounts;
mod network;
mod tuning;

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::domain::chardev::{Chardev, ChardevTarget, ChardevTargetType, ChardevType};
use virtus_xml::domain::idmap::{IdMap, IdRange};
use virtus_xml::domain::lxc::{CAPABILITIES, Capabilities, CapabilitiesPolicy};
use virtus_xml::domain::memory::Memory;
use virtus_xml::domain::tuning::Vcpu;
use virtus_xml::domain::{DomainType, LifecycleAction};
use virtus_xml::units::Kib;
use virtus_xml::value::OnOff;
use virtus_xml::{Domain, FormatFlags, ParseFlags};

/// The name of the format.
pub const FORMAT: &str = "lxc-tools";
/// The memory of a container whose configuration sets no limit, in KiB.
const MEMORY: u64 = 64 << 10;
/// The most terminals that a configuration may ask for.
const MOST_TERMINALS: u32 = 1024;

/// Keys of the third release, and what they were called before.
const RENAMED: &[(&str, &str)] = &[
    ("lxc.rootfs.path", "lxc.rootfs"),
    ("lxc.uts.name", "lxc.utsname"),
    ("lxc.mount.fstab", "lxc.mount"),
    ("lxc.tty.max", "lxc.tty"),
    ("lxc.idmap", "lxc.id_map"),
];

/// A configuration: its settings in their order.
struct Config(Vec<(String, String)>);

impl Config {
    fn read(text: &str) -> Result<Self> {
        let mut settings = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once('=').ok_or_else(|| {
                let text =
                    format!("line {number} of the configuration is no 'key = value': {line}");
                Error::new(ErrorCode::ConfSyntax, text)
            })?;
            let key = key.trim();
            let renamed = RENAMED.iter().find(|(new, _)| *new == key).map_or(key, |(_, old)| old);
            settings.push((renamed.to_owned(), value.trim().to_owned()));
        }
        Ok(Self(settings))
    }

    /// The settings of this key.
    fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// What a key is set to; the last setting counts.
    fn get(&self, key: &str) -> Option<&str> {
        let set = self.0.iter().rev().find(|(name, _)| name == key);
        set.map(|(_, value)| value.as_str())
    }

    /// A number, if the key is set.
    fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>> {
        self.get(key).map(|value| number(key, value)).transpose()
    }
}

/// The definition that a configuration means.
///
/// # Errors
/// Where it lacks a root, refers to a table of mounts, or a value cannot be understood.
pub fn read(text: &str) -> Result<Domain> {
    let config = Config::read(text)?;
    let mut def = Domain { kind: DomainType::Lxc, ..Domain::default() };
    def.name = config.get("lxc.utsname").unwrap_or("unnamed").to_owned();
    def.memory = Memory { kib: MEMORY, ..Memory::default() };
    def.vcpu = Some(Vcpu { max: 1, ..Vcpu::default() });
    def.os.kind.name = "exe".to_owned();
    def.os.kind.arch = config.get("lxc.arch").map(arch);
    def.os.init = Some("/sbin/init".to_owned());
    def.on_poweroff = Some(LifecycleAction::Destroy);
    def.on_reboot = Some(LifecycleAction::Restart);
    def.on_crash = Some(LifecycleAction::Destroy);
    mounts::convert(&config, &mut def)?;
    network::convert(&config, &mut def)?;
    let terminals: u32 = config.number("lxc.tty")?.unwrap_or_default();
    def.devices.consoles = (0..terminals.min(MOST_TERMINALS)).map(console).collect();
    def.idmap = id_map(&config)?;
    tuning::convert(&config, &mut def)?;
    def.features.capabilities = Some(capabilities(&config));
    // As a document says it, with all that follows from that.
    Ok(Domain::parse(&def.format(FormatFlags::INACTIVE), ParseFlags::INACTIVE)?.value)
}

/// An architecture by the name that this format has for it.
fn arch(name: &str) -> String {
    match name {
        "x86" => "i686",
        "amd64" => "x86_64",
        other => other,
    }
    .to_owned()
}

fn console(port: u32) -> Chardev {
    Chardev {
        kind: ChardevType::Pty,
        target: Some(ChardevTarget {
            kind: Some(ChardevTargetType::Lxc),
            port: Some(port),
            ..ChardevTarget::default()
        }),
        ..Chardev::default()
    }
}

/// `u INSIDE OUTSIDE COUNT`, and the same for groups with `g`.
fn id_map(config: &Config) -> Result<Option<IdMap>> {
    let mut map = IdMap::default();
    for value in config.all("lxc.id_map") {
        let words: Vec<&str> = value.split_ascii_whitespace().collect();
        let invalid = || refused(format!("invalid lxc.id_map: '{value}'"));
        let &[kind, inside, outside, count] = words.as_slice() else { return Err(invalid()) };
        let id = |text: &str| text.parse().map_err(|_| invalid());
        let range = IdRange { start: id(inside)?, target: id(outside)?, count: id(count)? };
        match kind {
            "u" => map.uids.push(range),
            "g" => map.gids.push(range),
            _ => return Err(invalid()),
        }
    }
    Ok((map != IdMap::default()).then_some(map))
}

/// All but those that are dropped.
fn capabilities(config: &Config) -> Capabilities {
    let dropped: Vec<&str> =
        config.all("lxc.cap.drop").flat_map(str::split_ascii_whitespace).collect();
    let known = CAPABILITIES.iter().filter(|name| dropped.contains(name));
    Capabilities {
        policy: CapabilitiesPolicy::Allow,
        named: known.map(|name| ((*name).to_owned(), OnOff::Off)).collect(),
    }
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| refused(format!("'{value}' is not a number that '{key}' can have")))
}

/// A size such as `512M`, in KiB.
fn size(key: &str, value: &str) -> Result<Kib> {
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, unit) = value.split_at(digits);
    if unit == "%" {
        return Err(refused(format!("'{key}' has the size '{value}', which depends on the host"))
            .hint("say how much it is, such as 512M"));
    }
    let factor = if unit.is_empty() { Some(1) } else { virtus_xml::units::factor(unit) };
    let bytes = factor.and_then(|factor| count.parse::<u64>().ok()?.checked_mul(factor));
    bytes
        .map(|bytes| Kib(bytes / 1024))
        .ok_or_else(|| refused(format!("'{value}' is not a size that '{key}' can have")))
}

fn refused(text: String) -> Error {
    Error::new(ErrorCode::ConfigUnsupported, text)
}

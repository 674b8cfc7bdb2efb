// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names in Rust for what the table names in its own way.

use super::table::Kind;

/// `STORAGE_POOL`, `storage_pool` -> `StoragePool`
pub(super) fn camel(name: &str) -> String {
    let mut camel = String::new();
    for word in name.split('_') {
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            camel.push(first.to_ascii_uppercase());
            camel.push_str(&letters.as_str().to_ascii_lowercase());
        }
    }
    camel
}

/// A member of an enum: like [`camel`], with a letter before a name that starts with a digit.
pub(super) fn variant(name: &str) -> String {
    let name = camel(name);
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("N{name}") } else { name }
}

/// A field or argument, as an identifier.
pub(super) fn field(name: &str) -> String {
    const KEYWORDS: [&str; 6] = ["type", "ref", "match", "use", "in", "dyn"];
    if KEYWORDS.contains(&name) { format!("r#{name}") } else { name.to_owned() }
}

/// The Rust type of a field.
pub(super) fn rust(kind: &Kind) -> String {
    match kind {
        Kind::Plain(plain) => match *plain {
            "int" => "i32",
            "uint" => "u32",
            "hyper" => "i64",
            "uhyper" => "u64",
            "char" => "i8",
            "uchar" => "u8",
            "short" => "i16",
            "ushort" => "u16",
            "double" => "f64",
            other => other,
        }
        .to_owned(),
        Kind::String => "String".to_owned(),
        Kind::Uuid => "Uuid".to_owned(),
        Kind::Bytes(_) => "Vec<u8>".to_owned(),
        Kind::Named(name) => name.clone(),
        Kind::Optional(of) => format!("Option<{}>", rust(of)),
        Kind::Array(of, _) => format!("Vec<{}>", rust(of)),
        Kind::Fixed(of, length) => format!("[{}; {length}]", rust(of)),
    }
}

/// The limit of a list or of bytes.
pub(super) fn limit(kind: &Kind) -> Option<&str> {
    match kind {
        Kind::Bytes(limit) | Kind::Array(_, limit) => Some(limit),
        _ => None,
    }
}

/// `DomainEventLifecycle` -> `Lifecycle`, `QemuDomainMonitorEvent` -> `DomainMonitor`
pub(super) fn event_variant(name: &str) -> String {
    let name = name.strip_prefix("Qemu").unwrap_or(name);
    match name.split_once("Event") {
        Some((before, "")) => before.to_owned(),
        Some((_, after)) => after.to_owned(),
        None => name.to_owned(),
    }
}

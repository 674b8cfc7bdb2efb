// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sizes with units: read in any unit, kept and written in one.

use virtus_api::Result;

use crate::reader::{Element, Node};
use crate::schema::{Shape, kinds};
use crate::writer::Writer;

/// An amount of memory in KiB; `<memory unit='MiB'>4</memory>` is read as 4096 and written `unit='KiB'`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Kib(pub u64);

/// A number of bytes; read in any unit, bytes by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// How many bytes one `unit` is; `None` if there is no such unit.
#[must_use]
pub fn factor(unit: &str) -> Option<u64> {
    if unit.eq_ignore_ascii_case("b")
        || unit.eq_ignore_ascii_case("byte")
        || unit.eq_ignore_ascii_case("bytes")
    {
        return Some(1);
    }
    let (letter, rest) = unit.split_at_checked(1)?;
    let power = match letter.to_ascii_lowercase().as_str() {
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        "e" => 6,
        _ => return None,
    };
    match rest.to_ascii_lowercase().as_str() {
        "" | "ib" => Some(1024_u64.pow(power)),
        "b" => Some(1000_u64.pow(power)),
        _ => None,
    }
}

/// The bytes of a scaled element: its text, in the unit that `unit` names, or in `default` bytes.
pub fn scaled(node: Node<'_>, default: u64) -> Result<u64> {
    let number: u64 = node.text_value()?;
    scale(node, number, default)
}

/// `number` in the unit that the attribute `unit` of `node` names, in bytes.
pub fn scale(node: Node<'_>, number: u64, default: u64) -> Result<u64> {
    let factor = match node.attr("unit") {
        None => default,
        Some(unit) => factor(unit.text()).ok_or_else(|| {
            unit.invalid(&crate::value::Allowed::A(
                "b, KB, KiB, MB, MiB, GB, GiB, TB, TiB, PB, PiB, EB, EiB",
            ))
        })?,
    };
    number.checked_mul(factor).ok_or_else(|| node.error("size value too large"))
}

impl Kib {
    /// Reads the text of `node`; whole KiB, rounded up.
    pub fn of(node: Node<'_>) -> Result<Self> {
        Ok(Self(scaled(node, 1024)?.div_ceil(1024)))
    }
}

impl Element for Kib {
    const SHAPE: &'static Shape = shape!(Scaled: attr kinds::Unit = "unit", text u64);
    fn read(node: Node<'_>) -> Result<Self> {
        Self::of(node)
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        out.attr_text("unit", "KiB");
        out.text(&self.0);
        out.end(tag);
    }
}

impl Element for Bytes {
    const SHAPE: &'static Shape = Kib::SHAPE;
    fn read(node: Node<'_>) -> Result<Self> {
        scaled(node, 1).map(Self)
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        out.attr_text("unit", "bytes");
        out.text(&self.0);
        out.end(tag);
    }
}

/// `bytes` in the largest unit that divides it, as libvirt picks it.
#[must_use]
pub fn pretty(bytes: u64) -> (u64, &'static str) {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut number, mut unit) = (bytes, 0);
    while number != 0 && number % 1024 == 0 && unit + 1 < UNITS.len() {
        number /= 1024;
        unit += 1;
    }
    (number, UNITS[unit])
}

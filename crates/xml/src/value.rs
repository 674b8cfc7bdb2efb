// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can stand in an attribute or be an element's text, and how it is spelt.
//!
//! Invariant: `parse` accepts what libvirt accepts, `write` spells as libvirt spells; nothing else knows spellings.

use std::fmt;
use std::net::IpAddr;

use uuid::Uuid;

use crate::schema::Data;
use crate::writer::Escaped;

/// A value with a textual form.
pub trait Value: Sized {
    /// What is accepted, for error messages.
    const ALLOWED: Allowed;
    /// What a grammar says of it.
    const DATA: Data = Data::Plain;
    /// Reads the text; `None` if it is not allowed.
    fn parse(text: &str) -> Option<Self>;
    fn write(&self, out: &mut Escaped<'_>);
}

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub enum Allowed {
    OneOf(&'static [&'static str]),
    /// A number that is not negative.
    Count(&'static str),
    /// A number.
    Number(&'static str),
    A(&'static str),
}

impl Allowed {
    /// What libvirt says that it expected, where it does.
    pub(crate) fn expected(&self) -> &'static str {
        match self {
            Self::Count(_) => " Expected non-negative integer value",
            Self::Number(_) => " Expected integer value",
            Self::OneOf(_) | Self::A(_) => "",
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(words) => f.write_str(&words.join(", ")),
            Self::Count(kind) | Self::Number(kind) | Self::A(kind) => f.write_str(kind),
        }
    }
}

impl Value for String {
    const ALLOWED: Allowed = Allowed::A("text");
    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put(self);
    }
}

macro_rules! numbers {
    ($($ty:ident $xsd:literal $sort:ident $kind:literal),*) => {$(
        impl Value for $ty {
            const ALLOWED: Allowed = Allowed::$sort($kind);
            const DATA: Data = Data::Xsd($xsd);
            fn parse(text: &str) -> Option<Self> {
                let text = text.trim_ascii();
                let digits = text.strip_prefix('+').unwrap_or(text);
                digits.parse().ok()
            }
            fn write(&self, out: &mut Escaped<'_>) {
                out.put(self);
            }
        }
    )*};
}
numbers!(
    u8 "unsignedByte" Count "a number from 0 to 255",
    u16 "unsignedShort" Count "a number from 0 to 65535",
    u32 "unsignedInt" Count "a number from 0 to 4294967295",
    u64 "unsignedLong" Count "a non-negative number",
    i32 "int" Number "a number",
    i64 "long" Number "a number"
);

macro_rules! shown {
    ($($ty:ident $pattern:literal $kind:literal),*) => {$(
        impl Value for $ty {
            const ALLOWED: Allowed = Allowed::A($kind);
            const DATA: Data = Data::Pattern($pattern);
            fn parse(text: &str) -> Option<Self> {
                text.trim_ascii().parse().ok()
            }
            fn write(&self, out: &mut Escaped<'_>) {
                out.put(self);
            }
        }
    )*};
}
shown!(IpAddr r"[0-9.]+|[0-9a-fA-F:.]+" "an IP address", Mac r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}" "a MAC address such as 52:54:00:12:34:56");

impl Value for Uuid {
    const ALLOWED: Allowed = Allowed::A("a UUID such as c7a5fdbd-edaf-9455-926a-d65c16db1809");
    const DATA: Data =
        Data::Pattern(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}");
    fn parse(text: &str) -> Option<Self> {
        let digits: String =
            text.chars().filter(|c| !matches!(c, '-') && !c.is_whitespace()).collect();
        Self::try_parse(&digits).ok()
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put(self.hyphenated());
    }
}

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Whether it names a group of cards, not one.
    #[must_use]
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl std::str::FromStr for Mac {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|p| (1..=2).contains(&p.len())).ok_or(())?;
            if !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| ())?;
        }
        if parts.next().is_some() { Err(()) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A number written as `0x` and `WIDTH` digits; read in decimal, hexadecimal or octal, as C reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Hex<const WIDTH: usize>(pub u64);

impl<const WIDTH: usize> Value for Hex<WIDTH> {
    const ALLOWED: Allowed = Allowed::Count("a number such as 0x1f");
    const DATA: Data = Data::Pattern("0[xX][0-9a-fA-F]+|[0-9]+");
    fn parse(text: &str) -> Option<Self> {
        c_number(text).map(Self)
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put(format_args!("0x{:0width$x}", self.0, width = WIDTH));
    }
}

/// The same, but hexadecimal even without `0x`: the identifiers that buses give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct HexId<const WIDTH: usize>(pub u32);

impl<const WIDTH: usize> Value for HexId<WIDTH> {
    const ALLOWED: Allowed = Allowed::A("a hexadecimal number such as 0x10de");
    const DATA: Data = Data::Pattern("(0[xX])?[0-9a-fA-F]+");
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| plain).map(Self)
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put(format_args!("0x{:0width$x}", self.0, width = WIDTH));
    }
}

/// A number that C would read with base 0.
#[must_use]
pub fn c_number(text: &str) -> Option<u64> {
    let text = text.trim_ascii();
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        if hex.starts_with('+') {
            return None;
        }
        u64::from_str_radix(hex, 16).ok()
    } else if text.len() > 1 && text.starts_with('0') {
        u64::from_str_radix(&text[1..], 8).ok()
    } else {
        text.parse().ok()
    }
}

spellings! {
    /// A choice that is spelt `yes` or `no`.
    pub enum YesNo { No = "no", Yes = "yes" }
}
spellings! {
    /// A choice that is spelt `on` or `off`.
    pub enum OnOff { Off = "off", On = "on" }
}

impl YesNo {
    #[must_use]
    pub fn is_yes(self) -> bool {
        self == Self::Yes
    }
}

impl OnOff {
    #[must_use]
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

impl From<bool> for YesNo {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl From<bool> for OnOff {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

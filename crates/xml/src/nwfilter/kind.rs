// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The kinds of values that a rule compares a packet's fields with: how each is read and written.

use bitflags::bitflags;

use super::Variable;
use crate::ip::{Family, IpAddress};
use crate::schema::{self, Data};
use crate::value::{Allowed, Mac, Value};
use crate::writer::Escaped;

/// What the value of an attribute is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Mac,
    /// Set bits, then none.
    MacMask,
    Address(Family),
    /// A prefix, or a mask that is one.
    Mask(Family),
    Number(Number),
    State,
    TcpFlags,
    Boolean,
    Comment,
    IpsetName,
    IpsetFlags,
}

/// Numbers from `min` to `max`; read in decimal or hexadecimal (with or without `0x`), written as they were read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    pub min: u32,
    pub max: u32,
    /// Names of numbers: read in any case, always written for their numbers.
    pub words: &'static [(&'static str, u32)],
    pub hex: Hex,
    /// What is allowed, for people.
    pub allowed: &'static str,
}

/// Where a number may be hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hex {
    Never,
    Read,
    ReadAndWritten,
}

/// A value that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum ItemValue {
    /// Known only where the filter is applied.
    Variable(Variable),
    Mac(Mac),
    Address(IpAddress),
    Prefix(u32),
    Number {
        number: u32,
        hex: bool,
    },
    State(States),
    TcpFlags {
        mask: u8,
        flags: u8,
    },
    Boolean(bool),
    Text(String),
    Ipset(Vec<IpsetSide>),
}

spellings! {
    /// Which address of a packet is looked up in a set.
    pub enum IpsetSide { Src = "src", Dst = "dst" }
}

bitflags! {
    /// The states of the connection that a packet belongs to.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct States: u8 {
        const NEW = 1;
        const ESTABLISHED = 2;
        const RELATED = 4;
        const INVALID = 8;
        /// The state does not count; excludes the others.
        const NONE = 16;
    }
}

const TCP_FLAGS: [(&str, u8); 6] =
    [("FIN", 1), ("SYN", 2), ("RST", 4), ("PSH", 8), ("ACK", 0x10), ("URG", 0x20)];
const ALL_TCP_FLAGS: u8 = 0x3f;
/// The most bytes of a comment that are kept: what iptables can hold.
const MAX_COMMENT: usize = 256;
/// The longest name of a set, and the most of its dimensions.
const MAX_IPSET_NAME: usize = 31;
const MAX_IPSET_SIDES: usize = 6;

impl Kind {
    /// What is accepted besides variables, for error messages.
    #[must_use]
    pub const fn allowed(self) -> Allowed {
        match self {
            Self::Mac => Mac::ALLOWED,
            Self::MacMask => Allowed::A("a mask such as ff:ff:ff:00:00:00"),
            Self::Address(Family::Ipv4) => Allowed::A("an IPv4 address"),
            Self::Address(Family::Ipv6) => Allowed::A("an IPv6 address"),
            Self::Mask(Family::Ipv4) => Allowed::A("a prefix from 0 to 32 or a netmask"),
            Self::Mask(Family::Ipv6) => Allowed::A("a prefix from 0 to 128 or a netmask"),
            Self::Number(number) => Allowed::A(number.allowed),
            Self::State => Allowed::A("a list of NEW, ESTABLISHED, RELATED, INVALID, or NONE"),
            Self::TcpFlags => Allowed::A(
                "MASK/FLAGS, each a list of FIN, SYN, RST, PSH, ACK, URG, or ALL, or NONE",
            ),
            Self::Boolean => Allowed::OneOf(&["true", "false"]),
            Self::Comment => Allowed::A("text"),
            Self::IpsetName => {
                Allowed::A("the name of a set, of at most 31 letters, digits and _.:-+")
            }
            Self::IpsetFlags => Allowed::A("a list of src and dst, of at most 6"),
        }
    }

    /// The same for the schema; `accepts` is [`Self::parse`] of this very kind.
    pub(super) const fn described(self, accepts: fn(&str) -> bool) -> schema::Kind {
        let data = match self {
            Self::Boolean | Self::Comment => Data::Plain,
            Self::Mac | Self::MacMask => {
                Data::Pattern(r"[$].+|([a-fA-F0-9]{1,2}:){5}[a-fA-F0-9]{1,2}")
            }
            Self::Address(_) => Data::Pattern(r"[$].+|[0-9a-fA-F.:xX]+"),
            Self::Mask(_) => Data::Pattern(r"[$].+|[0-9a-fA-F.:]+"),
            Self::Number(_) => Data::Pattern(r"[$].+|(0x)?[0-9a-fA-F]+|[A-Za-z][A-Za-z0-9_]*"),
            Self::State => Data::Pattern(r"[$].+|[A-Za-z, ]*"),
            Self::TcpFlags => Data::Pattern(r"[$].+|[A-Za-z, ]*/[A-Za-z, ]*"),
            Self::IpsetName => Data::Pattern(r"[$].+|[a-zA-Z0-9_.:\-+ ]{0,31}"),
            Self::IpsetFlags => Data::Pattern(r"[SsRrCcDdTt]{3}(,[SsRrCcDdTt]{3}){0,5}"),
        };
        schema::Kind { allowed: self.allowed(), data, accepts }
    }

    /// Reads a value.
    pub(super) fn parse(self, text: &str) -> Option<ItemValue> {
        if text.starts_with('$') {
            return Variable::parse(text).map(ItemValue::Variable);
        }
        match self {
            Self::Mac => Mac::parse(text).map(ItemValue::Mac),
            Self::MacMask => Mac::parse(text).filter(is_mask).map(ItemValue::Mac),
            Self::Address(family) => address(text, family).map(ItemValue::Address),
            Self::Mask(family) => match u32::parse(text) {
                Some(prefix) => (prefix <= family.width()).then_some(prefix),
                None => address(text, family)?.prefix_of_mask(),
            }
            .map(ItemValue::Prefix),
            Self::Number(number) => number.parse(text),
            Self::State => states(text).map(ItemValue::State),
            Self::TcpFlags => {
                let (mask, flags) = text.split_once('/')?;
                Some(ItemValue::TcpFlags { mask: tcp_flags(mask)?, flags: tcp_flags(flags)? })
            }
            Self::Boolean => Some(ItemValue::Boolean(matches!(text, "true" | "1" | "yes"))),
            Self::Comment => {
                let end =
                    (0..=MAX_COMMENT.min(text.len())).rfind(|&end| text.is_char_boundary(end));
                Some(ItemValue::Text(text[..end.unwrap_or_default()].to_owned()))
            }
            Self::IpsetName => {
                let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_.:-+ ".contains(c));
                (plain && text.len() <= MAX_IPSET_NAME).then(|| ItemValue::Text(text.to_owned()))
            }
            Self::IpsetFlags => {
                let side = |side: &str| IpsetSide::parse(&side.to_ascii_lowercase());
                let sides: Vec<IpsetSide> = text.split(',').map(side).collect::<Option<_>>()?;
                (sides.len() <= MAX_IPSET_SIDES).then_some(ItemValue::Ipset(sides))
            }
        }
    }

    /// Writes a value of this kind.
    pub(super) fn write(self, value: &ItemValue, out: &mut Escaped<'_>) {
        match value {
            ItemValue::Variable(variable) => variable.write(out),
            ItemValue::Mac(mac) => out.put(mac),
            ItemValue::Address(address) => out.put(address),
            ItemValue::Prefix(prefix) => out.put(prefix),
            ItemValue::Number { number, hex } => {
                let words = if let Self::Number(kind) = self { kind.words } else { &[] };
                match words.iter().find(|(_, named)| named == number) {
                    Some((word, _)) => out.put(word),
                    None if *hex => out.put(format_args!("0x{number:x}")),
                    None => out.put(number),
                }
            }
            ItemValue::State(states) => list(states.iter_names().map(|(name, _)| name), out),
            ItemValue::TcpFlags { mask, flags } => {
                write_tcp_flags(*mask, out);
                out.put('/');
                write_tcp_flags(*flags, out);
            }
            ItemValue::Boolean(value) => out.put(value),
            ItemValue::Text(text) => out.put(text),
            ItemValue::Ipset(sides) => list(sides.iter().map(|side| side.as_str()), out),
        }
    }
}

impl Number {
    fn parse(&self, text: &str) -> Option<ItemValue> {
        let in_range = |number: &u32| (self.min..=self.max).contains(number);
        if let Some(number) = u32::parse(text) {
            return in_range(&number).then_some(ItemValue::Number { number, hex: false });
        }
        if self.hex != Hex::Never {
            let digits = text.trim_ascii();
            let digits =
                digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(digits);
            if let Ok(number) = u32::from_str_radix(digits, 16) {
                let hex = self.hex == Hex::ReadAndWritten;
                return in_range(&number).then_some(ItemValue::Number { number, hex });
            }
        }
        let named = self.words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text))?;
        Some(ItemValue::Number { number: named.1, hex: false })
    }
}

fn address(text: &str, family: Family) -> Option<IpAddress> {
    IpAddress::parse(text).filter(|address| address.family() == family)
}

fn is_mask(mac: &Mac) -> bool {
    let bits = mac.0.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
    let ones = (bits << 16).leading_ones();
    (bits << 16).count_ones() == ones
}

/// The words of a list; blanks separate too.
fn words(text: &str) -> impl Iterator<Item = String> {
    let split = text.split(|c: char| c == ',' || c.is_whitespace());
    split.filter(|word| !word.is_empty()).map(str::to_ascii_uppercase)
}

fn states(text: &str) -> Option<States> {
    let mut states = States::empty();
    for word in words(text) {
        states |= States::from_name(&word)?;
    }
    Some(if states.contains(States::NONE) { States::NONE } else { states })
}

fn tcp_flags(text: &str) -> Option<u8> {
    let mut flags = 0;
    for word in words(text) {
        flags |= match word.as_str() {
            "ALL" => ALL_TCP_FLAGS,
            "NONE" => 0,
            word => TCP_FLAGS.iter().find(|(name, _)| *name == word)?.1,
        };
    }
    Some(flags)
}

fn write_tcp_flags(flags: u8, out: &mut Escaped<'_>) {
    match flags {
        0 => out.put("NONE"),
        ALL_TCP_FLAGS => out.put("ALL"),
        _ => list(TCP_FLAGS.iter().filter(|(_, bit)| flags & bit != 0).map(|(name, _)| *name), out),
    }
}

fn list<'w>(words: impl Iterator<Item = &'w str>, out: &mut Escaped<'_>) {
    for (at, word) in words.enumerate() {
        if at > 0 {
            out.put(',');
        }
        out.put(word);
    }
}

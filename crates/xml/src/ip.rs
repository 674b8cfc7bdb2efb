// SPDX-License-Identifier: Apache-2.0 OR MIT
//! IP addresses as libvirt reads and writes them, and the arithmetic of prefixes and ranges.
//!
//! Invariant: what C's `inet_aton` takes for an IPv4 address is taken; text is what C's `inet_ntop` writes.

mod range;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use range::{RangeError, range_size};

use crate::schema::Data;
use crate::value::{Allowed, Value, c_number};
use crate::writer::Escaped;

/// An IPv4 or IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpAddress(pub IpAddr);

spellings! {
    /// Which kind of addresses.
    pub enum Family { Ipv4 = "ipv4", Ipv6 = "ipv6" }
}

impl Family {
    /// How many bits an address has.
    #[must_use]
    pub fn width(self) -> u32 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }
}

impl Default for IpAddress {
    fn default() -> Self {
        Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

impl IpAddress {
    #[must_use]
    pub fn family(self) -> Family {
        if self.0.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }

    /// The address as a number, the first bit of the address being the highest of [`Family::width`].
    fn bits(self) -> u128 {
        match self.0 {
            IpAddr::V4(v4) => v4.to_bits().into(),
            IpAddr::V6(v6) => v6.to_bits(),
        }
    }

    fn from_bits(family: Family, bits: u128) -> Self {
        Self(match family {
            Family::Ipv4 => {
                IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or_default()))
            }
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        })
    }

    /// The mask whose first `prefix` bits are set; `None` if the family has fewer bits.
    #[must_use]
    pub fn netmask(family: Family, prefix: u32) -> Option<Self> {
        let host = family.width().checked_sub(prefix)?;
        let all = u128::MAX >> (128 - family.width());
        Some(Self::from_bits(family, all & u128::MAX.checked_shl(host).unwrap_or_default()))
    }

    /// The address's bits that are set in `mask`, which is of the same family.
    #[must_use]
    pub fn masked(self, mask: Self) -> Self {
        Self::from_bits(self.family(), self.bits() & mask.bits())
    }

    /// The address of the network whose prefix has this length; `None` if the family has fewer bits.
    #[must_use]
    pub fn network(self, prefix: u32) -> Option<Self> {
        Some(self.masked(Self::netmask(self.family(), prefix)?))
    }

    /// Whether it is the address by which a host calls itself.
    #[must_use]
    pub fn is_localhost(self) -> bool {
        self.0 == Ipv4Addr::LOCALHOST || self.0 == Ipv6Addr::LOCALHOST
    }

    /// How many bits a mask sets; `None` if they are not the first ones.
    #[must_use]
    pub fn prefix_of_mask(self) -> Option<u32> {
        let prefix = (self.bits() << (128 - self.family().width())).leading_ones();
        (Self::netmask(self.family(), prefix) == Some(self)).then_some(prefix)
    }

    /// The prefix of a network that states none: IPv4's classes, 64 bits of IPv6.
    #[must_use]
    pub fn natural_prefix(self) -> Option<u32> {
        match self.0 {
            address if address.is_unspecified() => Some(0),
            IpAddr::V6(_) => Some(64),
            IpAddr::V4(v4) => match v4.octets()[0] {
                0..128 => Some(8),
                128..192 => Some(16),
                192..224 => Some(24),
                _ => None,
            },
        }
    }
}

/// `a`, `a.b`, `a.b.c` or `a.b.c.d`, each in decimal, octal or hexadecimal; the last fills what is left.
fn parse_v4(text: &str) -> Option<Ipv4Addr> {
    if text.len() > 64
        || !text.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b'x' | b'X'))
    {
        return None;
    }
    let numbers: Vec<u64> = text.split('.').map(c_number).collect::<Option<_>>()?;
    let (last, first) = numbers.split_last()?;
    if first.len() > 3 || first.iter().any(|&byte| byte > 255) {
        return None;
    }
    let left = 8 * (4 - first.len());
    if *last >> left != 0 {
        return None;
    }
    let high = first.iter().fold(0, |high, byte| (high << 8) | byte);
    u32::try_from((high << left) | last).ok().map(Ipv4Addr::from_bits)
}

impl Value for IpAddress {
    const ALLOWED: Allowed = Allowed::A("an IP address such as 192.168.122.1 or 2001:db8::1");
    const DATA: Data = Data::Pattern(r"[0-9]+(\.[0-9]+){3}|[0-9a-fA-F.]*:[0-9a-fA-F:.]+");
    fn parse(text: &str) -> Option<Self> {
        let v6 = || text.parse().ok().map(IpAddr::V6);
        parse_v4(text).map(IpAddr::V4).or_else(v6).map(Self)
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put(self);
    }
}

impl fmt::Display for IpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An IPv4 address in IPv6's clothes; Rust writes the last two groups in hexadecimal.
        if let IpAddr::V6(v6) = self.0
            && let [0, 0, 0, 0, 0, 0, high, _] = v6.segments()
            && high != 0
        {
            let [.., a, b, c, d] = v6.octets();
            return write!(f, "::{a}.{b}.{c}.{d}");
        }
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddress {
        IpAddress::parse(text).unwrap()
    }

    #[test]
    fn addresses_are_read_as_c_reads_them() {
        for (text, written) in [
            ("127", "0.0.0.127"),
            ("127.2", "127.0.0.2"),
            ("1.2.3", "1.2.0.3"),
            ("0177.0.0.01", "127.0.0.1"),
            ("2130706433", "127.0.0.1"),
            ("0xc0.0xa8.1", "192.168.0.1"),
            ("::ffff:a01:203", "::ffff:10.1.2.3"),
            ("0::1", "::1"),
            ("::102:304", "::1.2.3.4"),
            ("A:B:c::d:e:f", "a:b:c::d:e:f"),
        ] {
            assert_eq!(ip(text).to_string(), written);
        }
        for text in [
            "",
            ".",
            "1.",
            "1.2.3.4.5",
            "256.1",
            "1.16777216",
            "[::1]",
            "a:b:c",
            "+1",
            "1 ",
            "4294967296",
        ] {
            assert_eq!(IpAddress::parse(text), None, "{text}");
        }
    }

    #[test]
    fn masks_and_prefixes_convert() {
        assert_eq!(IpAddress::netmask(Family::Ipv4, 22), Some(ip("255.255.252.0")));
        assert_eq!(IpAddress::netmask(Family::Ipv4, 0), Some(ip("0.0.0.0")));
        assert_eq!(
            IpAddress::netmask(Family::Ipv6, 128).map(IpAddress::prefix_of_mask),
            Some(Some(128))
        );
        assert_eq!(IpAddress::netmask(Family::Ipv4, 33), None);
        assert_eq!(ip("255.255.252.0").prefix_of_mask(), Some(22));
        assert_eq!(ip("255.0.255.0").prefix_of_mask(), None);
        assert_eq!(ip("2001:db8:ca2:2::1").network(64), Some(ip("2001:db8:ca2:2::")));
        assert_eq!(ip("10.1.2.3").natural_prefix(), Some(8));
        assert_eq!(ip("240.0.0.1").natural_prefix(), None);
    }
}

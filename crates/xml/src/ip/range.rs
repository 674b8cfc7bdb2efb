// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ranges of addresses, as DHCP servers and NAT use them.

use super::{Family, IpAddress};

/// The bits that may differ between the ends of a range: no range is larger than 65536 addresses.
const RANGE_BITS: u32 = 16;

/// Why two addresses are not the ends of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeError {
    MixedFamilies,
    OtherFamilyThanNetwork,
    BadPrefix,
    OutsideNetwork,
    StartsAtNetworkAddress,
    EndsAtBroadcastAddress,
    TooLarge,
    Reversed,
}

impl RangeError {
    /// The same in libvirt's words, of the range from `start` to `end` in `network`.
    #[must_use]
    pub fn about(
        self,
        start: IpAddress,
        end: IpAddress,
        network: Option<(IpAddress, u32)>,
    ) -> String {
        let range = format!("range {start} - {end}");
        let network = network.map_or_else(String::new, |(ip, prefix)| format!("{ip}/{prefix}"));
        match self {
            Self::MixedFamilies => format!("mismatch of address family in {range}"),
            Self::OtherFamilyThanNetwork => {
                format!("mismatch of address family in {range} for network {network}")
            }
            Self::BadPrefix => format!("bad prefix of network {network} when checking {range}"),
            Self::OutsideNetwork => format!("{range} is not entirely within network {network}"),
            Self::StartsAtNetworkAddress => {
                format!("start of {range} in network {network} is the network address")
            }
            Self::EndsAtBroadcastAddress => {
                format!("end of {range} in network {network} is the broadcast address")
            }
            Self::TooLarge => format!("{range} is too large (> 65535)"),
            Self::Reversed => format!("{range} is reversed "),
        }
    }
}

/// How many addresses there are from `start` to `end`, which must be usable in `network` (an address in it and
/// its prefix), if that is known.
pub fn range_size(
    start: IpAddress,
    end: IpAddress,
    network: Option<(IpAddress, u32)>,
) -> Result<u32, RangeError> {
    let family = start.family();
    if end.family() != family {
        return Err(RangeError::MixedFamilies);
    }
    if let Some((address, prefix)) = network {
        if address.family() != family {
            return Err(RangeError::OtherFamilyThanNetwork);
        }
        let mask = IpAddress::netmask(family, prefix).ok_or(RangeError::BadPrefix)?;
        let base = address.masked(mask);
        if start.masked(mask) != base || end.masked(mask) != base {
            return Err(RangeError::OutsideNetwork);
        }
        if family == Family::Ipv4 {
            if start == base {
                return Err(RangeError::StartsAtNetworkAddress);
            }
            let hosts = u32::MAX.checked_shr(prefix).unwrap_or_default();
            if end.bits() == base.bits() | u128::from(hosts) {
                return Err(RangeError::EndsAtBroadcastAddress);
            }
        }
    }
    let (from, to) = (start.bits(), end.bits());
    if from >> RANGE_BITS != to >> RANGE_BITS {
        return Err(RangeError::TooLarge);
    }
    let last = to.checked_sub(from).ok_or(RangeError::Reversed)?;
    u32::try_from(last + 1).map_err(|_| RangeError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn ranges_are_counted_or_refused() {
        let size = |start: &str, end: &str, network: Option<(&str, u32)>| {
            let ip = |text| IpAddress::parse(text).unwrap();
            range_size(ip(start), ip(end), network.map(|(address, prefix)| (ip(address), prefix)))
        };
        let home = Some(("192.168.122.1", 24));
        assert_eq!(size("192.168.122.2", "192.168.122.254", home), Ok(253));
        assert_eq!(size("192.168.122.1", "192.168.123.20", None), Ok(276));
        assert_eq!(size("2000::1", "2000::2", Some(("2000::1", 64))), Ok(2));
        let wide = Some(("192.168.122.1", 16));
        assert_eq!(size("192.168.122.0", "192.168.122.255", wide), Ok(256));
        for (start, end, network, error) in [
            ("192.168.122.0", "192.168.122.9", home, RangeError::StartsAtNetworkAddress),
            ("192.168.122.9", "192.168.122.255", home, RangeError::EndsAtBroadcastAddress),
            ("192.168.122.9", "192.168.122.2", home, RangeError::Reversed),
            ("192.168.122.9", "192.168.123.2", home, RangeError::OutsideNetwork),
            ("10.0.0.1", "192.168.122.2", None, RangeError::TooLarge),
            ("2000::1", "9001::1", None, RangeError::TooLarge),
            ("10.0.0.1", "::1", None, RangeError::MixedFamilies),
            ("::1", "::2", home, RangeError::OtherFamilyThanNetwork),
        ] {
            assert_eq!(size(start, end, network), Err(error), "{start}-{end}");
        }
    }
}

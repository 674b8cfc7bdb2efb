// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Values that are narrower than the Rust type of their field: what only the schema knows of names and paths.
//!
//! The reader is generous where libvirt's own reader is; the schema is as strict as libvirt's grammar.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::{Data, Described, Kind};
use crate::value::Allowed;

/// Types without values, each for the texts that match its pattern.
macro_rules! patterns {
    ($($(#[$meta:meta])* $name:ident $pattern:literal $allowed:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;

        impl Described for $name {
            const KIND: Kind = Kind {
                allowed: Allowed::A($allowed),
                data: Data::Pattern($pattern),
                accepts: |text| {
                    static WHOLE: LazyLock<Option<Regex>> =
                        LazyLock::new(|| Regex::new(concat!("^(?:", $pattern, ")$")).ok());
                    WHOLE.as_ref().is_some_and(|whole| whole.is_match(text))
                },
            };
        }
    )*};
}

patterns! {
    /// The name of an object.
    ObjectName r"[^/\n]+" "a name without slash and line break";
    /// The same where slashes are allowed.
    Title r"[^\n]+" "one line of text";
    /// A short name of letters, digits and a few signs.
    GenericName r"[a-zA-Z0-9_+\-]+" "letters, digits, '_', '+' and '-'";
    /// A device of the host or the guest.
    DeviceName r"[a-zA-Z0-9_.\-\\:/]+" "letters, digits and any of _.-\\:/";
    /// The name of a host.
    DnsName r"[a-zA-Z0-9.\-]+" "letters, digits, '.' and '-'";
    /// A path, perhaps relative.
    Path r"[^\n]+" "a path";
    /// A path from the root, or from a drive of Windows.
    AbsolutePath r"(/|[a-zA-Z]:\\).+" "an absolute path";
    /// A folder's path from the root.
    AbsoluteFolder r"/.*" "an absolute path of a folder";
    /// The unit of a size.
    Unit r"[bB]([yY][tT][eE][sS]?)?|[kKmMgGtTpPeE]([iI]?[bB])?" "b, bytes, KB, K, KiB, MB, M, MiB, GB, … EiB";
    /// A UUID, or nothing where one is to be made.
    MaybeUuid r"()|[a-fA-F0-9]{32}|[a-fA-F0-9]{8}-([a-fA-F0-9]{4}-){3}[a-fA-F0-9]{12}" "a UUID, or nothing";
    /// The domain of a PCI address.
    PciDomain r"(0x)?[0-9a-fA-F]{1,8}" "a number from 0 to 0xffffffff";
    /// The bus of a PCI address.
    PciBus r"0x[0-9a-fA-F]{1,2}|0*([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])" "a number from 0 to 255, or 0x00 to 0xff";
    /// The slot of a PCI address.
    PciSlot r"(0x)?[0-1]?[0-9a-fA-F]|0*(2[0-9]|3[01])" "a number from 0x00 to 0x1f";
    /// The function of a PCI address.
    PciFunction r"(0x)?0*[0-7]" "a number from 0 to 7";
    /// A number of 16 bits.
    Uint16 r"(0x)?[0-9a-fA-F]{1,4}|0*[0-9]{5}" "a number from 0 to 0xffff";
    /// A number of 24 bits.
    Uint24 r"0x[0-9a-fA-F]{1,6}|[0-9]{1,8}" "a number from 0 to 0xffffff";
    /// A number of 32 bits.
    Uint32 r"(0x)?[0-9a-fA-F]{1,8}|[0-9]{1,10}" "a number from 0 to 0xffffffff";
    /// The world wide name of a port or a disk.
    Wwn r"(0x)?[0-9a-fA-F]{16}" "16 hexadecimal digits";
}

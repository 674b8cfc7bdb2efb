// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The keys of a keyboard, by their numbers in the sets that clients speak of.

mod table;

use virtus_api::{Error, ErrorCode, KeycodeSet, Result};

use self::table::{KEYS, NONE};

/// The number of a key in QEMU's own set, by its number in another.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG` if the set has no such key.
pub fn qnum(set: KeycodeSet, code: u32) -> Result<u16> {
    let (column, name) = match set {
        KeycodeSet::Linux => (0, "linux"),
        // libvirt's "xt" has always been the first AT set.
        KeycodeSet::Xt => (1, "xt"),
        KeycodeSet::Atset1 => (1, "atset1"),
        KeycodeSet::Atset2 => (2, "atset2"),
        KeycodeSet::Atset3 => (3, "atset3"),
        KeycodeSet::Osx => (4, "os_x"),
        KeycodeSet::XtKbd => (5, "xt_kbd"),
        KeycodeSet::Usb => (6, "usb"),
        KeycodeSet::Win32 => (7, "win32"),
        KeycodeSet::Qnum => (8, "qnum"),
    };
    let wanted = u16::try_from(code).ok().filter(|code| *code != NONE);
    let found = wanted.and_then(|code| KEYS.iter().find(|key| key[column] == code));
    found.map(|key| key[8]).ok_or_else(|| {
        let text = format!("cannot translate keycode {code} of {name} codeset to qnum keycode");
        Error::new(ErrorCode::InvalidArg, text)
            .hint(format!("the codes of this set are listed in 'man virkeycode-{}'", page(set)))
    })
}

fn page(set: KeycodeSet) -> &'static str {
    match set {
        KeycodeSet::Linux => "linux",
        KeycodeSet::Xt | KeycodeSet::Atset1 => "atset1",
        KeycodeSet::Atset2 => "atset2",
        KeycodeSet::Atset3 => "atset3",
        KeycodeSet::Osx => "osx",
        KeycodeSet::XtKbd => "xtkbd",
        KeycodeSet::Usb => "usb",
        KeycodeSet::Win32 => "win32",
        KeycodeSet::Qnum => "qnum",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_has_one_number_in_every_set() {
        // The Delete key, whose code has a prefix in the AT sets.
        let codes = [
            (KeycodeSet::Linux, 111),
            (KeycodeSet::Atset1, 0xe053),
            (KeycodeSet::Usb, 0x4c),
            (KeycodeSet::Osx, 0x75),
            (KeycodeSet::Win32, 0x2e),
            (KeycodeSet::Qnum, 0xd3),
        ];
        for (set, code) in codes {
            assert_eq!(qnum(set, code).unwrap(), 0xd3, "{set:?}");
        }
        assert_eq!(qnum(KeycodeSet::Osx, 0).unwrap(), 30, "A is key 0 of a Mac");
    }

    #[test]
    fn a_key_that_is_in_no_set_is_refused_by_name() {
        for code in [u32::MAX, u32::from(NONE), 0x300] {
            let error = qnum(KeycodeSet::Usb, code).unwrap_err();
            assert!(error.text().contains(&format!("keycode {code} of usb codeset")), "{error}");
        }
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(KEYS.windows(2).all(|pair| pair[0][0] < pair[1][0]));
    }
}

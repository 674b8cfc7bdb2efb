// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Presses keys of the guest's keyboard, and its NMI button.

mod table;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use virtus_api::{DomainInjectNmi, DomainSendKey, Error, ErrorCode, KeycodeSet, Result};
use virtus_core::{Call, Routes};
use virtus_domain::Job;
use virtus_domain::routes::{check_flags, find};

use self::table::{KEYS, NONE};
use super::by;
use crate::driver::QemuDriver;
use crate::guest::QUERY;

/// Keys that can be held at once.
const MOST: usize = 16;
/// How long QEMU may hold keys: more is a mistake, and would keep other keys waiting.
const LONGEST_HOLD: Duration = Duration::from_secs(300);

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(send_key)).on(by(inject_nmi))
}

async fn send_key(driver: Arc<QemuDriver>, _: Call, request: DomainSendKey) -> Result<()> {
    check_flags(request.flags, 0, "virDomainSendKey")?;
    if request.keycodes.len() > MOST {
        let text =
            format!("{} keys at once are too many, QEMU takes {MOST}", request.keycodes.len());
        return Err(Error::new(ErrorCode::InvalidArg, text));
    }
    if u128::from(request.holdtime) > LONGEST_HOLD.as_millis() {
        let text = format!(
            "a hold time of {} ms is too long: at most {} ms",
            request.holdtime,
            LONGEST_HOLD.as_millis()
        );
        return Err(Error::new(ErrorCode::InvalidArg, text));
    }
    let set = i32::try_from(request.codeset).ok().and_then(|set| KeycodeSet::try_from(set).ok());
    let set = set.ok_or_else(|| {
        Error::new(ErrorCode::InvalidArg, format!("unknown key code set {}", request.codeset))
    })?;
    let numbers: Result<Vec<u16>> =
        request.keycodes.iter().map(|code| qemu_number(set, *code)).collect();
    let keys: Vec<_> =
        numbers?.iter().map(|number| json!({ "type": "number", "data": number })).collect();
    let mut arguments = json!({ "keys": keys });
    if request.holdtime > 0 {
        arguments["hold-time"] = request.holdtime.into();
    }
    let (handle, _) = find(&*driver, &request.dom)?;
    let work = handle.job(Job::query("virDomainSendKey"), move |context| async move {
        context.running()?.execute("send-key", arguments, QUERY).await.map(drop)
    });
    work.await
}

async fn inject_nmi(driver: Arc<QemuDriver>, _: Call, request: DomainInjectNmi) -> Result<()> {
    check_flags(request.flags, 0, "virDomainInjectNMI")?;
    let (handle, _) = find(&*driver, &request.dom)?;
    let work = handle.job(Job::modify("virDomainInjectNMI"), |context| async move {
        context.running()?.execute("inject-nmi", None, QUERY).await.map(drop)
    });
    work.await
}

/// QEMU's number of a key; the numbers of a set that QEMU has itself are passed on.
fn qemu_number(set: KeycodeSet, code: u32) -> Result<u16> {
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
            assert_eq!(qemu_number(set, code).unwrap(), 0xd3, "{set:?}");
        }
        assert_eq!(qemu_number(KeycodeSet::Osx, 0).unwrap(), 30, "A is key 0 of a Mac");
    }

    #[test]
    fn a_key_that_is_in_no_set_is_refused_by_name() {
        for code in [u32::MAX, u32::from(NONE), 0x300] {
            let error = qemu_number(KeycodeSet::Usb, code).unwrap_err();
            assert!(error.text().contains(&format!("keycode {code} of usb codeset")), "{error}");
        }
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(KEYS.windows(2).all(|pair| pair[0][0] < pair[1][0]));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! System calls that nothing in a container needs, and that break-outs use: they answer `EPERM` there, in each
//! of the processor's languages.

use libc::sock_filter;

use super::super::sys;
use crate::failure::{Attempt, Step};

/// A language of the processor (`AUDIT_ARCH_…`) and its numbers of: `kexec_load`, `kexec_file_load`,
/// `init_module`, `finit_module`, `delete_module`, `open_by_handle_at`, `swapon`, `swapoff`, `acct`, `ioperm`, `iopl`.
type Language = (u32, &'static [u32]);

#[cfg(target_arch = "x86_64")]
const LANGUAGES: &[Language] = &[
    (0xc000_003e, &[246, 320, 175, 313, 176, 304, 167, 168, 163, 173, 172]),
    (0x4000_0003, &[283, 128, 350, 129, 342, 87, 115, 51, 101, 110]),
];
#[cfg(target_arch = "aarch64")]
const LANGUAGES: &[Language] = &[
    (0xc000_00b7, &[104, 294, 105, 273, 106, 265, 224, 225, 89]),
    (0x4000_0028, &[347, 401, 128, 379, 129, 371, 87, 115, 51]),
];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const LANGUAGES: &[Language] = &[];

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const REFUSE: u32 = 0x0005_0000 | libc::EPERM as u32;
/// Calls with 32-bit pointers have this bit and otherwise the numbers of the 64-bit ones.
const NOT_X32: u32 = !0x4000_0000;

const fn op(code: u16, yes: u8, no: u8, number: u32) -> sock_filter {
    sock_filter { code, jt: yes, jf: no, k: number }
}

/// Refuses them from now on, for this process and all that it starts.
pub(super) fn refuse() -> Step<()> {
    sys::filter_calls(&mut filter()).attempt(|| "install the filter of system calls")
}

fn filter() -> Vec<sock_filter> {
    const NUMBER: u32 = 0;
    const LANGUAGE: u32 = 4;
    let mut filter = Vec::new();
    for (language, calls) in LANGUAGES {
        let count = calls.len() as u8;
        // Over the number, its mask, the calls, and both answers.
        filter.push(op(LOAD, 0, 0, LANGUAGE));
        filter.push(op(IF_EQUAL, 0, count + 4, *language));
        filter.push(op(LOAD, 0, 0, NUMBER));
        filter.push(op(AND, 0, 0, NOT_X32));
        for (left, call) in (1..=count).rev().zip(*calls) {
            filter.push(op(IF_EQUAL, left, 0, *call));
        }
        filter.extend([op(RETURN, 0, 0, ALLOW), op(RETURN, 0, 0, REFUSE)]);
    }
    // A language that is not in the table has numbers that nobody here can judge.
    filter.push(op(RETURN, 0, 0, if LANGUAGES.is_empty() { ALLOW } else { REFUSE }));
    filter
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The support matrix: which driver answers which call. Written from the drivers' own routes, so
//! that it cannot say more than they do; `docs/support.md` is this text.

use std::collections::BTreeSet;
use std::fmt::Write;

use virtus_api::{CallId, Program};

use crate::table::LIBVIRTD;

/// The matrix as a Markdown document.
#[must_use]
pub fn matrix() -> String {
    let mut text = String::from(
        "# Support matrix\n\n\
         Which driver answers which call. What no driver answers is refused with `VIR_ERR_NO_SUPPORT`.\n\
         Calls of the handshake (authentication, open, close, features) are answered by the server.\n\n\
         This file is written from the drivers' routes: `UPDATE_EXPECT=1 cargo test --package virtus-daemons --test support`.\n",
    );
    for driver in LIBVIRTD.drivers {
        let answered: BTreeSet<usize> = (driver.calls)().iter().map(|call| call.index()).collect();
        for program in [Program::Remote, Program::Qemu, Program::Lxc] {
            let calls: Vec<CallId> =
                CallId::ALL.iter().copied().filter(|c| c.meta().program == program).collect();
            let (yes, no): (Vec<CallId>, Vec<CallId>) =
                calls.iter().partition(|call| answered.contains(&call.index()));
            if yes.is_empty() {
                continue;
            }
            // Writing to a String cannot fail.
            let _infallible = write!(
                text,
                "\n## {}: the {program:?} program\n\nAnswers {} of {} calls:\n\n{}\n\nDoes not answer:\n\n{}\n",
                driver.name,
                yes.len(),
                calls.len(),
                names(&yes),
                names(&no),
            );
        }
    }
    text
}

/// The calls' names, sorted, in lines that a diff can show.
fn names(calls: &[CallId]) -> String {
    let mut names: Vec<&str> = calls.iter().map(|call| call.meta().shown()).collect();
    names.sort_unstable();
    names.dedup();
    names.iter().map(|name| format!("- `{name}`")).collect::<Vec<_>>().join("\n")
}

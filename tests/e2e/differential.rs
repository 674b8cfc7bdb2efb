// SPDX-License-Identifier: Apache-2.0 OR MIT
//! No group of commands is answered less like libvirt's test driver than its floor in `tests/differential` says.

use std::path::Path;
use std::process::Command;

use virtus_tests::{Outcome, built_program};

use crate::Skip;

/// The groups.
pub(crate) fn names() -> Vec<String> {
    crate::names_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("differential"), ".virsh")
}

/// Compares one group; the differences are the error.
pub(crate) fn compare(group: &str) -> Outcome {
    let stock = Command::new("virsh").args(["--connect", "test:///default", "uri"]).output();
    if !stock.is_ok_and(|stock| stock.status.success()) {
        return Err(Skip("libvirt's own test driver is not here".to_owned()).into());
    }
    let done = Command::new(built_program("differential")?).args(["--show", group]).output()?;
    if done.status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("{}{}", text(&done.stdout), text(&done.stderr)).into())
}

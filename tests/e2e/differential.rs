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
#[expect(clippy::print_stdout, reason = "the summary of a run collects what was unsteady")]
pub(crate) fn compare(group: &str) -> Outcome {
    let stock = Command::new("virsh").args(["--connect", "test:///default", "uri"]).output();
    if !stock.is_ok_and(|stock| stock.status.success()) {
        return Err(Skip("libvirt's own test driver is not here".to_owned()).into());
    }
    let done = Command::new(built_program("differential")?).args(["--show", group]).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&done.stdout);
    for what in said.lines().filter_map(|line| line.strip_prefix("unsteady: ")) {
        println!("unsteady: differential::{group}: {what}");
    }
    if done.status.success() {
        return Ok(());
    }
    Err(format!("{said}{}", text(&done.stderr)).into())
}

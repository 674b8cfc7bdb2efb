// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The log of a container: when each run began, what its controller said, how it ended.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use virtus_api::{Error, Result};
use virtus_core::log::Stamp;
use virtus_domain::End;

/// Opens the log for a new run, which `words` start.
pub(crate) fn open(path: &Path, words: &str) -> Result<File> {
    let explain = |cause| Error::system(format!("cannot open log '{}'", path.display()), &cause);
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let mut file = opened.map_err(explain)?;
    let lead = format!("libvirt version: 11.3.0, package: virtus {}", env!("CARGO_PKG_VERSION"));
    writeln!(file, "{}: starting up {lead}\n{words}", Stamp::now()).map_err(explain)?;
    Ok(file)
}

/// Adds the line that says how a run ended.
pub(crate) fn write_end(path: &Path, end: End) {
    let reason = end.word();
    let line = format!("{}: shutting down, reason={reason}\n", Stamp::now());
    let written = OpenOptions::new().append(true).open(path);
    if let Err(cause) = written.and_then(|mut file| file.write_all(line.as_bytes())) {
        tracing::debug!("cannot write '{}': {cause}", path.display());
    }
}

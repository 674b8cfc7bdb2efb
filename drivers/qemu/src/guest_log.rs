// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The log of a guest: how each run was started, what QEMU said, how it ended.
//!
//! QEMU gets the file itself for its output, so nothing is lost when the daemon is not there. A file that
//! has grown large is set aside when the next run starts.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use virtus_api::{Error, Result};
use virtus_core::log::Stamp;

/// A larger log is set aside before the next run (the limit of libvirt's log daemon).
const ROTATE_AT: u64 = 2 << 20;
/// Of what QEMU said, this much is read back.
const TAIL: u64 = 8 << 10;

/// The log of one run.
#[derive(Debug)]
pub(crate) struct GuestLog {
    path: PathBuf,
    file: File,
    /// Where QEMU's own output of this run begins.
    start: u64,
}

impl GuestLog {
    /// Opens the log for a new run. Blocks.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let explain =
            |cause| Error::system(format!("cannot open log '{}'", path.display()), &cause);
        if fs::metadata(path).is_ok_and(|facts| facts.len() > ROTATE_AT) {
            let mut aside = path.as_os_str().to_owned();
            aside.push(".0");
            rotate(path, Path::new(&aside));
        }
        let file =
            OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(explain)?;
        let start = file.metadata().map_err(explain)?.len();
        Ok(Self { path: path.to_owned(), file, start })
    }

    /// Writes what is run, as it could be typed into a shell.
    pub(crate) fn header(&mut self, lead: &str, env: &[(String, String)], argv: &[String]) {
        let mut text = format!("{}: starting up {lead}\n", Stamp::now());
        for (name, value) in env {
            text.push_str(&format!("{name}={} \\\n", shell(value)));
        }
        let mut words = argv.iter().peekable();
        while let Some(word) = words.next() {
            text.push_str(&shell(word));
            if word.starts_with('-')
                && let Some(value) = words.next_if(|next| !next.starts_with('-'))
            {
                text.push(' ');
                text.push_str(&shell(value));
            }
            text.push_str(if words.peek().is_some() { " \\\n" } else { "\n" });
        }
        // A log that cannot be written must not keep a guest from starting.
        if let Err(cause) = self.file.write_all(text.as_bytes()) {
            tracing::warn!("cannot write '{}': {cause}", self.path.display());
        }
        self.start = self.file.metadata().map_or(self.start, |facts| facts.len());
    }

    /// Descriptors for QEMU's output.
    pub(crate) fn outputs(&self) -> Result<(File, File)> {
        let explain = |cause| {
            Error::system(format!("cannot open log '{}' again", self.path.display()), &cause)
        };
        Ok((self.file.try_clone().map_err(explain)?, self.file.try_clone().map_err(explain)?))
    }

    /// What QEMU said in this run, without time stamps. Blocks.
    pub(crate) fn said(&self) -> String {
        let mut text = Vec::new();
        if let Ok(mut file) = File::open(&self.path) {
            let end = file.metadata().map_or(0, |facts| facts.len());
            let from = self.start.max(end.saturating_sub(TAIL));
            if file.seek(SeekFrom::Start(from)).is_ok() {
                // What cannot be read is not quoted.
                let _ = file.take(TAIL).read_to_end(&mut text);
            }
        }
        let text = String::from_utf8_lossy(&text);
        text.lines()
            .map(without_stamp)
            .filter(|line| !line.is_empty() && !line.starts_with("char device redirected to"))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Adds the line that says how a run ended. Blocks.
pub(crate) fn write_end(path: &Path, reason: &str) {
    let line = format!("{}: shutting down, reason={reason}\n", Stamp::now());
    let written = OpenOptions::new()
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(cause) = written {
        tracing::debug!("cannot write '{}': {cause}", path.display());
    }
}

#[expect(clippy::disallowed_methods, reason = "a log is set aside, not replaced")]
fn rotate(path: &Path, aside: &Path) {
    if let Err(cause) = fs::rename(path, aside) {
        tracing::warn!("cannot set '{}' aside: {cause}", path.display());
    }
}

/// The line without the time that `-msg timestamp=on` puts before it.
fn without_stamp(line: &str) -> &str {
    match line.split_once("Z ") {
        Some((stamp, rest))
            if stamp.len() >= 20
                && stamp.bytes().all(|b| b.is_ascii_digit() || b"-:.T".contains(&b)) =>
        {
            rest
        }
        _ => line,
    }
}

/// The word as a shell reads it.
pub(crate) fn shell(word: &str) -> String {
    let special = |c: char| "\r\t\n !\"#$&'()*;<>?[\\]^`{|}~".contains(c);
    if !word.is_empty() && !word.contains(special) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_cut_off_and_words_are_quoted() {
        assert_eq!(without_stamp("2026-11-21T03:00:00.000000Z qemu: x"), "qemu: x");
        assert_eq!(without_stamp("AZ b"), "AZ b");
        assert_eq!(shell("a=b,c"), "a=b,c");
        assert_eq!(shell("{\"a\":1}"), "'{\"a\":1}'");
        assert_eq!(shell("it's"), r"'it'\''s'");
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The log of a guest: how each run was started, what QEMU said, how it ended.
//!
//! QEMU gets the file itself for its output, or a pipe to whoever keeps it, so nothing is lost when this daemon is not
//! there. A file that nobody keeps and that has grown large is set aside when the next run starts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use virtus_api::{Error, LogFilePosition, Result};
use virtus_core::log::Stamp;

use crate::log_keeper::LogKeeper;

/// A larger log is set aside before the next run (the limit of libvirt's log daemon).
const ROTATE_AT: u64 = 2 << 20;
/// Of what QEMU said, this much is read back.
const TAIL: u64 = 8 << 10;
/// Of what it said to whoever keeps the log, as much as this is looked through for it.
const KEPT_TAIL: u64 = 128 << 10;

/// The log of one run.
#[derive(Debug)]
pub(crate) struct GuestLog {
    keeper: LogKeeper,
    path: PathBuf,
    /// What QEMU writes to.
    file: File,
    start: Start,
}

/// Where QEMU's own output of a run begins.
#[derive(Debug, Clone)]
enum Start {
    InFile(u64),
    Kept(LogFilePosition),
}

impl GuestLog {
    /// Opens the log for a new run.
    pub(crate) async fn open(keeper: LogKeeper, path: &Path) -> Result<Self> {
        if let Some((file, position)) = keeper.open(path, false).await? {
            let start = Start::Kept(position);
            return Ok(Self { keeper, path: path.to_owned(), file, start });
        }
        let explain =
            |cause| Error::system(format!("cannot open log '{}'", path.display()), &cause);
        if fs::metadata(path).is_ok_and(|facts| facts.len() > ROTATE_AT) {
            let mut aside = path.as_os_str().to_owned();
            aside.push(".0");
            rotate(path, Path::new(&aside));
        }
        let file =
            OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(explain)?;
        let start = Start::InFile(file.metadata().map_err(explain)?.len());
        Ok(Self { keeper, path: path.to_owned(), file, start })
    }

    /// Writes what is run, as it could be typed into a shell.
    pub(crate) async fn header(&mut self, lead: &str, env: &[(String, String)], argv: &[String]) {
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
        if let Err(error) = self.write(text).await {
            tracing::warn!("cannot write '{}': {error}", self.path.display());
        }
    }

    /// Writes a text before QEMU's own output.
    async fn write(&mut self, text: String) -> Result<()> {
        let explain = |cause| Error::system("cannot write", &cause);
        match &mut self.start {
            Start::InFile(start) => {
                self.file.write_all(text.as_bytes()).map_err(explain)?;
                *start = self.file.metadata().map_err(explain)?.len();
            }
            Start::Kept(start) => {
                self.keeper.append(&self.path, text).await?;
                if let Some(now) = self.keeper.position(&self.path).await? {
                    *start = now;
                }
            }
        }
        Ok(())
    }

    /// Descriptors for QEMU's output.
    pub(crate) fn outputs(&self) -> Result<(File, File)> {
        let explain = |cause| {
            Error::system(format!("cannot open log '{}' again", self.path.display()), &cause)
        };
        Ok((self.file.try_clone().map_err(explain)?, self.file.try_clone().map_err(explain)?))
    }

    /// What QEMU said in this run, without time stamps.
    pub(crate) async fn said(&self) -> String {
        // What cannot be read is not quoted.
        let text = match &self.start {
            Start::InFile(start) => tail(&self.path, *start),
            Start::Kept(start) => {
                let read = self.keeper.read(&self.path, start.clone(), KEPT_TAIL).await;
                read.ok().flatten().unwrap_or_default()
            }
        };
        let end = text.len().saturating_sub(TAIL as usize);
        text[text.ceil_char_boundary(end)..]
            .lines()
            .map(without_stamp)
            .filter(|line| !line.is_empty() && !line.starts_with("char device redirected to"))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// The end of a file, from `start` on. Blocks.
fn tail(path: &Path, start: u64) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = File::open(path) {
        let end = file.metadata().map_or(0, |facts| facts.len());
        let from = start.max(end.saturating_sub(TAIL));
        if file.seek(SeekFrom::Start(from)).is_ok() {
            let _unread = file.take(TAIL).read_to_end(&mut text);
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Adds the line that says how a run ended.
pub(crate) async fn write_end(keeper: LogKeeper, path: PathBuf, reason: &str) {
    let line = format!("{}: shutting down, reason={reason}\n", Stamp::now());
    let kept = keeper.append(&path, line.clone()).await;
    if let Ok(true) = kept {
        return;
    }
    // Whoever kept it may have gone; the file is there.
    let name = path.display().to_string();
    let write = move || {
        let mut file = OpenOptions::new().append(true).open(path)?;
        file.write_all(line.as_bytes())
    };
    let written = tokio::task::spawn_blocking(write).await.map_err(io::Error::other).flatten();
    if let Err(cause) = written {
        tracing::debug!("cannot write '{name}': {cause}");
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

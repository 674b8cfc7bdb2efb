// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A log file that is set aside when it has grown large: `x.log` becomes `x.log.0`, that `x.log.1`, the oldest goes.
//!
//! Everything here blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use virtus_api::{Error, LogFilePosition, Result};

use super::rules::Rules;

/// So many bytes before the limit a line may end, for the file to end with it.
const LINE: usize = 80;

/// A log file that is written, and whatever stands beside it of the same log.
#[derive(Debug)]
pub(super) struct Rotating {
    path: PathBuf,
    file: File,
    /// Bytes in the file.
    length: u64,
}

impl Rotating {
    /// Opens `path` for writing at its end; with `truncate` the whole log begins anew.
    ///
    /// # Errors
    /// The file system's.
    pub(super) fn open(path: &Path, truncate: bool, rules: &Rules) -> Result<Self> {
        if truncate {
            for old in std::iter::once(path.to_owned()).chain(backups(path, rules.max_backups)) {
                remove(&old).map_err(|cause| {
                    Error::system(format!("Unable to delete '{}'", old.display()), &cause)
                })?;
            }
        }
        let file = open(path).map_err(|cause| {
            Error::system(format!("Unable to open file: {}", path.display()), &cause)
        })?;
        let mut rotating = Self { path: path.to_owned(), file, length: 0 };
        rotating.measure();
        Ok(rotating)
    }

    /// Writes `data`, over as many files as it takes.
    ///
    /// # Errors
    /// The file system's; what was written before stays.
    pub(super) fn append(&mut self, mut data: &[u8], rules: &Rules) -> io::Result<()> {
        while !data.is_empty() {
            let Cut { write, rotate } = match rules.max_size {
                0 => Cut { write: data.len(), rotate: false },
                max => cut(data, self.length, max),
            };
            if let Err(cause) = self.file.write_all(&data[..write]) {
                self.measure();
                return Err(cause);
            }
            self.length += write as u64;
            data = &data[write..];
            if rotate {
                self.rotate(rules.max_backups)?;
            }
        }
        Ok(())
    }

    /// Where the next byte will stand.
    ///
    /// # Errors
    /// The file system's.
    pub(super) fn position(&self) -> Result<LogFilePosition> {
        let facts = self.file.metadata().map_err(|cause| {
            Error::system(format!("Unable to look at file: {}", self.path.display()), &cause)
        })?;
        Ok(LogFilePosition { inode: facts.ino(), offset: self.length })
    }

    fn measure(&mut self) {
        self.length = self.file.metadata().map_or(self.length, |facts| facts.len());
    }

    #[expect(clippy::disallowed_methods, reason = "a log is set aside, not replaced")]
    fn rotate(&mut self, max_backups: usize) -> io::Result<()> {
        let mut names: Vec<PathBuf> = backups(&self.path, max_backups).collect();
        names.insert(0, self.path.clone());
        match names.as_slice() {
            [only] => remove(only)?,
            names => {
                for pair in names.windows(2).rev() {
                    match fs::rename(&pair[0], &pair[1]) {
                        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
                        _ => {}
                    }
                }
            }
        }
        self.file = open(&self.path)?;
        self.measure();
        Ok(())
    }
}

/// The names of what was set aside, the youngest first.
pub(super) fn backups(path: &Path, count: usize) -> impl Iterator<Item = PathBuf> {
    (0..count).map(move |number| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        name.into()
    })
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

/// What is written next, and whether the file is full then.
#[derive(Debug, PartialEq, Eq)]
struct Cut {
    write: usize,
    rotate: bool,
}

/// How much of `data` goes into a file of `length` bytes that may have `max`: up to the end of a line, if one ends
/// near the limit.
fn cut(data: &[u8], length: u64, max: u64) -> Cut {
    let room = usize::try_from(max.saturating_sub(length)).unwrap_or(usize::MAX);
    if data.len() <= room && length <= max {
        return Cut { write: data.len(), rotate: false };
    }
    let tail = &data[room.saturating_sub(LINE)..room];
    let whole_lines = tail.iter().rev().position(|byte| *byte == b'\n').map(|behind| room - behind);
    Cut { write: whole_lines.unwrap_or(room), rotate: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_ends_with_a_line_where_one_ends_near_the_limit() {
        let lines = [&[b'x'; 70][..], b"\n", &[b'y'; 100][..]].concat();
        assert_eq!(cut(&lines, 0, 200), Cut { write: 171, rotate: false });
        assert_eq!(cut(&lines, 0, 100), Cut { write: 71, rotate: true });
        assert_eq!(cut(&lines, 0, 160), Cut { write: 160, rotate: true });
        assert_eq!(cut(&lines, 40, 40), Cut { write: 0, rotate: true });
        assert_eq!(cut(&lines, 90, 40), Cut { write: 0, rotate: true });
    }

    #[test]
    fn nothing_is_lost_but_the_oldest() {
        let folder = std::env::temp_dir().join(format!("virtlogd-rotating-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("guest.log");
        let rules = Rules { max_size: 100, max_backups: 2, ..Rules::default() };
        let mut log = Rotating::open(&path, true, &rules).unwrap();
        let text: String = (0..60).map(|number| format!("line {number:04}\n")).collect();
        text.as_bytes().chunks(37).for_each(|piece| log.append(piece, &rules).unwrap());
        let files = [folder.join("guest.log.1"), folder.join("guest.log.0"), path.clone()];
        let parts = files.map(|file| fs::read_to_string(file).unwrap());
        assert!(parts.iter().all(|part| part.len() <= 100 && part.ends_with('\n')));
        assert!(text.ends_with(&parts.concat()));
        assert!(!folder.join("guest.log.2").exists());
        Rotating::open(&path, true, &rules).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }
}

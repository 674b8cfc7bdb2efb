// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reads a log from a position on, over the files that were set aside since. Blocks.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use virtus_api::{Error, LogFilePosition, Result};

use super::rotating::backups;

/// Up to `most` bytes of the log at `path`, from `position` on.
///
/// # Errors
/// The file at the position is gone, or the file system's.
pub(super) fn read(
    path: &Path,
    max_backups: usize,
    position: &LogFilePosition,
    most: usize,
) -> Result<Vec<u8>> {
    let mut newer = Vec::new();
    for name in std::iter::once(path.to_owned()).chain(backups(path, max_backups)) {
        // What was never set aside is not there.
        let Ok(file) = File::open(&name) else { continue };
        let found = file.metadata().is_ok_and(|facts| facts.ino() == position.inode);
        newer.push(file);
        if found {
            return copy(newer, position.offset, most).map_err(|cause| {
                Error::system(format!("Unable to read file: {}", name.display()), &cause)
            });
        }
    }
    let LogFilePosition { inode, offset } = position;
    let cause = io::Error::from(rustix::io::Errno::BADF);
    Err(Error::system(format!("Unable to seek to inode {inode} offset {offset}"), &cause)
        .hint("the file was set aside so often since that it is gone"))
}

/// Reads from the last of `files`, the oldest, on.
fn copy(files: Vec<File>, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    for (number, mut file) in files.into_iter().rev().enumerate() {
        if number == 0 {
            file.seek(SeekFrom::Start(offset))?;
        }
        let rest = (most - data.len()) as u64;
        file.take(rest).read_to_end(&mut data)?;
    }
    Ok(data)
}

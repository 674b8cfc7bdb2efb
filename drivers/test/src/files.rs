// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files that a client names. It may name anything, also what has no end or waits for somebody (`/dev/zero`, a pipe):
//! none of it fills the daemon's memory or holds up a thread, and what is written to stays what it is.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use virtus_core::store;

/// Pipes and devices answer at once.
const AT_ONCE: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// The first `most` bytes of a regular file. Blocks.
///
/// # Errors
/// That of the disk; `InvalidInput` for whatever is no regular file.
pub(crate) fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let regular = |metadata: Metadata| match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
    };
    // Looked at before, too: to open some devices does something already.
    regular(path.metadata()?)?;
    let file = File::options().read(true).custom_flags(AT_ONCE).open(path)?;
    regular(file.metadata()?)?;
    let mut content = Vec::new();
    file.take(most as u64).read_to_end(&mut content)?;
    Ok(content)
}

/// Opens whatever stands at the path, devices and the targets of links too, to be written anew; makes a private file
/// where there is nothing. Blocks.
///
/// # Errors
/// That of the disk; `ENXIO` for a pipe that nobody reads.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    options.mode(store::PRIVATE).custom_flags(AT_ONCE).open(path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_neither_waited_for_nor_replaced() {
        let folder = std::env::temp_dir().join(format!("virtus-files-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let [file, link, pipe] = ["file", "link", "pipe"].map(|name| folder.join(name));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();

        create(&link).unwrap().write_all(b"longer").unwrap();
        create(&link).unwrap().write_all(b"text").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(read(&file, 5).unwrap(), b"text");
        assert_eq!(read(&link, 3).unwrap(), b"tex");

        create(Path::new("/dev/null")).unwrap().write_all(b"text").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        assert_eq!(create(&pipe).unwrap_err().raw_os_error(), Some(6), "nobody reads the pipe");
        for endless in [&pipe, Path::new("/dev/zero"), &folder] {
            assert_eq!(read(endless, 1).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}

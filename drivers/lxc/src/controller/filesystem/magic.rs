// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which file system is on a disk, by the marks that each leaves.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

/// The kernel's name, where the mark is, the mark. An earlier row is more certain.
const MARKS: &[(&str, u64, &[u8])] = &[
    ("xfs", 0, b"XFSB"),
    ("squashfs", 0, b"hsqs"),
    ("erofs", 1024, &[0xe2, 0xe1, 0xf5, 0xe0]),
    ("btrfs", 65536 + 64, b"_BHRfS_M"),
    ("f2fs", 1024, &[0x10, 0x20, 0xf5, 0xf2]),
    ("ext4", 1024 + 56, &[0x53, 0xef]),
    ("iso9660", 32769, b"CD001"),
    ("vfat", 82, b"FAT32"),
    ("vfat", 54, b"FAT1"),
];

/// The file system of a disk, or `None`. The driver of ext4 mounts its ancestors too.
pub(super) fn recognise(disk: &File) -> io::Result<Option<&'static str>> {
    for (kind, place, mark) in MARKS {
        let mut found = vec![0; mark.len()];
        match disk.read_exact_at(&mut found, *place) {
            Ok(()) if found == *mark => return Ok(Some(kind)),
            Err(cause) if cause.kind() != ErrorKind::UnexpectedEof => return Err(cause),
            _ => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn marks_are_recognised_where_they_stand() {
        let path = std::env::temp_dir().join(format!("virtus-magic-{}", std::process::id()));
        let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(recognise(&file).unwrap(), None);
        file.write_all(&[0; 4096]).unwrap();
        assert_eq!(recognise(&file).unwrap(), None);
        file.write_all_at(&[0x53, 0xef], 1080).unwrap();
        assert_eq!(recognise(&file).unwrap(), Some("ext4"));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The container's `/proc/meminfo`: a file system of one file, which shows the memory of the container's group
//! instead of the host's. The kernel asks for it over `/dev/fuse`.

mod text;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use rustix::mount::MountAttrFlags;
use virtus_host::cgroup::Group;

use super::{filesystem, log};
use crate::failure::{Attempt, Step};

const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
/// Forgetting and interrupting want no answer.
const UNANSWERED: [u32; 3] = [2, 36, 42];
const REQUEST_HEAD: usize = 40;
const ANSWER_HEAD: u32 = 16;
const REGULAR_FILE: u32 = 0o100_444;

/// The kernel's questions about the file.
pub(super) struct Meminfo {
    fuse: File,
    group: Group,
    /// What readers read: made anew when one begins.
    text: String,
}

impl Meminfo {
    /// Makes the file of this group, and a mount of it that is attached nowhere. Where the kernel has no FUSE there is
    /// none: the container sees how much memory the host has, and is held to its own all the same.
    pub(super) fn mount(group: &Group) -> Step<Option<(Self, OwnedFd)>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
        let fuse = match options.open("/dev/fuse") {
            Err(cause) if matches!(cause.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => {
                log("/proc/meminfo is the host's: there is no '/dev/fuse' (modprobe fuse)");
                return Ok(None);
            }
            opened => opened.attempt(|| "open '/dev/fuse'")?,
        };
        let options = [
            ("source", "meminfo".to_owned()),
            ("fd", fuse.as_raw_fd().to_string()),
            ("rootmode", format!("{REGULAR_FILE:o}")),
            ("user_id", "0".to_owned()),
            ("group_id", "0".to_owned()),
            ("allow_other", String::new()),
            // So that the kernel asks for the attributes, and with them the size, at each opening.
            ("default_permissions", String::new()),
        ];
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let mount = filesystem::new("fuse", &options, attributes)?;
        Ok(Some((Self { fuse, group: group.clone(), text: String::new() }, mount)))
    }

    /// Answers all that the kernel has asked.
    pub(super) fn serve(&mut self) {
        let mut request = [0; 8192];
        while let Ok(length @ REQUEST_HEAD..) = self.fuse.read(&mut request) {
            let request = &request[..length];
            let (code, number) = (word(request, 4), &request[8..16]);
            if UNANSWERED.contains(&code) {
                continue;
            }
            let (error, body) = match self.answer(code, &request[REQUEST_HEAD..]) {
                Some(body) => (0, body),
                None => (-libc::ENOSYS, Vec::new()),
            };
            let mut answer = (ANSWER_HEAD + body.len() as u32).to_ne_bytes().to_vec();
            answer.extend(error.to_ne_bytes());
            answer.extend(number);
            answer.extend(body);
            // Who asked may be gone.
            let _ = self.fuse.write_all(&answer);
        }
    }

    fn answer(&mut self, code: u32, body: &[u8]) -> Option<Vec<u8>> {
        match code {
            INIT => {
                // Version 7.31, and no option: 64 bytes, of which the largest write must not be 0.
                let words = [7, 31, word(body, 8), 0, 0, 4096];
                let mut answer: Vec<u8> =
                    words.iter().flat_map(|word| word.to_ne_bytes()).collect();
                answer.resize(64, 0);
                Some(answer)
            }
            GETATTR => {
                if self.text.is_empty() {
                    self.text = text::meminfo(&self.group);
                }
                // How long it holds (16 bytes), then the attributes (88), of which the file has a number,
                // a size, a mode and one link. Without its size nothing of it could be sent from file to file.
                let mut answer = vec![0; 104];
                answer[16] = 1;
                answer[24..32].copy_from_slice(&(self.text.len() as u64).to_ne_bytes());
                answer[76..80].copy_from_slice(&REGULAR_FILE.to_ne_bytes());
                answer[80..84].copy_from_slice(&1_u32.to_ne_bytes());
                Some(answer)
            }
            OPEN => {
                self.text = text::meminfo(&self.group);
                // No handle, and no flag: what the kernel has cached is forgotten.
                Some(vec![0; 16])
            }
            READ => {
                let offset = u64::from(word(body, 8)) | u64::from(word(body, 12)) << 32;
                let left = self.text.as_bytes().get(offset as usize..).unwrap_or_default();
                Some(left[..left.len().min(word(body, 16) as usize)].to_vec())
            }
            RELEASE | FLUSH => Some(Vec::new()),
            _ => None,
        }
    }
}

impl AsFd for Meminfo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fuse.as_fd()
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map_or(0, u32::from_ne_bytes)
}

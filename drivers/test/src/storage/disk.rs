// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a volume holds: zeroes, until somebody writes; then a sparse file that has no name and is gone when nobody
//! has it open any more.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use virtus_api::{Error, Result};

/// The content of a volume. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Disk(Option<Arc<File>>);

impl Disk {
    /// Makes the file of a volume of `size` bytes, unless there is one. Whether it was made.
    pub(super) fn open(&mut self, size: u64) -> Result<bool> {
        if self.0.is_some() {
            return Ok(false);
        }
        let folder = std::env::temp_dir();
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::open(&folder, flags, Mode::RUSR | Mode::WUSR).map_err(|cause| {
            let attempt = format!("cannot make a file without a name in '{}'", folder.display());
            Error::system(attempt, &cause.into())
        })?;
        rustix::fs::ftruncate(&file, size).map_err(|cause| failed("resize", cause))?;
        self.0 = Some(Arc::new(file.into()));
        Ok(true)
    }

    /// The file, which [`Self::open`] has made.
    pub(super) fn file(&self) -> Result<File> {
        let file = self.0.as_ref().ok_or_else(|| failed("open", Errno::NOENT))?;
        file.try_clone().map_err(|cause| Error::system("cannot open a volume", &cause))
    }

    /// How long it is, and how many bytes of it are there.
    pub(super) fn measure(&self) -> Result<(u64, u64)> {
        let Some(file) = &self.0 else { return Ok((0, 0)) };
        let facts = file.metadata();
        let facts = facts.map_err(|cause| Error::system("cannot measure a volume", &cause))?;
        Ok((facts.len(), (facts.blocks() * 512).min(facts.len())))
    }

    pub(super) fn resize(&self, size: u64) -> Result<()> {
        let Some(file) = &self.0 else { return Ok(()) };
        rustix::fs::ftruncate(file, size).map_err(|cause| failed("resize", cause))
    }

    /// Another one with the same content. Blocks.
    pub(super) fn copy(&self) -> Result<Self> {
        let Some(from) = &self.0 else { return Ok(Self::default()) };
        let (size, _) = self.measure()?;
        let mut copy = Self::default();
        copy.open(size)?;
        copy_data(from, &copy.file()?).map_err(|cause| failed("copy", cause))?;
        Ok(copy)
    }
}

/// Copies what is not a hole.
fn copy_data(from: &File, to: &File) -> rustix::io::Result<()> {
    let mut end = 0;
    loop {
        let mut at = match rustix::fs::seek(from, SeekFrom::Data(end)) {
            Ok(at) => at,
            Err(Errno::NXIO) => return Ok(()),
            Err(cause) => return Err(cause),
        };
        end = rustix::fs::seek(from, SeekFrom::Hole(at))?;
        let mut place = at;
        while at < end {
            let rest = usize::try_from(end - at).unwrap_or(usize::MAX);
            if rustix::fs::copy_file_range(from, Some(&mut at), to, Some(&mut place), rest)? == 0 {
                return Ok(());
            }
        }
    }
}

fn failed(attempt: &str, cause: Errno) -> Error {
    Error::system(format!("cannot {attempt} a volume"), &cause.into())
}

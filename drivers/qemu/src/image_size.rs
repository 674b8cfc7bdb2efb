// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How large the image of a disk is on this host.
//!
//! Invariant: storage that does not answer costs its asker a deadline and the process a few threads, never more:
//! only so many looks are under way at a time.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use virtus_domain::facts::DiskFacts;
use virtus_xml::domain::storage::ImageFormat;

use crate::readings::image::{HEAD, capacity};

/// How many looks may be under way: more only wait on the same dead storage.
const AT_ONCE: usize = 8;

static LOOKS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(AT_ONCE)));

/// The sizes of an image in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sizes {
    /// What the guest sees.
    pub(crate) capacity: u64,
    /// What it takes of its storage.
    pub(crate) allocation: u64,
    /// Where it ends on its storage.
    pub(crate) physical: u64,
}

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: Box<str>,
    pub(crate) format: ImageFormat,
}

impl Place {
    /// The image of a disk that lies on this host.
    pub(crate) fn of(disk: &DiskFacts) -> Option<Self> {
        let format = disk.local?;
        Some(Self { path: disk.images.first()?.path.clone()?, format })
    }
}

/// Looks at one image; blocks.
pub(crate) fn look(place: &Place) -> io::Result<Sizes> {
    let path = Path::new(&*place.path);
    let meta = path.metadata()?;
    if !meta.is_file() && !meta.file_type().is_block_device() {
        // Opening a pipe or a console would wait for its other end, or do something.
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let mut file = File::options().read(true).custom_flags(flags).open(path)?;
    let (allocation, physical) = if meta.is_file() {
        (meta.blocks().saturating_mul(512), meta.len())
    } else {
        let end = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        (end, end)
    };
    let mut head = Vec::with_capacity(HEAD);
    if place.format != ImageFormat::Raw {
        Read::by_ref(&mut file).take(HEAD as u64).read_to_end(&mut head)?;
    }
    let capacity = capacity(place.format, &head).unwrap_or(physical);
    Ok(Sizes { capacity, allocation, physical })
}

/// Looks at many images until `end`; those that were not seen by then are left out.
pub(crate) async fn look_at_all(places: Vec<Place>, end: Instant) -> Vec<Option<Sizes>> {
    let nothing = vec![None; places.len()];
    if places.is_empty() {
        return nothing;
    }
    let Ok(Ok(permit)) = timeout_at(end, LOOKS.clone().acquire_owned()).await else {
        return nothing;
    };
    let seen = Arc::new(Mutex::new(nothing));
    let filled = seen.clone();
    let looks = tokio::task::spawn_blocking(move || {
        let _until_the_last_look = permit;
        for (at, place) in places.iter().enumerate() {
            // Nobody waits any more: the rest need not be looked at.
            if Arc::strong_count(&filled) == 1 {
                break;
            }
            let found = look(place).ok();
            filled.lock().unwrap_or_else(PoisonError::into_inner)[at] = found;
        }
    });
    // What was seen by then counts, whether or not all was.
    let _late = timeout_at(end, looks).await;
    seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn images_are_measured_and_devices_left_alone() {
        let folder = std::env::temp_dir().join(format!("virtus-image-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let raw = folder.join("raw");
        io::Write::write_all(&mut File::create(&raw).unwrap(), &[1; 5000]).unwrap();
        let place = |path: &Path, format| Place { path: path.to_string_lossy().into(), format };
        let places = vec![
            place(&raw, ImageFormat::Raw),
            place(Path::new("/dev/tty"), ImageFormat::Raw),
            place(&folder.join("none"), ImageFormat::Qcow2),
        ];
        let end = Instant::now() + Duration::from_secs(60);
        let seen = look_at_all(places, end).await;
        let sizes = seen[0].unwrap();
        assert_eq!((sizes.capacity, sizes.physical), (5000, 5000));
        assert_eq!(&seen[1..], [None, None]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finds the images that the disks of a guest stand on, and writes them into its live definition.
//!
//! What a definition states is kept; looking begins at the last image that it names, unless an empty
//! `<backingStore/>` says that there is nothing below. All of it blocks.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::image::chain::{DEEPEST, Image, Look, walk};
use virtus_domain::image::{Location, probe};
use virtus_host::user::Identity;
use virtus_xml::Domain;
use virtus_xml::domain::disk::{Disk, DiskDevice};
use virtus_xml::domain::storage::{
    BackingStore, DataStore, Format, ImageFormat, StartupPolicy, StorageSource, StorageType,
};

use crate::plan;

/// Refuses disks whose writes are to be thrown away: without an overlay they would be kept.
pub(crate) fn refuse_transient(def: &Domain) -> Result<()> {
    match def.devices.disks.iter().find(|disk| disk.transient.is_some()) {
        None => Ok(()),
        Some(disk) => {
            let text = format!(
                "disk '{}' is <transient/>, and this driver makes no overlays for such disks yet",
                disk.target.dev
            );
            Err(Error::new(ErrorCode::ConfigUnsupported, text).hint(
                "make an overlay with 'qemu-img create -f qcow2 -F FORMAT -b IMAGE' and use that",
            ))
        }
    }
}

/// Takes away what may be missing and is: a medium from its drive, any other disk as a whole.
fn drop_missing(def: &mut Domain) {
    let missing = |disk: &Disk| {
        let source = disk.source.as_ref()?;
        let optional = source.startup_policy == Some(StartupPolicy::Optional);
        let path = source.local_path().filter(|_| optional)?;
        (!Path::new(path).try_exists().unwrap_or(true)).then_some(())
    };
    let has_drive = |disk: &Disk| matches!(disk.device, DiskDevice::Cdrom | DiskDevice::Floppy);
    def.devices.disks.retain(|disk| has_drive(disk) || missing(disk).is_none());
    for disk in &mut def.devices.disks {
        if missing(disk).is_some() {
            (disk.source, disk.backing_store) = (None, None);
        }
    }
}

/// Completes the chains of all disks and numbers the images anew.
pub(crate) fn find_all(def: &mut Domain, identity: &Identity) -> Result<()> {
    drop_missing(def);
    def.devices.disks.iter_mut().try_for_each(|disk| find(disk, identity))?;
    plan::number_images(def);
    Ok(())
}

/// Completes the chain of one disk.
///
/// # Errors
/// Where an image below is missing or refers to itself, or an image does not state the format of what is below it.
pub(crate) fn find(disk: &mut Disk, identity: &Identity) -> Result<()> {
    let format = disk.format();
    let Some(source) = disk.source.as_mut().filter(|source| plan::has_medium(source)) else {
        return Ok(());
    };
    match &mut disk.backing_store {
        Some(store) => go_on(store, identity)?,
        none => *none = below(disk.kind, format, source, identity)?.map(Box::new),
    }
    Ok(())
}

/// Looks below the last image that is stated.
fn go_on(store: &mut BackingStore, identity: &Identity) -> Result<()> {
    let Some(source) = &mut store.source else { return Ok(()) };
    match &mut store.backing_store {
        Some(next) => go_on(next, identity)?,
        none => {
            let kind = store.kind.unwrap_or_default();
            let format = store.format.as_ref().map(|format| format.kind);
            *none = below(kind, format, source, identity)?.map(Box::new);
        }
    }
    Ok(())
}

/// The images below one; `None` where nobody can know. An image's data file is written into its source.
fn below(
    kind: StorageType,
    format: Option<ImageFormat>,
    source: &mut StorageSource,
    identity: &Identity,
) -> Result<Option<BackingStore>> {
    let top = Location { kind, source: source.clone(), credentials: false };
    let mut images = walk(top, format, DEEPEST, &mut Eyes { identity })?.into_iter();
    let Some(top) = images.next() else { return Ok(None) };
    add_data(source, top.data_file);
    let known = |complete: bool| complete.then(BackingStore::default);
    let end = images.as_slice().last().map_or(top.complete, |last| last.complete);
    Ok(images.rfold(known(end), |below, image| {
        let Image { location, head, data_file, .. } = image;
        let mut source = location.source;
        add_data(&mut source, data_file);
        Some(BackingStore {
            kind: Some(location.kind),
            format: Some(Format { kind: head.format, ..Format::default() }),
            source: Some(source),
            backing_store: below.map(Box::new),
            ..BackingStore::default()
        })
    }))
}

fn add_data(source: &mut StorageSource, data: Option<Location>) {
    let Some(data) = data.filter(|_| source.data_store.is_none()) else { return };
    source.data_store = Some(Box::new(DataStore {
        kind: Some(data.kind),
        format: Some(Format { kind: ImageFormat::Raw, ..Format::default() }),
        source: Some(data.source),
    }));
}

/// Reads images of this host.
struct Eyes<'a> {
    /// As whom QEMU will open them, for messages.
    identity: &'a Identity,
}

impl Look for Eyes<'_> {
    fn head(&mut self, image: &Location, above: Option<&Location>) -> Result<Option<Vec<u8>>> {
        let (StorageType::File | StorageType::Block, Some(path)) =
            (image.kind, image.source.local_path())
        else {
            return Ok(None);
        };
        if image.source.fdgroup.is_some() {
            return Ok(None);
        }
        match (read_head(Path::new(path)), above) {
            (Ok(head), _) => Ok(head),
            // Network storage may close itself to root and open itself to QEMU; what is missing at the top is
            // complained about when the files are given away, with more to say.
            (Err(cause), _) if cause.kind() == io::ErrorKind::PermissionDenied => Ok(None),
            (Err(_), None) => Ok(None),
            (Err(cause), Some(above)) => {
                let text = format!(
                    "Cannot access backing file '{path}' of storage file '{}' (as uid:{}, gid:{})",
                    above.name(),
                    self.identity.uid,
                    self.identity.gid
                );
                Err(Error::system(text, &cause).hint(format!(
                    "see the chain with 'qemu-img info --backing-chain {}'",
                    above.name()
                )))
            }
        }
    }

    fn kind(&mut self, path: &str) -> StorageType {
        match Path::new(path).metadata() {
            Ok(facts) if facts.is_dir() => StorageType::Dir,
            Ok(facts) if facts.file_type().is_block_device() => StorageType::Block,
            _ => StorageType::File,
        }
    }
}

/// The first bytes of a file or block device; nothing of what would wait for its other end.
fn read_head(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let facts = path.metadata()?;
    if !facts.is_file() && !facts.file_type().is_block_device() {
        return Ok(None);
    }
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let mut head = Vec::with_capacity(probe::LENGTH);
    file.take(probe::LENGTH as u64).read_to_end(&mut head)?;
    Ok(Some(head))
}

#[cfg(test)]
mod tests;

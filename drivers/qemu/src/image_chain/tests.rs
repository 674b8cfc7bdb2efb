// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Chains of images in a folder of their own.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use super::*;

/// A folder with images, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("virtus-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    /// The header of a qcow2 image of version 3.
    fn qcow2(&self, name: &str, backing: &str, format: &str) {
        let mut bytes = vec![0; 1024];
        let mut put = |at: usize, data: &[u8]| bytes[at..at + data.len()].copy_from_slice(data);
        put(0, b"QFI\xfb\0\0\0\x03");
        put(8, &if backing.is_empty() { 0 } else { 512_u64 }.to_be_bytes());
        put(16, &u32::try_from(backing.len()).unwrap().to_be_bytes());
        put(100, &104_u32.to_be_bytes());
        put(104, &0xe279_2aca_u32.to_be_bytes());
        put(108, &u32::try_from(format.len()).unwrap().to_be_bytes());
        put(112, format.as_bytes());
        put(512, backing.as_bytes());
        self.write(name, &bytes);
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        File::create(self.0.join(name)).unwrap().write_all(bytes).unwrap();
    }

    fn disk(&self, name: &str) -> Disk {
        let driver = virtus_xml::domain::disk::DiskDriver {
            format: Some(ImageFormat::Qcow2),
            ..Default::default()
        };
        Disk {
            driver: Some(driver),
            source: Some(Location::file(&self.path(name)).source),
            ..Disk::default()
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn found(disk: &mut Disk) -> Result<()> {
    find(disk, &Identity::current())
}

#[test]
fn each_layer_is_written_into_the_definition() {
    let folder = Folder::new("chain");
    folder.qcow2("top", "middle", "qcow2");
    folder.qcow2("middle", "base", "raw");
    folder.write("base", &[0; 512]);
    let mut disk = folder.disk("top");
    found(&mut disk).unwrap();
    assert_eq!(plan::number_disk(&mut disk, 4), 7);
    let middle = disk.backing_store.unwrap();
    assert_eq!(middle.source.unwrap().file, Some(folder.path("middle")));
    assert_eq!((middle.index, middle.format.unwrap().kind), (Some(6), ImageFormat::Qcow2));
    let base = middle.backing_store.unwrap();
    assert_eq!(base.source.unwrap().file, Some(folder.path("base")));
    assert_eq!((base.index, base.format.unwrap().kind), (Some(7), ImageFormat::Raw));
    assert_eq!(base.backing_store, Some(Box::default()));
}

#[test]
fn what_is_stated_is_kept() {
    let folder = Folder::new("stated");
    folder.qcow2("top", "gone", "raw");
    let mut disk = folder.disk("top");
    disk.backing_store = Some(Box::default());
    found(&mut disk).unwrap();
    assert_eq!(disk.backing_store, Some(Box::default()));
}

#[test]
fn a_missing_image_is_named_with_the_one_above() {
    let folder = Folder::new("missing");
    folder.qcow2("top", "gone", "raw");
    let error = found(&mut folder.disk("top")).unwrap_err();
    assert_eq!(error.code(), ErrorCode::SystemError);
    let lead = format!("Cannot access backing file '{}' of storage file", folder.path("gone"));
    assert!(error.text().starts_with(&lead), "{error}");
}

#[test]
fn what_cannot_be_looked_into_is_left_to_qemu() {
    let folder = Folder::new("absent");
    let mut disk = folder.disk("top");
    found(&mut disk).unwrap();
    assert_eq!(disk.backing_store, None);
}

#[test]
fn a_medium_that_may_be_missing_leaves_its_drive() {
    let folder = Folder::new("optional");
    let mut def = Domain::default();
    for device in [DiskDevice::Cdrom, DiskDevice::Disk] {
        let mut disk = Disk { device, ..folder.disk("gone") };
        disk.source.as_mut().unwrap().startup_policy = Some(StartupPolicy::Optional);
        def.devices.disks.push(disk);
    }
    find_all(&mut def, &Identity::current()).unwrap();
    let [drive] = &def.devices.disks[..] else { panic!("{} disks", def.devices.disks.len()) };
    assert_eq!((drive.device, &drive.source), (DiskDevice::Cdrom, &None));
}

#[test]
fn a_disk_that_must_not_keep_its_writes_is_refused() {
    let folder = Folder::new("transient");
    let mut def = Domain::default();
    def.devices.disks.push(folder.disk("top"));
    assert!(refuse_transient(&def).is_ok());
    def.devices.disks[0].transient = Some(Default::default());
    assert_eq!(refuse_transient(&def).unwrap_err().code(), ErrorCode::ConfigUnsupported);
}

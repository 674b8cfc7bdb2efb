// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<disks>` of a snapshot: how each disk takes part, and the image that receives what is written from then on.

use virtus_api::Result;

use crate::domain::disk::SnapshotMode;
use crate::domain::storage::{ImageFormat, MetadataCache, StorageSource, StorageType};
use crate::reader::Node;
use crate::schema::kinds;

element! {
    /// `<disks>` or `<revertDisks>`.
    pub struct SnapshotDisks { child disks: Vec<SnapshotDisk> = "disk" }
}

element! {
    /// One disk.
    pub struct SnapshotDisk {
        /// Its target in the guest, or in a new snapshot the path of its image.
        required name: String = "name",
        attr mode: Option<SnapshotMode> = "snapshot",
        attr kind: Option<StorageType> = "type",
        flag delete_in_progress: bool = "snapshotDeleteInProgress",
        child driver: Option<SnapshotDriver> = "driver",
        child source: Option<StorageSource> = "source"
    }
    schema {
        required kinds::DiskNameOrPath = "name",
        case "type" ["block"] {
            child (required kinds::AbsolutePath = "dev", part StorageSource) = "source"
        },
        case "type" ["network"] { one StorageSource = "source" },
        child (attr kinds::AbsolutePath = "file", part StorageSource) = "source"
    }
    then Self::check
}

element! {
    /// `<driver>`: how the new image is laid out.
    pub struct SnapshotDriver {
        attr format: Option<ImageFormat> = "type",
        child metadata_cache: Option<MetadataCache> = "metadata_cache"
    }
}

impl SnapshotDisk {
    /// Fills in type and mode; drops what says nothing.
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.name.is_empty() {
            return Err(node.missing_attr("name"));
        }
        let kind = self.kind.unwrap_or_default();
        if matches!(kind, StorageType::Volume | StorageType::Dir) {
            return Err(node.error(format_args!("unsupported disk snapshot type '{kind}'")));
        }
        if let Some(source) = &mut self.source {
            source.keep_only(kind);
            source.settle_ports();
        }
        self.source.take_if(|source| source.is_empty());
        if let Some(driver) = &mut self.driver {
            if driver.format == Some(ImageFormat::None) {
                return Err(node.error("unknown disk snapshot driver 'none'"));
            }
            driver.metadata_cache.take_if(|cache| cache.max_size.is_none());
        }
        self.driver.take_if(|driver| *driver == SnapshotDriver::default());
        if let Some(path) = self.path()
            && kind != StorageType::Network
            && !path.starts_with('/')
        {
            return Err(
                node.error(format_args!("disk snapshot image path '{path}' must be absolute"))
            );
        }
        let has_format = self.driver.as_ref().is_some_and(|driver| driver.format.is_some());
        if self.path().is_none() && !has_format {
            (self.kind, self.driver, self.source) = (None, None, None);
        } else {
            self.kind = Some(kind);
            self.mode.get_or_insert(SnapshotMode::External);
        }
        Ok(())
    }

    /// Where the new image is.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        let source = self.source.as_ref()?;
        source.local_path().or(source.name.as_deref())
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<disk>`: a block device of the guest and the image behind it.

mod sources;

use self::sources::{
    BlockSource, DirSource, DiskAuth, FileSource, NetworkSource, NvmeSource, VhostUserSource,
    VhostVdpaSource, VolumeSource,
};
use super::device::{Device, VirtioOptions};
use super::storage::{
    Auth, BackingStore, Encryption, Format, ImageFormat, MetadataCache, StorageSource, StorageType,
};
use crate::schema::kinds;
use crate::tree::Tree;
use crate::value::{OnOff, YesNo};

spellings! {
    /// What the guest sees.
    pub enum DiskDevice { Disk = "disk", Cdrom = "cdrom", Floppy = "floppy", Lun = "lun" }
}

spellings! {
    /// To which kind of controller a disk is attached.
    pub enum DiskBus {
        Ide = "ide", Fdc = "fdc", Scsi = "scsi", Virtio = "virtio", Xen = "xen", Usb = "usb",
        Uml = "uml", Sata = "sata", Sd = "sd",
    }
}

spellings! {
    /// How host caches are used.
    pub enum CacheMode {
        Default = "default", None = "none", Writethrough = "writethrough", Writeback = "writeback",
        Directsync = "directsync", Unsafe = "unsafe",
    }
}

spellings! {
    /// How I/O is submitted.
    pub enum IoMode { Native = "native", Threads = "threads", IoUring = "io_uring" }
}

spellings! {
    /// What happens on an I/O error.
    pub enum ErrorPolicy {
        Stop = "stop", Report = "report", Ignore = "ignore", Enospace = "enospace",
    }
}

spellings! {
    /// What becomes of the guest's discards.
    pub enum Discard { Unmap = "unmap", Ignore = "ignore" }
}

spellings! {
    /// What becomes of written zeroes.
    pub enum DetectZeroes { Off = "off", On = "on", Unmap = "unmap" }
}

spellings! {
    /// Which generation of virtio a device speaks.
    pub enum VirtioModel {
        Virtio = "virtio", Transitional = "virtio-transitional", NonTransitional = "virtio-non-transitional",
    }
}

spellings! {
    /// How a snapshot treats a disk.
    pub enum SnapshotMode {
        No = "no", Internal = "internal", External = "external", Manual = "manual",
    }
}

spellings! {
    /// Whether the guest may send SCSI generic commands.
    pub enum Sgio { Filtered = "filtered", Unfiltered = "unfiltered" }
}

spellings! {
    /// The door of a removable drive.
    pub enum Tray { Closed = "closed", Open = "open" }
}

spellings! {
    /// Where the image of a `lun` is: only there is something that takes SCSI commands.
    pub enum LunType { Block = "block", Network = "network", Volume = "volume" }
}

element! {
    /// `<disk>`.
    pub struct Disk {
        attr kind: StorageType = "type",
        attr device: DiskDevice = "device",
        attr model: Option<VirtioModel> = "model",
        attr rawio: Option<YesNo> = "rawio",
        attr sgio: Option<Sgio> = "sgio",
        attr snapshot: Option<SnapshotMode> = "snapshot",
        child driver: Option<DiskDriver> = "driver",
        child auth: Option<Box<Auth>> = "auth",
        child source: Option<StorageSource> = "source",
        child backenddomain: Option<super::storage::Named> = "backenddomain",
        child backing_store: Option<Box<BackingStore>> = "backingStore",
        child mirror: Option<Box<Mirror>> = "mirror",
        child geometry: Option<Geometry> = "geometry",
        child blockio: Option<Blockio> = "blockio",
        custom target: DiskTarget = "target",
        child iotune: Option<Box<Iotune>> = "iotune",
        child throttlefilters: Option<ThrottleFilters> = "throttlefilters",
        flag readonly: bool = "readonly",
        flag shareable: bool = "shareable",
        child transient: Option<Transient> = "transient",
        leaf serial: Option<String> = "serial",
        leaf wwn: Option<String> = "wwn",
        leaf vendor: Option<String> = "vendor",
        leaf product: Option<String> = "product",
        child encryption: Option<Box<Encryption>> = "encryption",
        part info: Device,
        status private: Option<Box<Tree>> = "privateData",
        status secrets_placement: Option<Box<Tree>> = "diskSecretsPlacement"
    }
    schema {
        case "device" ["lun"] { required LunType = "type" },
        one DiskTarget = "target",
        child DiskAuth = "auth",
        leaf kinds::Wwn = "wwn",
        leaf kinds::ScsiVendor = "vendor",
        leaf kinds::ScsiProduct = "product",
        case "type" [] { child FileSource = "source" },
        case "type" ["file"] { child FileSource = "source" },
        case "type" ["block"] { child BlockSource = "source" },
        case "type" ["dir"] { child DirSource = "source" },
        case "type" ["network"] { one NetworkSource = "source" },
        case "type" ["volume"] { child VolumeSource = "source" },
        case "type" ["nvme"] { child NvmeSource = "source" },
        case "type" ["vhostuser"] { one VhostUserSource = "source" },
        case "type" ["vhostvdpa"] { one VhostVdpaSource = "source" }
    }
}

element! {
    /// `<driver>` of a disk.
    pub struct DiskDriver {
        attr name: Option<String> = "name",
        attr format: Option<ImageFormat> = "type",
        attr cache: Option<CacheMode> = "cache",
        attr error_policy: Option<ErrorPolicy> = "error_policy",
        attr rerror_policy: Option<ErrorPolicy> = "rerror_policy",
        attr io: Option<IoMode> = "io",
        attr ioeventfd: Option<OnOff> = "ioeventfd",
        attr event_idx: Option<OnOff> = "event_idx",
        attr copy_on_read: Option<OnOff> = "copy_on_read",
        attr discard: Option<Discard> = "discard",
        attr iothread: Option<u32> = "iothread",
        attr detect_zeroes: Option<DetectZeroes> = "detect_zeroes",
        attr discard_no_unref: Option<OnOff> = "discard_no_unref",
        attr queues: Option<u32> = "queues",
        attr queue_size: Option<u32> = "queue_size",
        part virtio: VirtioOptions,
        child iothreads: Option<IothreadMap> = "iothreads",
        child metadata_cache: Option<MetadataCache> = "metadata_cache"
    }
    schema {
        attr kinds::GenericName = "name",
        attr kinds::Positive = "queues",
        attr kinds::Positive = "queue_size"
    }
}

element! {
    /// `<iothreads>` of a disk or a controller: which threads serve which queues.
    pub struct IothreadMap { child iothread: Vec<MappedIothread> = "iothread" }
}

element! {
    /// One thread and its queues.
    pub struct MappedIothread {
        required id: u32 = "id",
        child queues: Vec<MappedQueue> = "queue"
    }
}

element! {
    /// One queue of a thread.
    pub struct MappedQueue { required id: u32 = "id" }
}

element! {
    /// `<target>`: the disk's name and bus in the guest.
    pub struct DiskTarget {
        required dev: String = "dev",
        attr bus: Option<DiskBus> = "bus",
        attr tray: Option<Tray> = "tray",
        attr removable: Option<OnOff> = "removable",
        attr rotation_rate: Option<u32> = "rotation_rate"
    }
    schema {
        required kinds::DiskName = "dev"
    }
}

element! {
    /// `<mirror>`: a block job that copies the disk.
    pub struct Mirror {
        attr kind: Option<StorageType> = "type",
        attr file: Option<String> = "file",
        attr format_attr: Option<ImageFormat> = "format",
        attr job: Option<MirrorJob> = "job",
        attr ready: Option<MirrorReady> = "ready",
        child format: Option<Format> = "format",
        child source: Option<StorageSource> = "source",
        child backing_store: Option<Box<BackingStore>> = "backingStore"
    }
}

spellings! {
    /// What kind of copy a mirror is.
    pub enum MirrorJob { Copy = "copy", ActiveCommit = "active-commit" }
}

spellings! {
    /// How far a mirror is.
    pub enum MirrorReady { Yes = "yes", Abort = "abort", Pivot = "pivot" }
}

element! {
    /// `<geometry>`.
    pub struct Geometry {
        required cyls: u32 = "cyls",
        required heads: u32 = "heads",
        required secs: u32 = "secs",
        attr trans: Option<GeometryTrans> = "trans"
    }
}

spellings! {
    /// How the BIOS translates the geometry.
    pub enum GeometryTrans { None = "none", Auto = "auto", Lba = "lba" }
}

element! {
    /// `<blockio>`: block sizes that the guest sees.
    pub struct Blockio {
        attr logical_block_size: Option<u32> = "logical_block_size",
        attr physical_block_size: Option<u32> = "physical_block_size",
        attr discard_granularity: Option<u32> = "discard_granularity"
    }
}

element! {
    /// `<iotune>`: limits of a disk's I/O; also the body of a throttle group.
    pub struct Iotune {
        leaf total_bytes_sec: Option<u64> = "total_bytes_sec",
        leaf read_bytes_sec: Option<u64> = "read_bytes_sec",
        leaf write_bytes_sec: Option<u64> = "write_bytes_sec",
        leaf total_iops_sec: Option<u64> = "total_iops_sec",
        leaf read_iops_sec: Option<u64> = "read_iops_sec",
        leaf write_iops_sec: Option<u64> = "write_iops_sec",
        leaf total_bytes_sec_max: Option<u64> = "total_bytes_sec_max",
        leaf read_bytes_sec_max: Option<u64> = "read_bytes_sec_max",
        leaf write_bytes_sec_max: Option<u64> = "write_bytes_sec_max",
        leaf total_iops_sec_max: Option<u64> = "total_iops_sec_max",
        leaf read_iops_sec_max: Option<u64> = "read_iops_sec_max",
        leaf write_iops_sec_max: Option<u64> = "write_iops_sec_max",
        leaf size_iops_sec: Option<u64> = "size_iops_sec",
        leaf group_name: Option<String> = "group_name",
        leaf total_bytes_sec_max_length: Option<u64> = "total_bytes_sec_max_length",
        leaf read_bytes_sec_max_length: Option<u64> = "read_bytes_sec_max_length",
        leaf write_bytes_sec_max_length: Option<u64> = "write_bytes_sec_max_length",
        leaf total_iops_sec_max_length: Option<u64> = "total_iops_sec_max_length",
        leaf read_iops_sec_max_length: Option<u64> = "read_iops_sec_max_length",
        leaf write_iops_sec_max_length: Option<u64> = "write_iops_sec_max_length"
    }
}

element! {
    /// `<throttlefilters>`: the groups whose limits a disk shares.
    pub struct ThrottleFilters { child filters: Vec<ThrottleFilter> = "throttlefilter" }
}

element! {
    /// One group.
    pub struct ThrottleFilter { required group: String = "group" }
}

element! {
    /// `<transient/>`: what the guest writes is thrown away.
    pub struct Transient { attr share_backing: Option<YesNo> = "shareBacking" }
}

impl Disk {
    /// libvirt writes of USB sticks only whether they are removable.
    fn target(&self, tag: &str, out: &mut crate::writer::Writer) {
        let told = self.target.removable.filter(|_| self.target.bus == Some(DiskBus::Usb));
        let target = DiskTarget { removable: told, ..self.target.clone() };
        crate::slot::ChildSlot::write(&target, tag, out);
    }

    /// Whether the guest may not write: stated, or by nature.
    #[must_use]
    pub fn is_readonly(&self) -> bool {
        self.readonly || self.device == DiskDevice::Cdrom
    }

    /// The image's format, if it is stated.
    #[must_use]
    pub fn format(&self) -> Option<ImageFormat> {
        self.driver.as_ref().and_then(|driver| driver.format)
    }
}

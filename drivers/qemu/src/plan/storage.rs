// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images as QEMU's block nodes: for each image of a chain a storage node, a slice if asked for, and a format node
//! where the format says something that the storage does not.
//!
//! Invariant: what stands here is what `blockdev-add` of a hot-plug takes, in the order in which the nodes are
//! added: the deepest image first.

mod network;

use serde_json::json;
use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::domain::disk::{CacheMode, DetectZeroes, Discard, Disk, DiskDevice, IoMode};
use virtus_xml::domain::storage::{
    Auth, BackingStore, Encryption, EncryptionEngine, EncryptionFormat, ImageFormat, Slice,
    StorageSource, StorageType,
};

use super::argv::Props;
use super::context::Context;

/// One image of a chain.
#[derive(Debug, Clone)]
pub(crate) struct Image<'a> {
    /// What its nodes' names begin with: `libvirt-2`.
    pub(crate) name: String,
    pub(crate) kind: StorageType,
    pub(crate) source: &'a StorageSource,
    pub(crate) format: ImageFormat,
    pub(crate) cache_size: Option<u64>,
    pub(crate) auth: Option<&'a Auth>,
    pub(crate) encryption: Option<&'a Encryption>,
    pub(crate) read_only: bool,
    /// The device through which the guest sees it.
    pub(crate) device: DiskDevice,
    pub(crate) below: Below,
    /// Whether there is a format node in any case.
    pub(crate) force_format: bool,
}

/// What lies below an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Below {
    /// Nobody said; QEMU looks into the image.
    Unknown,
    /// Nothing.
    Nothing,
    /// The node of this name.
    Node(String),
}

/// How the host handles the data of a disk.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Handling {
    pub(crate) cache: Option<CacheMode>,
    pub(crate) io: Option<IoMode>,
    pub(crate) discard: Option<Discard>,
    pub(crate) detect_zeroes: Option<DetectZeroes>,
    pub(crate) discard_no_unref: Option<bool>,
}

impl Handling {
    /// What a disk's `<driver>` says.
    pub(crate) fn of(disk: &Disk) -> Self {
        let driver = disk.driver.as_ref();
        let mut cache = driver.and_then(|driver| driver.cache);
        if matches!(cache, None | Some(CacheMode::Default)) {
            // Whoever shares a disk between guests must not keep writes in the host's cache.
            cache = (disk.shareable && !disk.is_readonly()).then_some(CacheMode::None);
        }
        Self {
            cache,
            io: driver.and_then(|driver| driver.io),
            discard: driver.and_then(|driver| driver.discard),
            detect_zeroes: driver.and_then(|driver| driver.detect_zeroes),
            discard_no_unref: driver.and_then(|d| d.discard_no_unref).map(|on| on.is_on()),
        }
    }

    fn cache_props(self) -> Option<Props> {
        let (direct, no_flush) = match self.cache? {
            CacheMode::Default => return None,
            CacheMode::None | CacheMode::Directsync => (true, false),
            CacheMode::Writethrough | CacheMode::Writeback => (false, false),
            CacheMode::Unsafe => (false, true),
        };
        Some(Props::new().with("direct", direct).with("no-flush", no_flush))
    }

    /// `write-cache` of the guest's device.
    pub(crate) fn write_cache(self) -> Option<&'static str> {
        match self.cache? {
            CacheMode::Default => None,
            CacheMode::None | CacheMode::Writeback | CacheMode::Unsafe => Some("on"),
            CacheMode::Writethrough | CacheMode::Directsync => Some("off"),
        }
    }
}

/// The nodes of one image, and the objects that they refer to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nodes {
    pub(crate) objects: Vec<Props>,
    pub(crate) nodes: Vec<Props>,
}

impl Image<'_> {
    pub(crate) fn storage_name(&self) -> String {
        format!("{}-storage", self.name)
    }

    /// The node that stands for the image as a whole.
    pub(crate) fn top_name(&self) -> String {
        if self.needs_format() {
            format!("{}-format", self.name)
        } else if self.slice().is_some() {
            format!("{}-slice-sto", self.name)
        } else {
            self.storage_name()
        }
    }

    fn slice(&self) -> Option<&Slice> {
        self.source.slices.as_ref().and_then(|slices| slices.slice.first())
    }

    fn qemu_decrypts(&self) -> bool {
        self.encryption.is_some_and(|encryption| {
            matches!(encryption.engine, None | Some(EncryptionEngine::Qemu))
        })
    }

    /// Whether a format node says more than the storage node.
    fn needs_format(&self) -> bool {
        match self.kind {
            StorageType::VhostVdpa | StorageType::VhostUser => return false,
            // The format node keeps writes away, for the generated file system itself is writable.
            StorageType::Dir => return true,
            _ => {}
        }
        self.force_format
            || self.format != ImageFormat::Raw
            || self.qemu_decrypts()
            || (self.source.fdgroup.is_some() && self.read_only)
    }

    /// The image's nodes.
    pub(crate) fn nodes(&self, how: Handling, cx: &Context) -> Result<Nodes> {
        let mut out = Nodes::default();
        let formatted = self.needs_format();
        let sliced = self.slice();
        let storage = self.storage(how, cx, &mut out)?;
        out.nodes.push(self.finish(
            storage,
            self.storage_name(),
            formatted || sliced.is_some(),
            how,
        ));
        if let Some(slice) = sliced {
            let props = Props::device("raw")
                .with("file", self.storage_name())
                .with("offset", slice.offset)
                .with("size", slice.size);
            out.nodes.push(self.finish(props, format!("{}-slice-sto", self.name), formatted, how));
        }
        if formatted {
            let props = self.format_node(how, cx, &mut out.objects)?;
            out.nodes.push(props);
        }
        Ok(out)
    }

    /// Adds to a storage node what every node has; `covered` if another node of the image lies above it.
    fn finish(&self, mut props: Props, name: String, covered: bool, how: Handling) -> Props {
        props.set("node-name", name);
        if covered {
            props.set("auto-read-only", true);
            props.set("discard", "unmap");
        } else {
            props.set("read-only", self.read_only);
            self.set_handling(&mut props, how);
        }
        if let Some(cache) = how.cache_props() {
            props.set("cache", cache);
        }
        props
    }

    fn set_handling(&self, props: &mut Props, how: Handling) {
        if let Some(discard) = how.discard {
            props.set("discard", discard.as_str());
        }
        if let Some(detect) = how.detect_zeroes {
            props.set("detect-zeroes", detect.as_str());
        }
    }

    fn storage(&self, how: Handling, cx: &Context, out: &mut Nodes) -> Result<Props> {
        let source = self.source;
        let need = |value: &Option<String>, what: &str| {
            value.clone().ok_or_else(|| {
                Error::new(
                    ErrorCode::ConfigUnsupported,
                    format!("image '{}' has no {what}", self.name),
                )
            })
        };
        let mut props = match self.kind {
            StorageType::File => {
                Props::device("file").with("filename", need(&source.file, "file")?)
            }
            StorageType::Block => {
                let path = need(&source.dev, "device")?;
                let drive = self.device == DiskDevice::Cdrom && cx.host_cdroms.contains(&path);
                Props::device(if drive { "host_cdrom" } else { "host_device" })
                    .with("filename", path)
            }
            StorageType::Dir => Props::device("vvfat")
                .with("dir", need(&source.dir, "folder")?)
                .with("floppy", self.device == DiskDevice::Floppy)
                .with("rw", false),
            StorageType::Network => self.network(cx, out)?,
            StorageType::Nvme => {
                let (Some(address), Some(namespace)) = (source.address, source.namespace) else {
                    return Err(unsupported(format!(
                        "NVMe disk '{}' without an address",
                        self.name
                    )));
                };
                let pci = address.pci;
                Props::device("nvme")
                    .with(
                        "device",
                        format!(
                            "{:04x}:{:02x}:{:02x}.{:x}",
                            pci.domain.0, pci.bus.0, pci.slot.0, pci.function.0
                        ),
                    )
                    .with("namespace", namespace)
            }
            kind => {
                return Err(unsupported(format!("disk type '{kind}'")));
            }
        };
        if matches!(self.kind, StorageType::File | StorageType::Block) {
            if let Some(io) = how.io {
                props.set("aio", io.as_str());
            }
            if let Some(reservations) = &source.reservations {
                let managed = reservations.managed == Some(virtus_xml::value::YesNo::Yes);
                let id = if managed {
                    "pr-helper0".to_owned()
                } else {
                    let path = reservations.source.as_ref().and_then(|source| source.path.clone());
                    let path = path
                        .ok_or_else(|| unsupported("persistent reservations without a helper"))?;
                    let id = format!("pr-helper-{}", self.storage_name());
                    let helper = Props::object("pr-manager-helper", id.clone());
                    out.objects.push(helper.with("path", path));
                    id
                };
                props.set("pr-manager", id);
            }
        }
        Ok(props)
    }

    fn format_node(&self, how: Handling, cx: &Context, objects: &mut Vec<Props>) -> Result<Props> {
        let name = format!("{}-format", self.name);
        let mut props =
            Props::new().with("node-name", name.clone()).with("read-only", self.read_only);
        self.set_handling(&mut props, how);
        if let Some(cache) = how.cache_props() {
            props.set("cache", cache);
        }
        let key = |objects: &mut Vec<Props>| -> Result<String> {
            let id = format!("{name}-encryption-secret0");
            objects.push(secret(cx, &id)?);
            Ok(id)
        };
        match (self.format, self.encryption.filter(|_| self.qemu_decrypts())) {
            (ImageFormat::Raw | ImageFormat::Luks, Some(encryption))
                if encryption.format == EncryptionFormat::Luks =>
            {
                props.set("driver", "luks");
                props.set("key-secret", key(objects)?);
            }
            (ImageFormat::Qcow2, Some(encryption)) => {
                let id = key(objects)?;
                let format = match encryption.format {
                    EncryptionFormat::Luks => "luks",
                    EncryptionFormat::Qcow => "aes",
                    other => {
                        return Err(unsupported(format!("encryption '{other}' of a qcow2 image")));
                    }
                };
                props.set("driver", "qcow2");
                props.set("encrypt", json!({ "format": format, "key-secret": id }));
            }
            (_, Some(encryption)) => {
                return Err(unsupported(format!(
                    "encryption '{}' of a {} image",
                    encryption.format, self.format
                )));
            }
            (ImageFormat::Luks, None) => {
                return Err(unsupported("a luks image without <encryption>"));
            }
            (ImageFormat::Iso | ImageFormat::Fat | ImageFormat::Dir, None) => {
                props.set("driver", "raw")
            }
            (format, None) => props.set("driver", format.as_str()),
        }
        if self.format == ImageFormat::Qcow2 {
            if let Some(size) = self.cache_size {
                props.set("cache-size", size);
            }
            if let Some(on) = how.discard_no_unref {
                props.set("discard-no-unref", on);
            }
        }
        let file = match self.slice() {
            Some(_) => format!("{}-slice-sto", self.name),
            None => self.storage_name(),
        };
        props.set("file", file);
        let has_backing = matches!(
            self.format,
            ImageFormat::Qcow2 | ImageFormat::Qcow | ImageFormat::Qed | ImageFormat::Vmdk
        );
        match &self.below {
            Below::Node(node) => props.set("backing", node.clone()),
            Below::Nothing if has_backing => props.set("backing", serde_json::Value::Null),
            Below::Nothing | Below::Unknown => {}
        }
        Ok(props)
    }
}

/// The images of a disk, the one that the guest writes to first. Empty for an empty drive.
pub(crate) fn chain(disk: &Disk) -> Vec<Image<'_>> {
    let Some(source) = disk.source.as_ref().filter(|source| has_medium(source)) else {
        return Vec::new();
    };
    let name = |index: Option<u32>| format!("libvirt-{}", index.unwrap_or(0));
    let driver = disk.driver.as_ref();
    let mut images = vec![Image {
        name: name(source.index),
        kind: disk.kind,
        source,
        format: disk.format().unwrap_or(ImageFormat::Raw),
        cache_size: driver
            .and_then(|driver| driver.metadata_cache.as_ref())
            .and_then(|cache| cache.max_size.as_ref())
            .map(|size| size.0),
        auth: source.auth.as_ref().or(disk.auth.as_ref()),
        encryption: source.encryption.as_ref().or(disk.encryption.as_ref()),
        read_only: disk.is_readonly(),
        device: disk.device,
        below: Below::Unknown,
        force_format: false,
    }];
    let mut next = disk.backing_store.as_ref();
    while let Some(BackingStore { kind, index, format, source, backing_store }) = next {
        let Some(source) = source.as_ref() else {
            set_below(&mut images, Below::Nothing);
            break;
        };
        let image = Image {
            name: name(index.or(source.index)),
            kind: kind.unwrap_or(StorageType::File),
            source,
            format: format.as_ref().map_or(ImageFormat::Raw, |format| format.kind),
            cache_size: format
                .as_ref()
                .and_then(|format| format.metadata_cache.as_ref())
                .and_then(|cache| cache.max_size.as_ref())
                .map(|size| size.0),
            auth: source.auth.as_ref(),
            encryption: source.encryption.as_ref(),
            read_only: true,
            device: disk.device,
            below: Below::Unknown,
            force_format: false,
        };
        set_below(&mut images, Below::Node(image.top_name()));
        images.push(image);
        next = backing_store.as_deref();
    }
    images
}

fn set_below(images: &mut [Image<'_>], below: Below) {
    if let Some(image) = images.last_mut() {
        image.below = below;
    }
}

/// Whether a source names any data.
pub(crate) fn has_medium(source: &StorageSource) -> bool {
    source.local_path().is_some()
        || source.protocol.is_some()
        || source.pool.is_some()
        || source.address.is_some()
        || source.path.is_some()
}

/// `-object secret` with a value that only this guest's master key opens.
pub(crate) fn secret(cx: &Context, id: &str) -> Result<Props> {
    let sealed = cx.secrets.get(id).ok_or_else(|| {
        Error::new(ErrorCode::NoSecret, format!("the secret behind '{id}' was not found"))
            .hint("define it with 'virsh secret-define' and 'virsh secret-set-value'")
    })?;
    Ok(Props::object("secret", id)
        .with("data", sealed.data.clone())
        .with("keyid", "masterKey0")
        .with("iv", sealed.iv.clone())
        .with("format", "base64"))
}

/// The answer to what no plan is made for yet.
pub(crate) fn unsupported(what: impl Into<String>) -> Error {
    Error::new(
        ErrorCode::ConfigUnsupported,
        format!("{} is not supported by this driver", what.into()),
    )
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images as QEMU's block nodes: for each image of a chain a storage node, a slice if asked for, and a format node
//! where the format says something that the storage does not.
//!
//! Invariant: what stands here is what `blockdev-add` of a hot-plug takes, in the order in which the nodes are
//! added: the deepest image first.

mod chain;
mod create;
mod format;
mod names;
mod nbdkit;
mod network;
mod reference;

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::domain::disk::{CacheMode, DetectZeroes, Discard, Disk, DiskDevice, IoMode};
use virtus_xml::domain::storage::{
    Auth, Encryption, EncryptionEngine, ImageFormat, Slice, StorageSource, StorageType,
};

pub(crate) use self::chain::{chain, has_medium};
pub use self::create::Creation;
pub(crate) use self::names::Names;
pub use self::nbdkit::{Nbdkit, Secret, Word};
pub use self::reference::Reference;
use super::argv::Props;
use super::context::{Context, FdGroup, FdKey};

/// One image of a chain.
#[derive(Debug, Clone)]
pub(crate) struct Image<'a> {
    pub(crate) names: Names<'a>,
    /// The number in its nodes' names.
    pub(crate) number: u32,
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
    /// Where a qcow2 image keeps its data.
    pub(crate) data: Option<Box<Image<'a>>>,
    /// The descriptors through which a client has it opened.
    pub(crate) fds: Option<&'a FdGroup>,
    /// The number of the set in which QEMU gets descriptors.
    pub(crate) fd_set: Option<u32>,
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

    /// The same for an image below: what is discarded there and what is zero is the overlay's affair.
    pub(crate) fn below(self) -> Self {
        Self { discard: None, detect_zeroes: None, ..self }
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
    /// Descriptors that must be handed over first: set, number and purpose of each.
    pub(crate) fds: Vec<Props>,
    pub(crate) objects: Vec<Props>,
    pub(crate) nodes: Vec<Props>,
}

impl Image<'_> {
    pub(crate) fn storage_name(&self) -> String {
        self.names.storage()
    }

    /// The node that stands for the image as a whole.
    pub(crate) fn top_name(&self) -> String {
        if self.needs_format() {
            self.names.format()
        } else if self.slice().is_some() {
            self.names.slice()
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
        if let Some(stated) = self.names.has_format() {
            return stated;
        }
        self.force_format
            || self.format != ImageFormat::Raw
            || self.qemu_decrypts()
            || (self.read_only && self.only_fd_is_writable())
    }

    /// A single descriptor cannot be opened again in another mode: QEMU must take it as it is.
    fn only_fd_is_writable(&self) -> bool {
        self.fds.is_some_and(|group| group.fds.len() == 1 && group.writable)
    }

    /// The image's nodes.
    pub(crate) fn nodes(&self, how: Handling, cx: &Context) -> Result<Nodes> {
        self.names.check()?;
        let mut out = match &self.data {
            Some(data) => data.nodes(how, cx)?,
            None => Nodes::default(),
        };
        let formatted = self.needs_format();
        let sliced = self.slice();
        let storage = self.storage(how, Some(cx), &mut out)?;
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
            out.nodes.push(self.finish(props, self.names.slice(), formatted, how));
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
            match self.fds {
                Some(group) if group.fds.len() == 1 => {
                    props.set("read-only", self.read_only && !group.writable);
                }
                _ => props.set("auto-read-only", true),
            }
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
            // Zeroes become holes only where holes may be made.
            let holes = how.discard == Some(Discard::Unmap);
            let detect = if holes { detect } else { detect.min(DetectZeroes::On) };
            props.set("detect-zeroes", detect.as_str());
        }
    }

    /// The node of the storage without what every node has. Without a context only what says where the data is: no
    /// secrets, no way of access.
    fn storage(&self, how: Handling, cx: Option<&Context>, out: &mut Nodes) -> Result<Props> {
        let source = self.source;
        let mut props = match self.kind {
            StorageType::File => {
                let file = self.need(&source.file, "file")?;
                Props::device("file").with("filename", self.handed_over(cx, out)?.unwrap_or(file))
            }
            StorageType::Block => {
                let path = self.need(&source.dev, "device")?;
                let drive = self.device == DiskDevice::Cdrom
                    && cx.is_some_and(|cx| cx.host_cdroms.contains(&path));
                Props::device(if drive { "host_cdrom" } else { "host_device" })
                    .with("filename", self.handed_over(cx, out)?.unwrap_or(path))
            }
            StorageType::Dir => Props::device("vvfat")
                .with("dir", self.need(&source.dir, "folder")?)
                .with("floppy", self.device == DiskDevice::Floppy)
                .maybe("rw", cx.map(|_| false)),
            StorageType::Network => match cx.and_then(|cx| self.nbdkit_socket(cx)) {
                Some(path) => Props::device("nbd")
                    .with("server", Props::new().with("type", "unix").with("path", path)),
                None => self.network(cx, out)?,
            },
            StorageType::Nvme => self.nvme()?,
            StorageType::VhostVdpa => {
                let path = self.vdpa(cx, out)?;
                Props::device("virtio-blk-vhost-vdpa").with("path", path)
            }
            kind @ (StorageType::Volume | StorageType::VhostUser) => {
                return Err(unsupported(format!("disk type '{kind}'")));
            }
        };
        if cx.is_some() && matches!(self.kind, StorageType::File | StorageType::Block) {
            if let Some(io) = how.io {
                props.set("aio", io.as_str());
            }
            props = props.maybe("pr-manager", self.reservations(out)?);
        }
        Ok(props)
    }

    fn need(&self, value: &Option<String>, what: &str) -> Result<String> {
        value.clone().ok_or_else(|| {
            let text = format!("image '{}' has no {what}", self.storage_name());
            Error::new(ErrorCode::ConfigUnsupported, text)
        })
    }

    fn nvme(&self) -> Result<Props> {
        let (Some(address), Some(namespace)) = (&self.source.address, self.source.namespace) else {
            return Err(unsupported(format!(
                "NVMe disk '{}' without an address",
                self.storage_name()
            )));
        };
        let pci = address.pci;
        let device = format!(
            "{:04x}:{:02x}:{:02x}.{:x}",
            pci.domain.0, pci.bus.0, pci.slot.0, pci.function.0
        );
        Ok(Props::device("nvme").with("device", device).with("namespace", namespace))
    }

    /// The path of an image that QEMU gets as descriptors.
    fn handed_over(&self, cx: Option<&Context>, out: &mut Nodes) -> Result<Option<String>> {
        let Some(name) = self.source.fdgroup.as_ref().filter(|_| cx.is_some()) else {
            return Ok(None);
        };
        let group = self.fds.ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidArg,
                format!("file descriptor group '{name}' was not associated with the domain"),
            )
            .hint("the client that starts the domain passes it with virDomainFDAssociate")
        })?;
        let fds = group.fds.iter().enumerate();
        let purpose = |at| format!("{}{at}", self.storage_name());
        self.fd_set(fds.map(|(at, fd)| (*fd, purpose(at))), out).map(Some)
    }

    fn vdpa(&self, cx: Option<&Context>, out: &mut Nodes) -> Result<String> {
        let path = self.need(&self.source.dev, "device")?;
        let Some(cx) = cx else { return Ok(path) };
        let fd = cx.fd(&FdKey::Vdpa(path))?;
        self.fd_set([(fd, format!("{}-vdpa", self.storage_name()))].into_iter(), out)
    }

    fn fd_set(&self, fds: impl Iterator<Item = (i32, String)>, out: &mut Nodes) -> Result<String> {
        let set = self
            .fd_set
            .ok_or_else(|| unsupported("plugging in a disk that is passed as a descriptor"))?;
        out.fds.extend(fds.map(|(fd, purpose)| {
            Props::new().with("set", set).with("fd", fd).with("opaque", purpose)
        }));
        Ok(format!("/dev/fdset/{set}"))
    }

    /// The object through which the guest reserves the disk for itself.
    fn reservations(&self, out: &mut Nodes) -> Result<Option<String>> {
        let Some(reservations) = &self.source.reservations else { return Ok(None) };
        if reservations.managed == Some(virtus_xml::value::YesNo::Yes) {
            return Ok(Some("pr-helper0".to_owned()));
        }
        let path = reservations.source.as_ref().and_then(|source| source.path.clone());
        let path = path.ok_or_else(|| unsupported("persistent reservations without a helper"))?;
        let id = format!("pr-helper-{}", self.storage_name());
        out.objects.push(Props::object("pr-manager-helper", id.clone()).with("path", path));
        Ok(Some(id))
    }
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

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<filesystem>`: a folder of the host in the guest.

use super::Domain;
use super::device::{Device, VirtioOptions};
use super::disk::VirtioModel;
use super::idmap::IdMap;
use super::storage::ImageFormat;
use crate::pool::permissions::Mode;
use crate::schema::kinds;
use crate::units::{self, Bytes};
use crate::value::{Allowed, OnOff, Value};
use crate::writer::Escaped;

element! {
    /// `<filesystem>`.
    pub struct Filesystem {
        attr kind: FilesystemType = "type",
        attr accessmode: Option<AccessMode> = "accessmode",
        attr model: Option<VirtioModel> = "model",
        attr multidevs: Option<Multidevs> = "multidevs",
        attr fmode: Option<ShareMode> = "fmode",
        attr dmode: Option<ShareMode> = "dmode",
        child driver: Option<FilesystemDriver> = "driver",
        child binary: Option<FilesystemBinary> = "binary",
        child idmap: Option<IdMap> = "idmap",
        child source: Option<FilesystemSource> = "source",
        child target: Option<FilesystemTarget> = "target",
        flag readonly: bool = "readonly",
        part info: Device,
        child space_hard_limit: Option<Bytes> = "space_hard_limit",
        child space_soft_limit: Option<Bytes> = "space_soft_limit"
    }
    schema {
        one FilesystemSource = "source",
        one FilesystemTarget = "target"
    }
}

/// Permission bits of what a guest makes, in octal, always of four digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShareMode(pub u32);

impl Value for ShareMode {
    const ALLOWED: Allowed = Mode::ALLOWED;
    fn parse(text: &str) -> Option<Self> {
        Mode::parse(text).map(|mode| Self(mode.0))
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put(format_args!("{:04o}", self.0));
    }
}

spellings! {
    /// What is shown to the guest.
    pub enum FilesystemType {
        Mount = "mount", Block = "block", File = "file", Template = "template", Ram = "ram",
        Bind = "bind", Volume = "volume",
    }
}

spellings! {
    /// Whose permissions count.
    pub enum AccessMode { Passthrough = "passthrough", Mapped = "mapped", Squash = "squash" }
}

spellings! {
    /// What happens when a folder spans several devices.
    pub enum Multidevs { Default = "default", Remap = "remap", Forbid = "forbid", Warn = "warn" }
}

element! {
    /// `<driver>` of a filesystem.
    pub struct FilesystemDriver {
        attr kind: Option<FilesystemDriverType> = "type",
        attr format: Option<ImageFormat> = "format",
        attr wrpolicy: Option<WritePolicy> = "wrpolicy",
        attr queue: Option<u64> = "queue",
        part virtio: VirtioOptions
    }
}

spellings! {
    /// What serves the files.
    pub enum FilesystemDriverType {
        Path = "path", Handle = "handle", Loop = "loop", Nbd = "nbd", Ploop = "ploop",
        Virtiofs = "virtiofs", Mtp = "mtp",
    }
}

spellings! {
    /// When writes reach the host's disk.
    pub enum WritePolicy { Immediate = "immediate" }
}

element! {
    /// `<binary>`: the virtiofsd that is run.
    pub struct FilesystemBinary {
        attr path: Option<String> = "path",
        attr xattr: Option<OnOff> = "xattr",
        child cache: Option<FilesystemCache> = "cache",
        child sandbox: Option<Sandbox> = "sandbox",
        child lock: Option<Locks> = "lock",
        child thread_pool: Option<ThreadPool> = "thread_pool",
        child openfiles: Option<OpenFiles> = "openfiles"
    }
}

element! {
    /// `<cache mode='always'/>`.
    pub struct FilesystemCache { attr mode: Option<FilesystemCacheMode> = "mode" }
}

spellings! {
    /// How much virtiofsd caches.
    pub enum FilesystemCacheMode { None = "none", Always = "always" }
}

element! {
    /// `<sandbox mode='chroot'/>`.
    pub struct Sandbox { attr mode: Option<SandboxMode> = "mode" }
}

spellings! {
    /// How virtiofsd is confined.
    pub enum SandboxMode { Namespace = "namespace", Chroot = "chroot" }
}

element! {
    /// `<thread_pool size='…'/>`.
    pub struct ThreadPool { attr size: Option<i32> = "size" }
}

element! {
    /// `<openfiles max='…'/>`.
    pub struct OpenFiles { attr max: Option<u64> = "max" }
}

element! {
    /// `<lock>`: which locks reach the host.
    pub struct Locks {
        attr posix: Option<OnOff> = "posix",
        attr flock: Option<OnOff> = "flock"
    }
}

element! {
    /// `<source>` of a filesystem.
    pub struct FilesystemSource {
        attr file: Option<String> = "file",
        attr dev: Option<String> = "dev",
        attr dir: Option<String> = "dir",
        attr socket: Option<String> = "socket",
        attr name: Option<String> = "name",
        attr usage: Option<u64> = "usage",
        attr units: Option<String> = "units",
        attr pool: Option<String> = "pool",
        attr volume: Option<String> = "volume"
    }
    schema {
        attr kinds::AbsolutePath = "file",
        attr kinds::AbsolutePath = "dev",
        attr kinds::AbsoluteFolder = "dir",
        attr kinds::AbsolutePath = "socket",
        attr kinds::GenericName = "name",
        attr kinds::Unit = "units"
    }
}

element! {
    /// `<target dir='…'/>`: the mount tag, or the path in a container.
    pub struct FilesystemTarget { required dir: String = "dir" }
}

impl Filesystem {
    /// Fills in whose permissions count, and brings the size of a filesystem in memory to KiB.
    pub(crate) fn settle(&mut self) {
        if self.source.as_ref().is_none_or(|source| source.socket.is_none()) {
            self.accessmode.get_or_insert(AccessMode::Passthrough);
        }
        if self.kind == FilesystemType::Ram
            && let Some(source) = &mut self.source
            && let Some(usage) = source.usage
        {
            let unit = source.units.as_deref().map_or(Some(1024), units::factor);
            if let Some(bytes) = unit.and_then(|unit| usage.checked_mul(unit)) {
                source.usage = Some(bytes / 1024);
                source.units = Some("KiB".to_owned());
            }
        }
    }
}

impl Domain {
    /// The filesystem that a container has at `target`.
    #[must_use]
    pub fn filesystem_at(&self, target: &str) -> Option<&Filesystem> {
        let at = |fs: &&Filesystem| fs.target.as_ref().is_some_and(|known| known.dir == target);
        self.devices.filesystems.iter().find(at)
    }
}

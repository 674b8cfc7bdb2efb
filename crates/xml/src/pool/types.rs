// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The kinds of storage pools, and what each can say of its source, its formats and its target.
//!
//! Invariant: this is the only table of pool types; what is read, refused, filled in, written and listed as
//! a capability follows from it.

use bitflags::bitflags;

spellings! {
    /// Where a pool's volumes are.
    pub enum PoolType {
        Dir = "dir", Fs = "fs", Netfs = "netfs", Logical = "logical", Disk = "disk", Iscsi = "iscsi",
        IscsiDirect = "iscsi-direct", Scsi = "scsi", Mpath = "mpath", Rbd = "rbd", Sheepdog = "sheepdog",
        Gluster = "gluster", Zfs = "zfs", Vstorage = "vstorage",
    }
}

bitflags! {
    /// What a pool's `<source>` consists of.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct SourceParts: u8 {
        const HOST = 1;
        const DEVICE = 2;
        const DIR = 4;
        const ADAPTER = 8;
        const NAME = 16;
        const INITIATOR = 32;
    }
}

/// Words for a format.
#[derive(Debug, Clone, Copy)]
pub struct Formats {
    /// What is meant when none is named.
    pub default: &'static str,
    /// What may be named.
    pub known: &'static [&'static str],
    /// What the pool capabilities list.
    pub listed: &'static [&'static str],
}

/// Where a pool's volumes appear on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetRule {
    /// In a folder that the definition names.
    Named,
    /// Under this folder, in one that is called like the source.
    Under(&'static str),
    /// Nowhere: they are reached through the network.
    Nowhere,
}

/// Options in a namespace of the pool's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionRule {
    None,
    /// `fs:mount_opts`.
    Mount,
    /// `rbd:config_opts`.
    Rbd,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub source: SourceParts,
    pub source_formats: Option<Formats>,
    pub volume_formats: Option<Formats>,
    pub target: TargetRule,
    pub options: OptionRule,
    /// Whether `<features><cow/>` has a meaning.
    pub cow: bool,
}

const IMAGES: &[&str] = &[
    "none", "raw", "dir", "bochs", "cloop", "dmg", "iso", "vpc", "vdi", "fat", "vhd", "ploop",
    "cow", "qcow", "qcow2", "qed", "vmdk",
];
const FILE_SYSTEMS: &[&str] = &[
    "auto", "ext2", "ext3", "ext4", "ufs", "iso9660", "udf", "gfs", "gfs2", "vfat", "hfs+", "xfs",
    "ocfs2", "vmfs",
];
const SHARES: &[&str] = &["auto", "nfs", "glusterfs", "cifs"];
const LABELS: &[&str] = &["unknown", "dos", "dvh", "gpt", "mac", "bsd", "pc98", "sun", "lvm2"];
const GROUPS: &[&str] = &["unknown", "lvm2"];
const PARTITIONS: &[&str] =
    &["none", "linux", "fat16", "fat32", "linux-swap", "linux-lvm", "linux-raid", "extended"];

const fn formats(default: &'static str, known: &'static [&'static str]) -> Option<Formats> {
    Some(Formats { default, known, listed: known })
}

/// Images in files: `none` is listed, but no image has it.
const FILES: Option<Formats> =
    Some(Formats { default: "raw", known: IMAGES.split_at(1).1, listed: IMAGES });

/// A pool that needs nothing but a folder.
const PLAIN: Rules = Rules {
    source: SourceParts::empty(),
    source_formats: None,
    volume_formats: None,
    target: TargetRule::Named,
    options: OptionRule::None,
    cow: false,
};
/// A pool that is reached through the network.
const REMOTE: Rules = Rules { target: TargetRule::Nowhere, ..PLAIN };

impl PoolType {
    /// The row of this kind.
    #[must_use]
    pub const fn rules(self) -> Rules {
        use SourceParts as Part;
        match self {
            Self::Dir => Rules { volume_formats: FILES, cow: true, ..PLAIN },
            Self::Fs => Rules {
                source: Part::DEVICE,
                source_formats: formats("auto", FILE_SYSTEMS),
                volume_formats: FILES,
                options: OptionRule::Mount,
                cow: true,
                ..PLAIN
            },
            Self::Netfs => Rules {
                source: Part::HOST.union(Part::DIR),
                source_formats: formats("auto", SHARES),
                volume_formats: FILES,
                options: OptionRule::Mount,
                ..PLAIN
            },
            Self::Logical => Rules {
                source: Part::NAME.union(Part::DEVICE),
                source_formats: formats("lvm2", GROUPS),
                target: TargetRule::Under("/dev/"),
                ..PLAIN
            },
            Self::Disk => Rules {
                source: Part::DEVICE,
                source_formats: formats("unknown", LABELS),
                volume_formats: formats("none", PARTITIONS),
                ..PLAIN
            },
            Self::Iscsi => {
                Rules { source: Part::HOST.union(Part::DEVICE).union(Part::INITIATOR), ..PLAIN }
            }
            Self::IscsiDirect => {
                Rules { source: Part::HOST.union(Part::DEVICE).union(Part::INITIATOR), ..REMOTE }
            }
            Self::Scsi => Rules { source: Part::ADAPTER, ..PLAIN },
            Self::Mpath => PLAIN,
            Self::Rbd => Rules {
                source: Part::HOST.union(Part::NAME),
                volume_formats: Some(Formats {
                    default: "raw",
                    known: IMAGES.split_at(1).1,
                    listed: &[],
                }),
                options: OptionRule::Rbd,
                ..REMOTE
            },
            Self::Sheepdog => Rules { source: Part::HOST.union(Part::NAME), ..REMOTE },
            Self::Gluster => Rules {
                source: Part::HOST.union(Part::NAME).union(Part::DIR),
                volume_formats: FILES,
                ..REMOTE
            },
            Self::Zfs => Rules {
                source: Part::NAME.union(Part::DEVICE),
                target: TargetRule::Under("/dev/zvol/"),
                ..PLAIN
            },
            Self::Vstorage => Rules { source: Part::NAME, volume_formats: FILES, ..PLAIN },
        }
    }
}

impl Formats {
    /// What `named` means here; `None` if there is no such format.
    #[must_use]
    pub fn choose(&self, named: Option<&str>) -> Option<&'static str> {
        match named {
            None => Some(self.default),
            Some(name) => self.known.iter().find(|known| **known == name).copied(),
        }
    }
}

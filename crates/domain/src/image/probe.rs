// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the first bytes of an image say: its format, its size, whether it is encrypted, what it refers to.
//!
//! Offsets are those of the formats' own documents (QEMU's `docs/interop`, the VMware and VirtualBox disk formats).

mod qcow;

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::domain::storage::ImageFormat;

/// How much of an image must be read: the header of each format, and the magic of an ISO 9660 file system.
pub const LENGTH: usize = 8 * 4096 + 2 * 512;

/// What an image says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The format under which it was read.
    pub format: ImageFormat,
    /// The bytes that a guest would see, where the format keeps them.
    pub capacity: Option<u64>,
    /// Whether what it holds is encrypted.
    pub encrypted: bool,
    /// The image below, as the image spells it.
    pub backing: Option<String>,
    /// The format of the image below, if the image states it.
    pub backing_format: Option<ImageFormat>,
    /// The file that holds a qcow2 image's data.
    pub data_file: Option<String>,
    /// Of a qcow2 image: the size of its clusters in bytes.
    pub cluster_size: Option<u64>,
    /// Of a qcow2 image: `0.10` or `1.1`.
    pub compat: Option<&'static str>,
    /// Of a qcow2 image: whether it counts references lazily.
    pub lazy_refcounts: bool,
    /// Of a qcow2 image: whether its L2 entries cover parts of clusters.
    pub extended_l2: bool,
}

/// A format that is known by bytes at a fixed place.
struct Magic {
    format: ImageFormat,
    at: usize,
    bytes: &'static [u8],
    version: Option<Version>,
    capacity: Option<Capacity>,
}

struct Version {
    at: usize,
    order: Order,
    known: &'static [u32],
}

struct Capacity {
    at: usize,
    order: Order,
    /// The bytes of one unit.
    unit: u64,
}

#[derive(Clone, Copy)]
enum Order {
    Big,
    Little,
}

const fn version(at: usize, order: Order, known: &'static [u32]) -> Option<Version> {
    Some(Version { at, order, known })
}

const fn capacity(at: usize, order: Order, unit: u64) -> Option<Capacity> {
    Some(Capacity { at, order, unit })
}

const CLOOP: &[u8] =
    b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n";

const MAGICS: &[Magic] = &[
    Magic { format: ImageFormat::Cloop, at: 0, bytes: CLOOP, version: None, capacity: None },
    Magic { format: ImageFormat::Iso, at: 32769, bytes: b"CD001", version: None, capacity: None },
    Magic {
        format: ImageFormat::Vpc,
        at: 0,
        bytes: b"conectix",
        version: version(12, Order::Big, &[0x10000]),
        capacity: capacity(40, Order::Big, 1),
    },
    Magic {
        format: ImageFormat::Vdi,
        at: 64,
        bytes: b"\x7f\x10\xda\xbe",
        version: version(68, Order::Little, &[0x0001_0001]),
        capacity: capacity(368, Order::Little, 1),
    },
    Magic {
        format: ImageFormat::Ploop,
        at: 0,
        bytes: b"WithoutFreeSpace",
        version: version(16, Order::Little, &[2]),
        capacity: capacity(36, Order::Little, 512),
    },
    Magic {
        format: ImageFormat::Ploop,
        at: 0,
        bytes: b"WithouFreSpacExt",
        version: version(16, Order::Little, &[2]),
        capacity: capacity(36, Order::Little, 512),
    },
    Magic {
        format: ImageFormat::Cow,
        at: 0,
        bytes: b"OOOM",
        version: version(4, Order::Big, &[2]),
        capacity: capacity(1036, Order::Big, 1),
    },
    Magic {
        format: ImageFormat::Qcow,
        at: 0,
        bytes: b"QFI\xfb",
        version: version(4, Order::Big, &[1]),
        capacity: capacity(24, Order::Big, 1),
    },
    Magic {
        format: ImageFormat::Qcow2,
        at: 0,
        bytes: b"QFI\xfb",
        version: version(4, Order::Big, &[2, 3]),
        capacity: capacity(24, Order::Big, 1),
    },
    Magic {
        format: ImageFormat::Qed,
        at: 0,
        bytes: b"QED\0",
        version: None,
        capacity: capacity(48, Order::Little, 1),
    },
    Magic {
        format: ImageFormat::Vmdk,
        at: 0,
        bytes: b"KDMV",
        version: version(4, Order::Little, &[1, 2, 3]),
        capacity: capacity(12, Order::Little, 512),
    },
];

impl Magic {
    fn fits(&self, bytes: &[u8]) -> bool {
        let magic = bytes.get(self.at..).is_some_and(|rest| rest.starts_with(self.bytes));
        magic
            && self.version.as_ref().is_none_or(|version| {
                u32_at(bytes, version.at, version.order)
                    .is_some_and(|found| version.known.contains(&found))
            })
    }
}

/// The format that the bytes show; what shows none is raw.
#[must_use]
pub fn format(bytes: &[u8]) -> ImageFormat {
    MAGICS.iter().find(|magic| magic.fits(bytes)).map_or(ImageFormat::Raw, |magic| magic.format)
}

/// What an image of this format says about itself; `image` is its name for errors.
///
/// # Errors
/// `VIR_ERR_OPERATION_FAILED` where the image refers to another file whose name cannot be read: a guest must not
/// see an image without what is below it.
pub fn head(bytes: &[u8], format: ImageFormat, image: &str) -> Result<Head> {
    let mut head = Head { format, ..Head::default() };
    let magic = MAGICS.iter().find(|magic| magic.format == format && magic.fits(bytes));
    head.capacity = magic.and_then(|magic| magic.capacity.as_ref()).and_then(|capacity| {
        u64_at(bytes, capacity.at, capacity.order)
            .and_then(|units| units.checked_mul(capacity.unit))
    });
    match format {
        ImageFormat::Raw | ImageFormat::Luks => {
            head.encrypted = is_luks(bytes);
            Some(())
        }
        ImageFormat::Qcow | ImageFormat::Qcow2 if magic.is_some() => qcow::read(bytes, &mut head),
        ImageFormat::Qed if magic.is_some() => qed(bytes, &mut head),
        ImageFormat::Vmdk if magic.is_some() => vmdk(bytes, &mut head),
        _ => Some(()),
    }
    .ok_or_else(|| {
        let text = format!("the name of the backing file of image '{image}' is damaged");
        Error::new(ErrorCode::OperationFailed, text)
            .hint(format!("look at it with 'qemu-img info {image}'"))
    })?;
    if head.data_file.as_deref() == Some("") {
        let text = format!("invalid empty data-file definition in '{image}'");
        return Err(Error::new(ErrorCode::OperationFailed, text));
    }
    // QEMU's way to say that a colon is part of a path.
    if let Some(path) = head.backing.as_deref().and_then(|name| name.strip_prefix("file:")) {
        head.backing = Some(path.to_owned());
    }
    Ok(head)
}

fn is_luks(bytes: &[u8]) -> bool {
    bytes.starts_with(b"LUKS\xba\xbe") && matches!(bytes.get(6..8), Some([0, 1 | 2]))
}

// What follows fills in the name of the backing file; `None`: there is one, but it cannot be read.

fn qed(bytes: &[u8], head: &mut Head) -> Option<()> {
    const HAS_BACKING: u64 = 1;
    const BACKING_IS_RAW: u64 = 4;
    let features = u64_at(bytes, 16, Order::Little)?;
    if features & HAS_BACKING != 0 {
        let at = u32_at(bytes, 56, Order::Little)?;
        let length = u32_at(bytes, 60, Order::Little)?;
        head.backing = Some(name_at(bytes, u64::from(at), length)?);
        head.backing_format = (features & BACKING_IS_RAW != 0).then_some(ImageFormat::Raw);
    }
    Some(())
}

/// The descriptor, a text, lies in the second sector.
fn vmdk(bytes: &[u8], head: &mut Head) -> Option<()> {
    const LINE: &[u8] = b"parentFileNameHint=\"";
    let text = bytes.get(512..).unwrap_or_default();
    let Some(at) = text.windows(LINE.len()).position(|window| window == LINE) else {
        return Some(());
    };
    let rest = &text[at + LINE.len()..];
    let end = rest.iter().position(|byte| *byte == b'"')?;
    if end > 0 {
        head.backing = Some(std::str::from_utf8(&rest[..end]).ok()?.to_owned());
        head.backing_format = Some(ImageFormat::Vmdk);
    }
    Some(())
}

/// A name inside the header; names are shorter than a kibibyte.
fn name_at(bytes: &[u8], at: u64, length: u32) -> Option<String> {
    let at = usize::try_from(at).ok()?;
    let length = usize::try_from(length).ok().filter(|length| *length < 1024)?;
    let name = bytes.get(at..at.checked_add(length)?)?;
    std::str::from_utf8(name).ok().filter(|name| !name.contains('\0')).map(str::to_owned)
}

fn u32_at(bytes: &[u8], at: usize, order: Order) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(match order {
        Order::Big => u32::from_be_bytes(four),
        Order::Little => u32::from_le_bytes(four),
    })
}

fn u64_at(bytes: &[u8], at: usize, order: Order) -> Option<u64> {
    let eight: [u8; 8] = bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
    Some(match order {
        Order::Big => u64::from_be_bytes(eight),
        Order::Little => u64::from_le_bytes(eight),
    })
}

#[cfg(test)]
pub(crate) mod tests;

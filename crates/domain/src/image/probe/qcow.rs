// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The headers of qcow and qcow2: encryption, backing file, extensions, features.

use virtus_xml::domain::storage::{ImageFormat, Protocol};
use virtus_xml::value::Value;

use super::{Head, Order, name_at, u32_at, u64_at};

/// Where the header of version 2 ends and its extensions begin; version 3 says it itself.
const VERSION_2_LENGTH: usize = 72;

const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;
const EXTENSION_DATA_FILE: u32 = 0x4441_5441;

const INCOMPATIBLE_DATA_FILE: u64 = 1 << 2;
const INCOMPATIBLE_EXTENDED_L2: u64 = 1 << 4;
const COMPATIBLE_LAZY_REFCOUNTS: u64 = 1;

/// Fills in what the header says beyond format and size; `None`: the backing file's name cannot be read.
pub(super) fn read(bytes: &[u8], head: &mut Head) -> Option<()> {
    let number = |at| u32_at(bytes, at, Order::Big);
    let (backing_at, length) = (u64_at(bytes, 8, Order::Big)?, number(16)?);
    if backing_at != 0 && length != 0 {
        head.backing = Some(name_at(bytes, backing_at, length)?);
    }
    if head.format == ImageFormat::Qcow {
        head.encrypted = number(36).is_some_and(|method| method != 0);
        return Some(());
    }
    head.encrypted = number(32).is_some_and(|method| method != 0);
    head.cluster_size = number(20).filter(|bits| (9..=30).contains(bits)).map(|bits| 1 << bits);
    let newer = number(4) == Some(3);
    head.compat = Some(if newer { "1.1" } else { "0.10" });
    let features = |at| u64_at(bytes, at, Order::Big).filter(|_| newer).unwrap_or(0);
    let incompatible = features(72);
    head.extended_l2 = incompatible & INCOMPATIBLE_EXTENDED_L2 != 0;
    head.lazy_refcounts = features(80) & COMPATIBLE_LAZY_REFCOUNTS != 0;
    let start = match newer {
        true => number(100).map_or(usize::MAX, |length| length as usize),
        false => VERSION_2_LENGTH,
    };
    for (kind, data) in extensions(bytes, start) {
        let text = || String::from_utf8_lossy(data).into_owned();
        match kind {
            EXTENSION_BACKING_FORMAT if head.backing.is_some() => {
                head.backing_format = format_word(&text());
            }
            EXTENSION_DATA_FILE if incompatible & INCOMPATIBLE_DATA_FILE != 0 => {
                head.data_file = Some(text());
            }
            _ => {}
        }
    }
    Some(())
}

/// The format that a word means. A protocol says that there is no format: the image is raw.
fn format_word(word: &str) -> Option<ImageFormat> {
    const PROTOCOLS: [&str; 3] = ["file", "host_device", "host_cdrom"];
    let protocol = PROTOCOLS.contains(&word) || Protocol::parse(word).is_some();
    if protocol { Some(ImageFormat::Raw) } else { ImageFormat::parse(word) }
}

/// The extensions behind the header, each padded to eight bytes.
fn extensions(bytes: &[u8], start: usize) -> impl Iterator<Item = (u32, &[u8])> {
    let mut at = start;
    std::iter::from_fn(move || {
        let kind = u32_at(bytes, at, Order::Big).filter(|kind| *kind != 0)?;
        let length = u32_at(bytes, at.checked_add(4)?, Order::Big)? as usize;
        let from = at.checked_add(8)?;
        let data = bytes.get(from..from.checked_add(length)?)?;
        at = from.checked_add(length.checked_next_multiple_of(8)?)?;
        Some((kind, data))
    })
}

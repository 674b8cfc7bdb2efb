// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The first bytes of a disk image, and the strings by which images refer to each other.
//!
//! Whatever an image refers to is short, and what a backing string means can be written as a disc in a drive and read again (
//! a fixed disk would need a source, and a backing string may be empty).

use virtus_domain::image::{Location, probe};
use virtus_wire::sample::Random;
use virtus_xml::domain::storage::ImageFormat;

use super::Target;

pub(crate) const TARGET: Target = Target { name: "image", run, seed };

fn run(input: &[u8]) {
    let shown = probe::format(input);
    for format in ImageFormat::ALL.iter().chain([&shown]) {
        let Ok(head) = probe::head(input, *format, "image") else { continue };
        assert!(head.backing.as_ref().is_none_or(|name| name.len() <= input.len()));
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(found) = Location::parse(text) {
        let (kind, source) = (found.kind, found.format());
        let xml = format!("<disk type='{kind}' device='cdrom'>{source}<target dev='vda'/></disk>");
        let read = virtus_xml::parse_any(xml.as_bytes());
        assert!(read.is_ok(), "{text:?} became {xml:?}: {read:?}");
    }
}

const STRINGS: [&str; 8] = [
    "/images/base.qcow2",
    "nbd:[::1]:10809:exportname=disk",
    "nbd+unix:///disk?socket=/run/nbd.sock",
    r"rbd:pool/image@snap:id=admin:mon_host=one\:6321\;two",
    "iscsi://host:3260/iqn.2016-12.org.example:disk/1",
    r#"json:{"driver":"raw","offset":1,"size":2,"file":{"driver":"file","filename":"/a"}}"#,
    r#"json:{"file.driver":"gluster","file.volume":"v","file.path":"p","file.server.0.type":"tcp","file.server.0.host":"h"}"#,
    r#"json:{"file":{"driver":"https","url":"https://h/f?q","cookie":"a=b; c=d","sslverify":"off"}}"#,
];

fn seed(random: &mut Random) -> Vec<u8> {
    if random.below(2) == 0 {
        return STRINGS[random.below(STRINGS.len())].as_bytes().to_vec();
    }
    const MAGICS: [&[u8]; 4] =
        [b"QFI\xfb\0\0\0\x03", b"QFI\xfb\0\0\0\x02", b"QED\0", b"KDMV\x01\0\0\0"];
    let mut bytes = MAGICS[random.below(MAGICS.len())].to_vec();
    bytes.resize(640, 0);
    let mut put = |at: usize, data: &[u8]| bytes[at..at + data.len()].copy_from_slice(data);
    match random.below(3) {
        0 => put(512, b"parentFileNameHint=\"base.vmdk\"\n"),
        1 => put(16, &[1, 0, 0, 0]),
        _ => {
            put(8, &600_u64.to_be_bytes());
            put(16, &8_u32.to_be_bytes());
            put(76, &4_u32.to_be_bytes());
            put(100, &104_u32.to_be_bytes());
            put(104, &0xe279_2aca_u32.to_be_bytes());
            put(108, &3_u32.to_be_bytes());
            put(112, b"raw");
            put(120, &0x4441_5441_u32.to_be_bytes());
            put(124, &4_u32.to_be_bytes());
            put(128, b"data");
        }
    }
    put(600, b"base.img");
    put(56, &600_u32.to_le_bytes());
    put(60, &8_u32.to_le_bytes());
    bytes
}

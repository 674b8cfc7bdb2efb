// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Headers written by hand.

use super::*;

pub(crate) fn qcow2(backing: &str, format: Option<&str>) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let mut put = |at: usize, data: &[u8]| bytes[at..at + data.len()].copy_from_slice(data);
    put(0, b"QFI\xfb\0\0\0\x03");
    put(20, &16_u32.to_be_bytes());
    put(24, &1_048_576_u64.to_be_bytes());
    put(80, &1_u64.to_be_bytes());
    put(100, &104_u32.to_be_bytes());
    if let Some(format) = format {
        put(104, &0xe279_2aca_u32.to_be_bytes());
        put(108, &u32::try_from(format.len()).unwrap().to_be_bytes());
        put(112, format.as_bytes());
    }
    if !backing.is_empty() {
        put(8, &512_u64.to_be_bytes());
        put(16, &u32::try_from(backing.len()).unwrap().to_be_bytes());
        put(512, backing.as_bytes());
    }
    bytes
}

#[test]
fn a_qcow2_image_names_what_is_below() {
    let bytes = qcow2("base.img", Some("raw"));
    assert_eq!(format(&bytes), ImageFormat::Qcow2);
    let found = head(&bytes, ImageFormat::Qcow2, "top").unwrap();
    assert_eq!(found.capacity, Some(1_048_576));
    assert_eq!(found.backing.as_deref(), Some("base.img"));
    assert_eq!(found.backing_format, Some(ImageFormat::Raw));
    assert_eq!((found.cluster_size, found.compat), (Some(65536), Some("1.1")));
    assert!(found.lazy_refcounts && !found.encrypted);
}

#[test]
fn the_prefix_of_a_plain_file_is_not_part_of_its_name() {
    let found = head(&qcow2("file:a:b.img", None), ImageFormat::Qcow2, "top").unwrap();
    assert_eq!(found.backing.as_deref(), Some("a:b.img"));
    assert_eq!(found.backing_format, None);
}

#[test]
fn an_empty_data_file_is_refused() {
    let mut bytes = qcow2("", None);
    bytes[79] = 4;
    bytes[104..108].copy_from_slice(&0x4441_5441_u32.to_be_bytes());
    let error = head(&bytes, ImageFormat::Qcow2, "top").unwrap_err();
    assert_eq!(error.text(), "invalid empty data-file definition in 'top'");
}

#[test]
fn damaged_headers_give_what_is_left() {
    let whole = qcow2("base.img", Some("raw"));
    for end in 0..whole.len().min(600) {
        for format in ImageFormat::ALL {
            let _ = head(&whole[..end], *format, "top");
        }
    }
    let mut wild = whole.clone();
    wild[100..104].fill(0xff);
    assert_eq!(head(&wild, ImageFormat::Qcow2, "top").unwrap().backing_format, None);
    // Without its backing file a guest would see other data.
    wild[8..16].fill(0xff);
    assert!(head(&wild, ImageFormat::Qcow2, "top").is_err());
}

#[test]
fn a_disk_of_luks_is_raw_and_encrypted() {
    let bytes = b"LUKS\xba\xbe\0\x02 and so on";
    assert_eq!(format(bytes), ImageFormat::Raw);
    assert!(head(bytes, ImageFormat::Raw, "top").unwrap().encrypted);
}

#[test]
fn the_parent_of_a_vmdk_stands_in_its_descriptor() {
    let mut bytes = b"KDMV\x01\0\0\0".to_vec();
    bytes.resize(512, 0);
    bytes.extend(b"# Disk DescriptorFile\nparentFileNameHint=\"base.vmdk\"\n");
    let found = head(&bytes, ImageFormat::Vmdk, "top").unwrap();
    assert_eq!(found.backing.as_deref(), Some("base.vmdk"));
    assert_eq!(found.backing_format, Some(ImageFormat::Vmdk));
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How large an image that no guest uses is, from its first bytes.

use virtus_xml::domain::storage::ImageFormat;

/// How much of an image must be read to know its size.
pub(crate) const HEAD: usize = 512;

/// The bytes that a guest would see; none where the format keeps no size of its own or is damaged.
pub(crate) fn capacity(format: ImageFormat, head: &[u8]) -> Option<u64> {
    match format {
        ImageFormat::Qcow | ImageFormat::Qcow2 if head.starts_with(b"QFI\xfb") => big(head, 24),
        ImageFormat::Qed if head.starts_with(b"QED\0") => little(head, 48),
        ImageFormat::Vmdk if head.starts_with(b"KDMV") => {
            little(head, 12).map(|sectors| sectors.saturating_mul(512))
        }
        ImageFormat::Vdi if head.get(64..68)? == [0x7f, 0x10, 0xda, 0xbe] => little(head, 368),
        _ => None,
    }
}

fn eight(head: &[u8], at: usize) -> Option<[u8; 8]> {
    head.get(at..at.checked_add(8)?)?.try_into().ok()
}

fn big(head: &[u8], at: usize) -> Option<u64> {
    eight(head, at).map(u64::from_be_bytes)
}

fn little(head: &[u8], at: usize) -> Option<u64> {
    eight(head, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qcow2_image_knows_its_size() {
        let mut head = b"QFI\xfb\0\0\0\x03".to_vec();
        head.resize(24, 0);
        head.extend(16_777_216_u64.to_be_bytes());
        assert_eq!(capacity(ImageFormat::Qcow2, &head), Some(16_777_216));
        assert_eq!(capacity(ImageFormat::Qcow2, &head[..28]), None);
        assert_eq!(capacity(ImageFormat::Raw, &head), None);
        assert_eq!(capacity(ImageFormat::Vdi, b""), None);
    }
}

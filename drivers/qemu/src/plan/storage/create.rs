// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What `blockdev-create` takes to make the storage of an image, and its format inside.

use virtus_api::Result;
use virtus_xml::domain::storage::{Encryption, ImageFormat, Protocol, StorageType};

use super::{Image, unsupported};
use crate::plan::argv::Props;

/// The two steps in which an image comes to be; what has nothing to be made is left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Creation {
    /// The file, or what a server keeps for it.
    pub storage: Option<Props>,
    /// The header.
    pub format: Option<Props>,
}

impl Image<'_> {
    /// How the image is made: `physical` bytes of storage, `capacity` bytes for the guest, on top of `backing`.
    pub(crate) fn creation(
        &self,
        backing: Option<&Image<'_>>,
        capacity: u64,
        physical: u64,
    ) -> Result<Creation> {
        Ok(Creation {
            storage: self.create_storage()?.map(|props| props.with("size", physical)),
            format: self.create_format(backing, capacity)?,
        })
    }

    fn create_storage(&self) -> Result<Option<Props>> {
        if self.kind == StorageType::File {
            return Ok(Some(self.target()?));
        }
        let driver = match self.source.protocol {
            Some(Protocol::Gluster) => "gluster",
            Some(Protocol::Rbd) => "rbd",
            Some(Protocol::Ssh) => "ssh",
            _ => return Ok(None),
        };
        let mut location = self.target()?;
        location.remove("driver");
        Ok(Some(Props::device(driver).with("location", location)))
    }

    fn create_format(&self, backing: Option<&Image<'_>>, capacity: u64) -> Result<Option<Props>> {
        let encryption = self.encryption.filter(|_| self.qemu_decrypts());
        let file = if self.slice().is_some() { self.names.slice() } else { self.storage_name() };
        let sized = |props: Props| props.with("file", file.clone()).with("size", capacity);
        let format = match (self.format, encryption) {
            (ImageFormat::Raw, None) => return Ok(None),
            (ImageFormat::Raw | ImageFormat::Luks, Some(encryption)) => {
                return Ok(Some(sized(self.luks(encryption).with("driver", "luks"))));
            }
            (ImageFormat::Vhd, None) => "vhdx",
            (
                format @ (ImageFormat::Qcow
                | ImageFormat::Qcow2
                | ImageFormat::Qed
                | ImageFormat::Vdi
                | ImageFormat::Vpc
                | ImageFormat::Vmdk),
                _,
            ) => format.as_str(),
            (format, _) => {
                return Err(unsupported(format!("making an image of format '{format}'")));
            }
        };
        let mut props = sized(Props::device(format));
        if let Some(backing) = backing {
            props.set("backing-file", backing.reference()?.to_string());
            if matches!(self.format, ImageFormat::Qcow2 | ImageFormat::Qed) {
                props.set("backing-fmt", backing.format_word());
            }
        }
        if let Some(encryption) = encryption {
            let format = self.qcow2_encryption(encryption)?;
            props.set("encrypt", self.luks(encryption).with("format", format));
        }
        Ok(Some(props))
    }

    /// The name of the format for an overlay's header.
    fn format_word(&self) -> &'static str {
        match self.format {
            ImageFormat::Raw if self.qemu_decrypts() => "luks",
            other => other.as_str(),
        }
    }

    fn luks(&self, encryption: &Encryption) -> Props {
        let mut props = Props::new().with("key-secret", self.key_id());
        if let Some(cipher) = &encryption.cipher {
            let name = match cipher.size {
                Some(size) => format!("{}-{size}", cipher.name),
                None => cipher.name.clone(),
            };
            props = props
                .with("cipher-alg", name)
                .maybe("cipher-mode", cipher.mode.clone())
                .maybe("hash-alg", cipher.hash.clone());
        }
        if let Some(ivgen) = &encryption.ivgen {
            props = props
                .with("ivgen-alg", ivgen.name.clone())
                .maybe("ivgen-hash-alg", ivgen.hash.clone());
        }
        props
    }
}

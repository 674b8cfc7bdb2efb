// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The node of an image's format: encryption, what lies below, caches of the format.

use serde_json::json;
use virtus_api::Result;
use virtus_xml::domain::storage::{Encryption, EncryptionFormat, ImageFormat};

use super::{Below, Handling, Image, secret, unsupported};
use crate::plan::argv::Props;
use crate::plan::context::Context;

impl Image<'_> {
    pub(super) fn format_node(
        &self,
        how: Handling,
        cx: &Context,
        objects: &mut Vec<Props>,
    ) -> Result<Props> {
        let mut props =
            Props::new().with("node-name", self.names.format()).with("read-only", self.read_only);
        self.set_handling(&mut props, how);
        if let Some(cache) = how.cache_props() {
            props.set("cache", cache);
        }
        match (self.format, self.encryption.filter(|_| self.qemu_decrypts())) {
            (ImageFormat::Raw | ImageFormat::Luks, Some(encryption))
                if encryption.format == EncryptionFormat::Luks =>
            {
                props.set("driver", "luks");
                props.set("key-secret", self.key(cx, objects)?);
            }
            (ImageFormat::Qcow2, Some(encryption)) => {
                let format = self.qcow2_encryption(encryption)?;
                let id = self.key(cx, objects)?;
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
                props.set("driver", "raw");
            }
            (ImageFormat::Vhd, None) => props.set("driver", "vhdx"),
            (format, None) => props.set("driver", format.as_str()),
        }
        if self.format == ImageFormat::Qcow2 {
            props = props
                .maybe("cache-size", self.cache_size)
                .maybe("discard-no-unref", how.discard_no_unref);
        }
        let file = if self.slice().is_some() { self.names.slice() } else { self.storage_name() };
        props.set("file", file);
        if let Some(data) = &self.data {
            props.set("data-file", data.top_name());
        }
        match &self.below {
            Below::Node(node) => props.set("backing", node.clone()),
            Below::Nothing if self.may_have_backing() => {
                props.set("backing", serde_json::Value::Null);
            }
            Below::Nothing | Below::Unknown => {}
        }
        Ok(props)
    }

    fn may_have_backing(&self) -> bool {
        use ImageFormat as F;
        matches!(self.format, F::Qcow2 | F::Qcow | F::Qed | F::Vmdk)
    }

    /// How QEMU calls the encryption inside a qcow2 image.
    pub(super) fn qcow2_encryption(&self, encryption: &Encryption) -> Result<&'static str> {
        match encryption.format {
            EncryptionFormat::Luks => Ok("luks"),
            EncryptionFormat::Qcow => Ok("aes"),
            other => Err(unsupported(format!("encryption '{other}' of a qcow2 image"))),
        }
    }

    /// The id of the image's key.
    pub(super) fn key_id(&self) -> String {
        let stated = self.names.secrets("encryption").into_iter().next();
        stated.unwrap_or_else(|| format!("{}-encryption-secret0", self.names.format()))
    }

    fn key(&self, cx: &Context, objects: &mut Vec<Props>) -> Result<String> {
        let id = self.key_id();
        objects.push(secret(cx, &id)?);
        Ok(id)
    }
}

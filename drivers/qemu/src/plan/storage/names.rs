// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The names that an image's nodes and objects have in QEMU: made from the image's number, or those that the status
//! file of a running guest states.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::domain::storage::StorageSource;
use virtus_xml::tree::Tree;

/// What QEMU allows, with the byte that ends the name.
const LONGEST: usize = 31;

/// Names of one image.
#[derive(Debug, Clone)]
pub(crate) struct Names<'a> {
    /// What the names that are made begin with: `libvirt-2`.
    head: String,
    private: Option<&'a Tree>,
    /// Whether the image is the back end of a host device.
    backend: bool,
}

impl<'a> Names<'a> {
    /// The names of the image with a number, unless `source` states some.
    pub(super) fn numbered(number: u32, source: &'a StorageSource) -> Self {
        let head = format!("libvirt-{number}");
        Self { head, private: source.private.as_deref(), backend: false }
    }

    /// The names of an image that has none of the numbers.
    pub(crate) fn called(head: &str) -> Self {
        Self { head: head.to_owned(), private: None, backend: false }
    }

    /// The names of what is behind a SCSI device of the host.
    pub(super) fn host_device(number: u32, source: &'a StorageSource) -> Self {
        Self { backend: true, ..Self::numbered(number, source) }
    }

    /// The node of a kind, as the status file states it.
    fn stated(&self, kind: &str) -> Option<&'a str> {
        let names = &self.private?.child("nodenames")?.children;
        names.iter().find(|name| name.attr("type") == Some(kind))?.attr("name")
    }

    /// Whether there is a node of the format; `None` where nobody has said so.
    pub(super) fn has_format(&self) -> Option<bool> {
        self.stated("storage").map(|_| self.stated("format").is_some())
    }

    fn node(&self, kind: &str, tail: &str) -> String {
        self.stated(kind).map_or_else(|| format!("{}-{tail}", self.head), str::to_owned)
    }

    /// The node of the file, device or connection.
    pub(crate) fn storage(&self) -> String {
        self.node("storage", if self.backend { "backend" } else { "storage" })
    }

    /// The node of the part of the storage that is used.
    pub(super) fn slice(&self) -> String {
        self.node("slice-storage", "slice-sto")
    }

    /// The node of what the format says.
    pub(crate) fn format(&self) -> String {
        self.node("format", "format")
    }

    /// The ids of secrets of a kind (`auth`, `encryption`, `httpcookie`, `tlskey`) that the status file states.
    pub(super) fn secrets(&self, kind: &str) -> Vec<String> {
        let objects = self.private.and_then(|private| private.child("objects"));
        objects
            .into_iter()
            .flat_map(|objects| &objects.children)
            .filter(|object| object.name == "secret" && object.attr("type") == Some(kind))
            .filter_map(|object| object.attr("alias").map(str::to_owned))
            .collect()
    }

    /// The id of the secret of a kind; `None` where the status file states the names and no such secret.
    pub(super) fn secret(&self, kind: &str) -> Option<String> {
        let stated = self.secrets(kind).into_iter().next();
        stated.or_else(|| match (self.has_format(), self.backend) {
            (Some(_), _) => None,
            (None, true) => Some(format!("{}-secret0", self.storage())),
            (None, false) => Some(format!("{}-{kind}-secret0", self.storage())),
        })
    }

    /// The id of the object with the certificates.
    pub(super) fn tls(&self) -> String {
        let stated = self.private.and_then(|all| all.child("objects")?.child("TLSx509"));
        stated
            .and_then(|object| object.attr("alias").map(str::to_owned))
            .unwrap_or_else(|| format!("obj{}_tls0", self.storage()))
    }

    /// Refuses names that QEMU would refuse less clearly.
    pub(super) fn check(&self) -> Result<()> {
        for name in [self.storage(), self.format()] {
            if name.len() > LONGEST {
                let text = format!("node-name '{name}' too long for qemu");
                return Err(Error::new(ErrorCode::InternalError, text));
            }
        }
        Ok(())
    }
}

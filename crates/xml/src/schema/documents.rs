// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The documents that can be checked, by the names of libvirt's schemas.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::Shape;
use crate::document;
use crate::reader::{self, Element, ParseFlags, Part};

/// A kind of document.
#[derive(Debug, Clone, Copy)]
pub struct Document {
    /// libvirt's name of the schema.
    pub name: &'static str,
    /// The root element that says which kind of document this is.
    pub root: &'static str,
    pub shape: &'static Shape,
}

const fn document<T: document::Document>() -> Document {
    Document { name: T::SCHEMA, root: T::ROOT, shape: T::SHAPE }
}

macro_rules! documents {
    ($($document:ident),*) => {
        /// All of them.
        pub const DOCUMENTS: &[Document] = &[
            Document {
                name: "capability",
                root: "capabilities",
                shape: &Shape { name: "", pieces: crate::Capabilities::PIECES },
            },
            Document { name: "domain", root: "domain", shape: crate::Domain::SHAPE },
            Document {
                name: "domaincaps",
                root: "domainCapabilities",
                shape: crate::DomainCapabilities::SHAPE,
            },
            $(document::<crate::$document>(),)*
        ];
    };
}
crate::for_all_documents!(documents);

impl Document {
    /// The kind of document with libvirt's name `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        DOCUMENTS.iter().find(|document| document.name == name)
    }

    /// The kind of document whose root element is `root`.
    #[must_use]
    pub fn of_root(root: &str) -> Option<&'static Self> {
        DOCUMENTS.iter().find(|document| document.root == root)
    }

    /// Errs at the first thing in `text` that the schema does not allow.
    pub fn validate(&self, text: &str) -> Result<()> {
        let checked = reader::parse(text, self.name, ParseFlags::VALIDATE, |root| {
            if root.name() == self.root && root.namespace().is_none() {
                return root.conform(self.shape);
            }
            let text = format!("root element <{}>, where <{}> is expected", root.name(), self.root);
            Err(Error::new(ErrorCode::XmlInvalidSchema, text).in_domain(ErrorDomain::Xml))
        });
        checked.map(|_| ())
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How one image is named inside another: the backing string that an overlay's header keeps.

use virtus_api::Result;
use virtus_xml::domain::storage::{ImageFormat, Protocol, StorageType, Transport};

use super::{Handling, Image, Nodes};
use crate::plan::argv::Props;

/// A backing string.
#[derive(Debug, Clone, PartialEq)]
pub enum Reference {
    /// A path, a URI, or one of QEMU's older strings.
    Plain(String),
    /// The node under which the image is opened.
    Json(Props),
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Json(props) => write!(f, "json:{{\"file\":{props}}}"),
        }
    }
}

impl Image<'_> {
    /// The storage node without secrets, names and ways of access: only where the data is.
    pub(crate) fn target(&self) -> Result<Props> {
        self.storage(Handling::default(), None, &mut Nodes::default())
    }

    /// How an overlay of this image refers to it.
    pub(crate) fn reference(&self) -> Result<Reference> {
        if let (StorageType::Dir, Some(path)) = (self.kind, &self.source.dir)
            && self.format == ImageFormat::Fat
        {
            return Ok(Reference::Plain(format!("fat:{path}")));
        }
        let slice = self.slice();
        if slice.is_none() {
            let path = self.source.local_path();
            let plain = path.map(|path| Ok(path.to_owned())).or_else(|| self.plain_uri());
            if let Some(plain) = plain {
                return Ok(Reference::Plain(plain?));
            }
        }
        let target = self.target()?;
        Ok(Reference::Json(match slice {
            None => target,
            Some(slice) => Props::device("raw")
                .with("offset", slice.offset)
                .with("size", slice.size)
                .with("file", target),
        }))
    }

    /// The URI of an image that needs nothing but one.
    fn plain_uri(&self) -> Option<Result<String>> {
        use Protocol as P;
        let source = self.source;
        let simple = matches!(
            source.protocol?,
            P::Nbd | P::Http | P::Https | P::Ftp | P::Ftps | P::Tftp | P::Iscsi | P::Gluster
        );
        let [host] = source.hosts.as_slice() else { return None };
        let tcp = matches!(host.transport, None | Some(Transport::Tcp));
        let bare = source.ssl.is_none()
            && source.cookies.is_none()
            && source.timeout.is_none()
            && source.readahead.is_none()
            && source.reconnect.is_none();
        (simple && tcp && bare).then(|| self.url())
    }
}

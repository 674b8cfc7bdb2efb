// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The images that an image stands on, found from the top down.
//!
//! Who walks decides what may be looked at and how: a [`Look`] reads one image. A chain ends at an image that refers
//! to no other, at one that cannot be read from this host, and at one whose backing string held credentials, which
//! nobody could give.
//!
//! Invariant: an image whose format had to be guessed refers to nothing. Otherwise a guest that owns a raw disk could
//! write a header into it and have any file of the host opened.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_xml::domain::storage::{ImageFormat, StorageType};

use super::{Location, probe};

/// The longest chain that a guest may have.
pub const DEEPEST: usize = 200;

/// Reads images for a walk.
pub trait Look {
    /// The first [`probe::LENGTH`] bytes; `None` if the image cannot be read from this host.
    ///
    /// # Errors
    /// Why an image that could be read was not; `above` is the image that refers to it.
    fn head(&mut self, image: &Location, above: Option<&Location>) -> Result<Option<Vec<u8>>>;

    /// Whether a path is a file, a block device or a folder.
    fn kind(&mut self, path: &str) -> StorageType;
}

/// One image of a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub location: Location,
    pub head: probe::Head,
    /// How the image above spells the place, where it is relative to its own.
    pub relative: Option<String>,
    /// The data of a qcow2 image that keeps them elsewhere.
    pub data_file: Option<Location>,
    /// Whether it is known that nothing, or the next image of the chain, is below.
    pub complete: bool,
}

/// Walks from the image at `top`, whose format is `format`; unknown, it counts as raw.
///
/// # Errors
/// What [`Look`] says; `VIR_ERR_OPERATION_INVALID` where a guessed format would have to be trusted, and where the chain
/// is longer than `deepest`, mostly because it bites its own tail.
pub fn walk(
    top: Location,
    format: Option<ImageFormat>,
    deepest: usize,
    look: &mut dyn Look,
) -> Result<Vec<Image>> {
    let usual = if top.kind == StorageType::Dir { ImageFormat::Dir } else { ImageFormat::Raw };
    let mut chain: Vec<Image> = Vec::new();
    let mut next = Some((top, Some(format.unwrap_or(usual)), None));
    while let Some((location, format, relative)) = next.take() {
        if chain.len() >= deepest {
            let name = location.name();
            let text = format!("backing store for {name} is self-referential or too deeply nested");
            return Err(Error::new(ErrorCode::OperationInvalid, text)
                .in_domain(ErrorDomain::Storage)
                .hint(format!("see the chain with 'qemu-img info --backing-chain {name}'")));
        }
        let above = chain.last().map(|image| &image.location);
        let Some(bytes) = look.head(&location, above)? else {
            let head = probe::Head {
                format: format.unwrap_or(ImageFormat::Raw),
                ..probe::Head::default()
            };
            chain.push(Image { location, head, relative, data_file: None, complete: false });
            break;
        };
        let known = format.unwrap_or_else(|| probe::format(&bytes));
        let head = probe::head(&bytes, known, location.name())?;
        if let (None, true) = (format, head.backing.is_some()) {
            return Err(format_missing(chain.last()));
        }
        let data_file = match head.data_file.as_deref() {
            Some(name) => Some(local(location.below(name)?, look)),
            None => None,
        };
        let mut complete = true;
        if let Some(name) = &head.backing {
            let below = local(location.below(name)?, look);
            complete = !below.credentials;
            let relative = super::backing::is_relative(name).then(|| name.clone());
            next = complete.then_some((below, head.backing_format, relative));
        }
        chain.push(Image { location, head, relative, data_file, complete });
    }
    Ok(chain)
}

/// A path may be more than a file.
fn local(mut location: Location, look: &mut dyn Look) -> Location {
    if location.kind == StorageType::File
        && let Some(path) = location.source.file.take()
    {
        location.kind = look.kind(&path);
        match location.kind {
            StorageType::Block => location.source.dev = Some(path),
            StorageType::Dir => location.source.dir = Some(path),
            _ => location.source.file = Some(path),
        }
    }
    location
}

fn format_missing(above: Option<&Image>) -> Error {
    let (backing, image) = above.map_or(("", ""), |above| {
        (above.head.backing.as_deref().unwrap_or_default(), above.location.name())
    });
    Error::new(
        ErrorCode::OperationInvalid,
        format!(
            "format of backing image '{backing}' of image '{image}' was not specified in the image \
             metadata (See https://libvirt.org/kbase/backing_chains.html for troubleshooting)"
        ),
    )
    .in_domain(ErrorDomain::Storage)
    .hint(format!("write it into the image: qemu-img rebase -u -F FORMAT -b '{backing}' '{image}'"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Images by path.
    #[derive(Default)]
    struct Shelf(HashMap<String, Vec<u8>>);

    impl Shelf {
        fn with(mut self, path: &str, backing: &str, format: Option<&str>) -> Self {
            self.0.insert(path.to_owned(), probe::tests::qcow2(backing, format));
            self
        }
    }

    impl Look for Shelf {
        fn head(&mut self, image: &Location, _: Option<&Location>) -> Result<Option<Vec<u8>>> {
            Ok(self.0.get(image.name()).cloned())
        }
        fn kind(&mut self, _: &str) -> StorageType {
            StorageType::File
        }
    }

    fn names(shelf: &mut Shelf, top: &str) -> Result<Vec<String>> {
        let found = walk(Location::file(top), Some(ImageFormat::Qcow2), 9, shelf)?;
        Ok(found.iter().map(|image| image.location.name().to_owned()).collect())
    }

    #[test]
    fn a_chain_is_followed_to_its_end() {
        let mut shelf = Shelf::default()
            .with("/a/top", "../b/middle", Some("qcow2"))
            .with("/a/../b/middle", "/base", Some("qcow2"))
            .with("/base", "", None);
        assert_eq!(names(&mut shelf, "/a/top").unwrap(), ["/a/top", "/a/../b/middle", "/base"]);
    }

    #[test]
    fn a_chain_that_bites_its_tail_is_refused() {
        let mut shelf =
            Shelf::default().with("/a", "b", Some("qcow2")).with("/b", "a", Some("qcow2"));
        let error = names(&mut shelf, "/a").unwrap_err();
        assert_eq!(error.text(), "backing store for /b is self-referential or too deeply nested");
    }

    #[test]
    fn a_guessed_format_may_not_refer_to_files() {
        let mut shelf =
            Shelf::default().with("/top", "raw", None).with("/raw", "/etc/shadow", Some("raw"));
        let error = names(&mut shelf, "/top").unwrap_err();
        assert_eq!(error.code(), ErrorCode::OperationInvalid);
        let mut shelf = Shelf::default().with("/top", "raw", None).with("/raw", "", None);
        assert_eq!(names(&mut shelf, "/top").unwrap().len(), 2);
    }
}

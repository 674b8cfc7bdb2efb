// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Documents that stand alone: one declaration says how each is read, settled, validated and written.
//!
//! Invariant: settling twice is settling once; what was settled, written and read again is the same.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use crate::reader::{self, Element, ParseFlags, Parsed};
use crate::writer::{FormatFlags, Writer};

/// An element that is the root of a document.
pub trait Document: Element {
    /// The root's name.
    const ROOT: &'static str;
    /// libvirt's name of its schema, where it is not that of the root.
    const SCHEMA: &'static str = Self::ROOT;
    /// What errors about the text as such call it, in libvirt's way: `(network_definition)`.
    const WHAT: &'static str;
    /// Which part of the system speaks in its errors.
    const DOMAIN: ErrorDomain;

    /// Fills in what is meant though it is not said.
    fn settle(&mut self, flags: ParseFlags) -> Result<()> {
        let _ = flags;
        Ok(())
    }

    /// Refuses what contradicts itself. Definitions that were accepted before are not asked.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Reads a document.
    fn parse(text: &str, flags: ParseFlags) -> Result<Parsed<Self>> {
        reader::parse_for(Self::DOMAIN, text, Self::WHAT, flags, |root| {
            root.expect(Self::ROOT)?;
            root.conform(Self::SHAPE)?;
            let mut document = Self::read(root)?;
            if !flags.contains(ParseFlags::RAW) {
                document.settle(flags)?;
                if !flags.contains(ParseFlags::SKIP_VALIDATE) {
                    document.validate()?;
                }
            }
            Ok(document)
        })
    }

    /// Writes the document.
    #[must_use]
    fn format(&self, flags: FormatFlags) -> String {
        let mut out = Writer::new(flags);
        self.write(Self::ROOT, &mut out);
        out.finish()
    }
}

/// Calls a macro with all documents.
#[macro_export]
macro_rules! for_all_documents {
    ($call:ident) => {
        $call! {
            Backup,
            Checkpoint,
            HostInterface,
            Network,
            NetworkPort,
            NodeDevice,
            Nwfilter,
            NwfilterBinding,
            PoolCapabilities,
            PoolSources,
            Secret,
            Snapshot,
            StoragePool,
            Volume
        }
    };
}

/// Reads any bytes as any known document: the entry for fuzzing. `Ok` says that some document was read.
pub fn parse_any(bytes: &[u8]) -> Result<()> {
    let text = std::str::from_utf8(bytes)
        .map_err(|cause| Error::new(ErrorCode::XmlDetail, format!("not UTF-8: {cause}")))?;
    match root(text) {
        "domstatus" => crate::Status::parse(text).map(|_| ()),
        "domainCapabilities" => crate::DomainCapabilities::parse(text).map(|_| ()),
        "capabilities" => crate::Capabilities::parse(text).map(|_| ()),
        "domain" => crate::Domain::parse(text, ParseFlags::INACTIVE).map(|_| ()),
        root => {
            let document = parse_document(root, text);
            let device = || crate::AnyDevice::parse(text, ParseFlags::INACTIVE, true).map(|_| ());
            if crate::AnyDevice::NAMES.contains(&root) {
                // A guest's card and a device of the host have one name.
                device().or_else(|error| document.unwrap_or(Err(error)))
            } else {
                document.unwrap_or_else(device)
            }
        }
    }
}

/// Reads `text` as every document whose root is called `root`; `None` if there is none.
fn parse_document(root: &str, text: &str) -> Option<Result<()>> {
    let mut result = None;
    macro_rules! try_each {
        ($($document:ident),*) => {$(
            if root == crate::$document::ROOT && !matches!(result, Some(Ok(()))) {
                result = Some(crate::$document::parse(text, ParseFlags::INACTIVE).map(|_| ()));
            }
        )*};
    }
    for_all_documents!(try_each);
    result
}

/// The name of the root element, as far as it can be told without parsing; empty if there is none.
#[must_use]
pub fn root(text: &str) -> &str {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while let Some(end) = ["<?", "<!--"].into_iter().zip(["?>", "-->"]).find_map(|(start, end)| {
        let inside = rest.strip_prefix(start)?;
        Some(inside.find(end).map_or("", |at| &inside[at + end.len()..]))
    }) {
        rest = end.trim_start();
    }
    let name = rest.strip_prefix('<').unwrap_or_default();
    let end = name.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>'));
    end.map_or(name, |end| &name[..end])
}

#[cfg(test)]
mod tests {
    use super::root;

    #[test]
    fn the_root_is_found_behind_what_may_precede_it() {
        assert_eq!(
            root("\u{feff} <?xml version='1.0'?>\n<!-- a > b --><network ipv6='yes'>"),
            "network"
        );
        assert_eq!(root("<secret/>"), "secret");
        assert_eq!(root("<!-- open"), "");
        assert_eq!(root("text"), "");
    }
}

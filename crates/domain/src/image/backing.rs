// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Backing strings: what an image's header, or QEMU, says about where the image below is.
//!
//! Three forms exist: a path, a URI or one of QEMU's older `protocol:…` strings, and `json:{…}` with the
//! properties of a block node. Credentials in them are dropped: they belong into a secret.

mod colon;
mod json;
mod uri;

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::domain::storage::{StorageHost, StorageSource, StorageType, Transport};
use virtus_xml::reader::Element as _;
use virtus_xml::writer::Writer;
use virtus_xml::{FormatFlags, value::Value};

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Location {
    pub kind: StorageType,
    pub source: StorageSource,
    /// Whether credentials stood in the string, without which the image may not open.
    pub credentials: bool,
}

impl Location {
    /// A file.
    #[must_use]
    pub fn file(path: &str) -> Self {
        let source = StorageSource { file: Some(path.to_owned()), ..StorageSource::default() };
        Self { kind: StorageType::File, source, credentials: false }
    }

    /// Reads a backing string that does not depend on another image: no relative path.
    ///
    /// # Errors
    /// `VIR_ERR_INVALID_ARG` for what is malformed or not known.
    pub fn parse(text: &str) -> Result<Self> {
        let mut found = if names_a_file(text) {
            Self::file(text)
        } else if let Some(json) = text.strip_prefix("json:") {
            json::parse(json)?
        } else if text.contains("://") {
            uri::parse(text)?
        } else {
            colon::parse(text)?
        };
        found.source.settle_ports();
        Ok(found)
    }

    /// Reads the backing string of an image that is at `self`: a relative path begins where the image lies.
    ///
    /// # Errors
    /// As [`Location::parse`].
    pub fn below(&self, text: &str) -> Result<Self> {
        if !is_relative(text) {
            return Self::parse(text);
        }
        if self.kind == StorageType::Network {
            let name = beside(self.source.name.as_deref().unwrap_or_default(), text);
            let source = StorageSource {
                protocol: self.source.protocol,
                hosts: self.source.hosts.clone(),
                name: Some(name),
                ..StorageSource::default()
            };
            return Ok(Self { kind: StorageType::Network, source, credentials: false });
        }
        Ok(Self::file(&beside(self.source.local_path().unwrap_or_default(), text)))
    }

    /// The path or name, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        self.source.local_path().or(self.source.name.as_deref()).unwrap_or_default()
    }

    /// The `<source>` element.
    #[must_use]
    pub fn format(&self) -> String {
        let mut out = Writer::new(FormatFlags::SECURE);
        self.source.write("source", &mut out);
        out.finish()
    }

    fn network(protocol: virtus_xml::domain::storage::Protocol, name: Option<String>) -> Self {
        let source = StorageSource { protocol: Some(protocol), name, ..StorageSource::default() };
        Self { kind: StorageType::Network, source, credentials: false }
    }
}

/// Whether a backing string is a path that begins where the image lies.
#[must_use]
pub fn is_relative(text: &str) -> bool {
    !text.starts_with('/') && names_a_file(text)
}

/// Anything with a colon before its first slash looks like a protocol.
fn names_a_file(text: &str) -> bool {
    let before_slash = text.split('/').next().unwrap_or_default();
    !before_slash.contains(':')
}

/// `name` in the folder of `path`.
fn beside(path: &str, name: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{name}"),
        None => name.to_owned(),
    }
}

fn tcp_host(name: &str, port: Option<String>) -> StorageHost {
    StorageHost { name: Some(name.to_owned()), port, ..StorageHost::default() }
}

fn unix_host(path: &str) -> StorageHost {
    StorageHost {
        transport: Some(Transport::Unix),
        socket: Some(path.to_owned()),
        ..StorageHost::default()
    }
}

fn word<T: Value>(text: &str, what: &str) -> Result<T> {
    T::parse(text).ok_or_else(|| invalid(format!("invalid {what} '{text}'")))
}

fn invalid(text: String) -> Error {
    Error::new(ErrorCode::InvalidArg, text)
}

#[cfg(test)]
mod tests;

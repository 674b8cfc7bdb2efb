// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<source>` of a pool: what it is made from.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::adapter::{self, Adapter};
use super::types::{PoolType, SourceParts};
use super::{sanitize_path, unsupported, xml_error};
use crate::document::Document;
use crate::domain::storage::{Auth, AuthType, Initiator, Named};
use crate::schema::kinds;
use crate::value::YesNo;

element! {
    /// `<source>`.
    pub struct PoolSource {
        child hosts: Vec<PoolHost> = "host",
        child devices: Vec<PoolDevice> = "device",
        child dir: Option<Dir> = "dir",
        child adapter: Option<Adapter> = "adapter",
        leaf name: Option<String> = "name",
        child initiator: Option<Initiator> = "initiator",
        child format: Option<FormatName> = "format",
        child auth: Option<Auth> = "auth",
        child protocol: Option<ProtocolVersion> = "protocol",
        child vendor: Option<Named> = "vendor",
        child product: Option<Named> = "product"
    }
}

element! {
    /// `<host>`: one server.
    pub struct PoolHost {
        required name: String = "name",
        attr port: Option<u16> = "port"
    }
    schema {
        required kinds::HostOrAddress = "name"
    }
}

element! {
    /// `<device>`: a disk, a partition or an iSCSI target.
    pub struct PoolDevice {
        required path: String = "path",
        attr part_separator: Option<YesNo> = "part_separator",
        child free_extents: Vec<Extent> = "freeExtent"
    }
}

element! {
    /// A stretch of a device, in bytes.
    pub struct Extent {
        attr start: u64 = "start",
        attr end: u64 = "end"
    }
    schema { required u64 = "start", required u64 = "end" }
}

element! {
    /// `<dir path='…'/>`.
    pub struct Dir { attr path: Option<String> = "path" }
    schema {
        required kinds::Path = "path"
    }
}

element! {
    /// `<format type='…'/>`; which words there are depends on the pool's type.
    pub struct FormatName { attr kind: Option<String> = "type" }
    schema {
        required kinds::GenericName = "type"
    }
}

element! {
    /// `<protocol ver='…'/>`: the version of NFS.
    pub struct ProtocolVersion { required version: String = "ver" }
}

impl FormatName {
    #[must_use]
    pub fn new(kind: &str) -> Self {
        Self { kind: Some(kind.to_owned()) }
    }
}

impl PoolSource {
    /// Fills in what is not said, drops what a pool of this kind has no use for.
    pub(super) fn settle(&mut self, kind: PoolType) -> Result<()> {
        let rules = kind.rules();
        let has = |part| rules.source.contains(part);
        self.name.take_if(|name| name.is_empty());
        // One that says nothing at all lacks more.
        if kind == PoolType::Rbd && self.name.is_none() && *self != Self::default() {
            return Err(xml_error("element 'name' is mandatory for RBD pool"));
        }
        self.settle_format(kind)?;
        for host in &mut self.hosts {
            host.port.take_if(|port| *port == 0);
        }
        for device in &mut self.devices {
            device.free_extents.clear();
        }
        self.initiator.take_if(|initiator| initiator.iqn.is_none());
        self.settle_dir(kind);
        self.settle_protocol()?;
        if let Some(auth) = &self.auth {
            if matches!(auth.kind, None | Some(AuthType::None)) {
                return Err(unsupported("storage pool missing auth type"));
            }
            let secret = auth.secret.as_ref();
            secret.ok_or_else(|| xml_error("Missing <secret> element in auth"))?.check()?;
        }
        if !has(SourceParts::HOST) {
            self.hosts.clear();
        }
        if !has(SourceParts::DEVICE) {
            self.devices.clear();
        }
        if !has(SourceParts::ADAPTER) {
            self.adapter = None;
        }
        if !has(SourceParts::NAME) {
            self.name = None;
        }
        if !has(SourceParts::INITIATOR) {
            self.initiator = None;
        }
        Ok(())
    }

    fn settle_format(&mut self, kind: PoolType) -> Result<()> {
        let named = self.format.take().and_then(|format| format.kind);
        let named = named.as_deref().filter(|name| !name.is_empty());
        let Some(formats) = kind.rules().source_formats else { return Ok(()) };
        let format = formats.choose(named).ok_or_else(|| {
            let known = formats.known.join(", ");
            unsupported(format!("unknown pool format type {}", named.unwrap_or_default()))
                .hint(format!("a pool of type '{kind}' allows {known}"))
        })?;
        self.format = Some(FormatName::new(format));
        Ok(())
    }

    fn settle_dir(&mut self, kind: PoolType) {
        if !kind.rules().source.contains(SourceParts::DIR) {
            self.dir = None;
            return;
        }
        let named = self.dir.take().and_then(|dir| dir.path).filter(|path| !path.is_empty());
        let path = match named {
            Some(path) => Some(sanitize_path(&path)),
            None => (kind == PoolType::Gluster).then(|| "/".to_owned()),
        };
        self.dir = path.map(|path| Dir { path: Some(path) });
    }

    /// A version of the protocol exists for NFS only.
    fn settle_protocol(&mut self) -> Result<()> {
        self.protocol.take_if(|protocol| protocol.version.is_empty());
        let Some(protocol) = &self.protocol else { return Ok(()) };
        let format = self.format.as_ref().and_then(|format| format.kind.as_deref());
        if !matches!(format, Some("nfs" | "auto")) {
            return Err(unsupported(format!(
                "storage pool protocol ver unsupported for pool type '{}'",
                format.unwrap_or("none")
            )));
        }
        if protocol.version.contains(',') {
            return Err(Error::new(
                ErrorCode::XmlDetail,
                format!("storage pool protocol ver '{}' must not contain ','", protocol.version),
            )
            .in_domain(ErrorDomain::Storage));
        }
        Ok(())
    }

    /// Refuses a source in which something is missing that a pool of this kind needs.
    pub(super) fn check(&mut self, kind: PoolType) -> Result<()> {
        let parts = kind.rules().source;
        if parts.contains(SourceParts::HOST) && self.hosts.is_empty() {
            return Err(xml_error("missing storage pool source host name"));
        }
        if parts.contains(SourceParts::DIR) && self.dir.is_none() {
            return Err(xml_error("missing storage pool source path"));
        }
        if parts.contains(SourceParts::ADAPTER) {
            self.adapter.as_mut().ok_or_else(adapter::missing)?.settle()?;
        }
        // Where devices are not all there is, they may be found by what else is said.
        if parts == SourceParts::DEVICE && self.devices.is_empty() {
            return Err(xml_error("missing storage pool source device name"));
        }
        Ok(())
    }
}

impl Document for PoolSource {
    const ROOT: &'static str = "source";
    const WHAT: &'static str = "(storage_source_specification)";
    const DOMAIN: ErrorDomain = ErrorDomain::Storage;
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `json:{…}`: the properties of a block node, with dotted keys or nested, with or without a format around it.

use serde_json::{Map, Value};
use virtus_api::Result;
use virtus_core::json;
use virtus_xml::domain::address::PciAddress;
use virtus_xml::domain::storage::{
    ConfigFile, Cookie, Cookies, Identity, Named, NvmeAddress, Protocol, Readahead, Slice,
    SliceType, Slices, SourceKind, Ssl, StorageHost, StorageSource, StorageType, Timeout,
};
use virtus_xml::value::{Hex, YesNo};

use super::{Location, colon, invalid, tcp_host, unix_host, uri};

/// Reads what stands behind `json:`.
pub(super) fn parse(text: &str) -> Result<Location> {
    let root = json::deflatten(json::parse(text)?)?;
    let node = Node::of(&root, text)?;
    match node.object("file") {
        Some(file) if node.text("driver").is_none() => file.read(true),
        _ => node.read(true),
    }
}

/// One block node.
#[derive(Clone, Copy)]
struct Node<'a> {
    members: &'a Map<String, Value>,
    /// The whole text, for messages.
    text: &'a str,
}

impl<'a> Node<'a> {
    fn of(value: &'a Value, text: &'a str) -> Result<Self> {
        let members = value.as_object().ok_or_else(|| {
            invalid(format!("JSON backing volume definition '{text}' is not an object"))
        })?;
        Ok(Self { members, text })
    }

    fn object(&self, key: &str) -> Option<Node<'a>> {
        let members = self.members.get(key)?.as_object()?;
        Some(Node { members, text: self.text })
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.members.get(key)?.as_str()
    }

    /// A number may be spelt as text and the other way around.
    fn text_or_number(&self, key: &str) -> Option<String> {
        match self.members.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn number(&self, key: &str) -> Result<Option<u64>> {
        let Some(value) = self.members.get(key) else { return Ok(None) };
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        number.map(Some).ok_or_else(|| self.malformed(key))
    }

    fn malformed(&self, key: &str) -> virtus_api::Error {
        invalid(format!("malformed '{key}' field in backing store definition '{}'", self.text))
    }

    fn missing(&self, what: &str) -> virtus_api::Error {
        invalid(format!("missing {what} in JSON backing volume definition"))
    }

    /// Reads the node; a format may stand around a protocol, but not around a format.
    fn read(&self, format_allowed: bool) -> Result<Location> {
        let Some(driver) = self.text("driver") else {
            return Err(invalid(format!(
                "JSON backing volume definition '{}' lacks driver name",
                self.text
            )));
        };
        let mut found = match driver {
            "raw" if format_allowed => return self.raw(),
            "raw" => {
                return Err(invalid(format!(
                    "JSON backing volume definition '{}' must not have nested format drivers",
                    self.text
                )));
            }
            "file" => Location::file(self.filename()?),
            "host_device" | "host_cdrom" => {
                let dev = Some(self.filename()?.to_owned());
                let source = StorageSource { dev, ..StorageSource::default() };
                Location { kind: StorageType::Block, source, credentials: false }
            }
            "http" => self.curl(Protocol::Http)?,
            "https" => self.curl(Protocol::Https)?,
            "ftp" => self.curl(Protocol::Ftp)?,
            "ftps" => self.curl(Protocol::Ftps)?,
            "tftp" => self.curl(Protocol::Tftp)?,
            "gluster" => self.gluster()?,
            "iscsi" => self.iscsi()?,
            "nbd" => self.nbd()?,
            "sheepdog" => self.sheepdog()?,
            "ssh" => self.ssh()?,
            "rbd" => self.rbd()?,
            "vxhs" => self.vxhs()?,
            "nfs" => self.nfs()?,
            "nvme" => self.nvme()?,
            other => {
                return Err(invalid(format!(
                    "missing parser implementation for JSON backing volume driver '{other}'"
                )));
            }
        };
        // Who a disk of these is opened as does not stand in the host's configuration.
        let ours = matches!(driver, "iscsi" | "http" | "https" | "ftp" | "ftps" | "tftp");
        const SECRETS: [&str; 4] = ["user", "username", "password", "password-secret"];
        found.credentials |= ours && SECRETS.iter().any(|key| self.members.contains_key(*key));
        Ok(found)
    }

    fn raw(&self) -> Result<Location> {
        let slice = match (self.number("offset")?, self.number("size")?) {
            (None, None) => None,
            (offset, size) => Some(Slice {
                kind: SliceType::Storage,
                offset: offset.unwrap_or(0),
                size: size.unwrap_or(0),
            }),
        };
        let file = self.object("file").ok_or_else(|| {
            invalid(format!("JSON backing volume definition '{}' lacks 'file' object", self.text))
        })?;
        let mut found = file.read(false)?;
        found.source.slices = slice.map(|slice| Slices { slice: vec![slice] });
        Ok(found)
    }

    fn filename(&self) -> Result<&'a str> {
        self.text("filename").ok_or_else(|| self.missing("'filename' field"))
    }

    fn curl(&self, protocol: Protocol) -> Result<Location> {
        let url = self.text("url").or_else(|| self.text("filename"));
        let mut found = uri::parse_as(url.ok_or_else(|| self.missing("'url' field"))?, protocol)?;
        let source = &mut found.source;
        source.ssl = match self.members.get("sslverify") {
            None => None,
            Some(Value::Bool(true)) => Some(Ssl { verify: Some(YesNo::Yes) }),
            Some(Value::Bool(false)) => Some(Ssl { verify: Some(YesNo::No) }),
            Some(Value::String(word)) if word == "on" => Some(Ssl { verify: Some(YesNo::Yes) }),
            Some(Value::String(word)) if word == "off" => Some(Ssl { verify: Some(YesNo::No) }),
            Some(_) => return Err(self.malformed("sslverify")),
        };
        source.cookies = self.cookies()?;
        source.readahead = self.number("readahead")?.map(|size| Readahead { size });
        source.timeout = self.number("timeout")?.map(|seconds| Timeout { seconds });
        Ok(found)
    }

    fn cookies(&self) -> Result<Option<Cookies>> {
        let Some(value) = self.members.get("cookie") else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.malformed("cookie"))?;
        let cookie = text.split(';').filter(|part| !part.trim().is_empty()).map(|part| {
            let (name, value) = part.trim_start().split_once('=').ok_or_else(|| {
                invalid(format!(
                    "malformed http cookie '{part}' in backing store definition '{}'",
                    self.text
                ))
            })?;
            Ok(Cookie { name: name.to_owned(), value: value.to_owned() })
        });
        Ok(Some(Cookies { cookie: cookie.collect::<Result<_>>()? }))
    }

    fn gluster(&self) -> Result<Location> {
        if let Some(legacy) = self.text("filename") {
            return uri::parse_as(legacy, Protocol::Gluster);
        }
        let servers = self.members.get("server").and_then(Value::as_array);
        let (Some(volume), Some(path), Some(servers)) =
            (self.text("volume"), self.text("path"), servers)
        else {
            return Err(self.missing("'volume', 'path' or 'server' attribute of gluster"));
        };
        let name = format!("{volume}/{}", path.trim_start_matches('/'));
        let mut found = Location::network(Protocol::Gluster, Some(name));
        for server in servers {
            found.source.hosts.push(Node::of(server, self.text)?.socket_address()?);
        }
        Ok(found)
    }

    fn iscsi(&self) -> Result<Location> {
        if let Some(legacy) = self.text("filename") {
            return uri::parse_as(legacy, Protocol::Iscsi);
        }
        let (Some(transport), Some(portal), Some(target)) =
            (self.text("transport"), self.text("portal"), self.text("target"))
        else {
            return Err(self.missing("'transport', 'portal' or 'target' attribute of iSCSI"));
        };
        if transport != "tcp" {
            return Err(invalid("only TCP transport is supported for iSCSI volumes".to_owned()));
        }
        let lun = self.text_or_number("lun").unwrap_or_else(|| "0".to_owned());
        let mut found = Location::network(Protocol::Iscsi, Some(format!("{target}/{lun}")));
        // The colons inside the brackets of an address are no port's.
        let host = match portal.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => {
                let port: u16 = port.parse().map_err(|_| self.malformed("portal"))?;
                tcp_host(name, Some(port.to_string()))
            }
            _ => tcp_host(portal, None),
        };
        found.source.hosts.push(host);
        Ok(found)
    }

    fn nbd(&self) -> Result<Location> {
        let host = if let Some(server) = self.object("server") {
            server.socket_address()?
        } else if let Some(path) = self.text("path") {
            unix_host(path)
        } else if let Some(name) = self.text("host") {
            tcp_host(name, self.text_or_number("port"))
        } else {
            return Err(self.missing("host specification of NBD server"));
        };
        let export = self.text("export").map(str::to_owned);
        let mut found = Location::network(Protocol::Nbd, export);
        found.source.hosts.push(host);
        Ok(found)
    }

    fn sheepdog(&self) -> Result<Location> {
        if let Some(legacy) = self.text("filename") {
            if legacy.contains("://") {
                return uri::parse_as(legacy, Protocol::Sheepdog);
            }
            return Err(self.missing("sheepdog URI"));
        }
        let vdi = self.text("vdi").ok_or_else(|| self.missing("sheepdog vdi name"))?;
        let server = self.object("server").ok_or_else(|| self.missing("sheepdog server"))?;
        let mut found = Location::network(Protocol::Sheepdog, Some(vdi.to_owned()));
        found.source.hosts.push(server.socket_address()?);
        Ok(found)
    }

    fn ssh(&self) -> Result<Location> {
        let host = match (self.object("server"), self.text("host")) {
            (Some(server), _) => server.inet_address()?,
            (None, Some(name)) => tcp_host(name, self.text_or_number("port")),
            (None, None) => return Err(self.missing("host/server of SSH")),
        };
        let path = self.text("path").ok_or_else(|| self.missing("path of SSH"))?;
        let mut found = Location::network(Protocol::Ssh, Some(path.to_owned()));
        found.source.hosts.push(host);
        found.source.identity = self
            .text("user")
            .map(|user| Identity { username: Some(user.to_owned()), ..Identity::default() })
            .map(Box::new);
        Ok(found)
    }

    fn rbd(&self) -> Result<Location> {
        if let Some(legacy) = self.text("filename") {
            let text = legacy.strip_prefix("rbd:").unwrap_or(legacy);
            return Ok(colon::rbd(text));
        }
        let (Some(pool), Some(image)) = (self.text("pool"), self.text("image")) else {
            return Err(self.missing("pool or image name of ceph"));
        };
        let name = match self.text("namespace") {
            Some(namespace) => format!("{pool}/{namespace}/{image}"),
            None => format!("{pool}/{image}"),
        };
        let mut found = Location::network(Protocol::Rbd, Some(name));
        let own = |text: &str| text.to_owned();
        found.source.snapshot = self.text("snapshot").map(own).map(|name| Named { name });
        found.source.config = self.text("conf").map(own).map(|file| ConfigFile { file });
        for server in self.members.get("server").and_then(Value::as_array).into_iter().flatten() {
            found.source.hosts.push(Node::of(server, self.text)?.inet_address()?);
        }
        Ok(found)
    }

    fn vxhs(&self) -> Result<Location> {
        let (Some(disk), Some(server)) = (self.text("vdisk-id"), self.object("server")) else {
            return Err(self.missing("'vdisk-id' or 'server' attribute of VxHS"));
        };
        let mut found = Location::network(Protocol::Vxhs, Some(disk.to_owned()));
        found.source.hosts.push(server.inet_address()?);
        Ok(found)
    }

    fn nfs(&self) -> Result<Location> {
        let (Some(path), Some(server)) = (self.text("path"), self.object("server")) else {
            return Err(self.missing("'path' or 'server' attribute of NFS"));
        };
        let mut found = Location::network(Protocol::Nfs, Some(path.to_owned()));
        found.source.hosts.push(server.inet_address()?);
        // A number, which the XML marks with a plus.
        let id =
            |key| self.text_or_number(key).map(|id| format!("+{}", id.trim_start_matches('+')));
        let (user, group) = (id("user"), id("group"));
        if user.is_some() || group.is_some() {
            found.source.identity = Some(Box::new(Identity { user, group, ..Identity::default() }));
        }
        Ok(found)
    }

    fn nvme(&self) -> Result<Location> {
        let namespace =
            self.number("namespace")?.ok_or_else(|| self.missing("'namespace' field"))?;
        let device = self.text("device").ok_or_else(|| self.missing("'device' field"))?;
        let pci = pci_address(device).ok_or_else(|| self.malformed("device"))?;
        let source = StorageSource {
            kind: Some(SourceKind::Pci),
            namespace: Some(namespace),
            address: Some(Box::new(NvmeAddress { typed: false, pci })),
            ..StorageSource::default()
        };
        Ok(Location { kind: StorageType::Nvme, source, credentials: false })
    }

    /// A socket address of QEMU; `tcp` and `socket` are older words.
    fn socket_address(&self) -> Result<StorageHost> {
        match self.text("type") {
            Some("inet" | "tcp") => self.inet_address(),
            Some("unix") => self
                .text("path")
                .or_else(|| self.text("socket"))
                .map(unix_host)
                .ok_or_else(|| self.missing("path of a unix socket")),
            Some(other) => {
                Err(invalid(format!("socket address type '{other}' is not yet supported")))
            }
            None => Err(self.missing("socket address type")),
        }
    }

    fn inet_address(&self) -> Result<StorageHost> {
        let name = self.text("host").ok_or_else(|| self.missing("hostname of a TCP server"))?;
        Ok(tcp_host(name, self.text_or_number("port")))
    }
}

/// `0000:01:00.0`.
fn pci_address(text: &str) -> Option<PciAddress> {
    let mut parts = text.splitn(3, ':');
    let (domain, bus, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (slot, function) = rest.split_once('.')?;
    let hex =
        |text: &str, most: u64| u64::from_str_radix(text, 16).ok().filter(|number| *number <= most);
    Some(PciAddress {
        domain: Hex(hex(domain, 0xffff)?),
        bus: Hex(hex(bus, 0xff)?),
        slot: Hex(hex(slot, 0x1f)?),
        function: Hex(hex(function, 7)?),
        ..PciAddress::default()
    })
}

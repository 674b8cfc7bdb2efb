// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<source>` of a disk, of a backing image, of a mirror and of NVRAM: where the data of an image is.
//!
//! The parent's `type` decides which attributes count; [`StorageSource::keep_only`] drops the others.

use uuid::Uuid;
use virtus_api::Result;

use super::address::PciAddress;
use super::seclabel::DeviceSeclabel;
use crate::schema::kinds;
use crate::settle::{unsupported, xml_error};
use crate::tree::Tree;
use crate::units::Bytes;
use crate::value::YesNo;

spellings! {
    /// Where an image is.
    pub enum StorageType {
        File = "file", Block = "block", Dir = "dir", Network = "network", Volume = "volume",
        Nvme = "nvme", VhostUser = "vhostuser", VhostVdpa = "vhostvdpa",
    }
}

spellings! {
    /// How an image is laid out.
    pub enum ImageFormat {
        Raw = "raw", Dir = "dir", Bochs = "bochs", Cloop = "cloop", Dmg = "dmg", Iso = "iso",
        Vpc = "vpc", Vdi = "vdi", Fat = "fat", Vhd = "vhd", Ploop = "ploop", Cow = "cow",
        Qcow = "qcow", Qcow2 = "qcow2", Qed = "qed", Vmdk = "vmdk", Luks = "luks", None = "none",
    }
    also "aio" = Raw;
}

spellings! {
    /// By which protocol a network image is reached.
    pub enum Protocol {
        Nbd = "nbd", Rbd = "rbd", Sheepdog = "sheepdog", Gluster = "gluster", Iscsi = "iscsi",
        Http = "http", Https = "https", Ftp = "ftp", Ftps = "ftps", Tftp = "tftp", Ssh = "ssh",
        Vxhs = "vxhs", Nfs = "nfs",
    }
}

spellings! {
    /// What happens when a removable medium is missing.
    pub enum StartupPolicy { Mandatory = "mandatory", Requisite = "requisite", Optional = "optional" }
}

spellings! {
    /// How a connection to a storage host is made.
    pub enum Transport { Tcp = "tcp", Unix = "unix", Rdma = "rdma" }
}

spellings! {
    /// `mode` of a volume source.
    pub enum VolumeMode { Host = "host", Direct = "direct" }
}

element! {
    /// `<source>`.
    pub struct StorageSource {
        attr kind: Option<SourceKind> = "type",
        attr pool: Option<String> = "pool",
        attr volume: Option<String> = "volume",
        attr mode: Option<VolumeMode> = "mode",
        status_attr actual_type: Option<StorageType> = "actualType",
        attr file: Option<String> = "file",
        attr dev: Option<String> = "dev",
        attr dir: Option<String> = "dir",
        attr protocol: Option<Protocol> = "protocol",
        attr name: Option<String> = "name",
        attr query: Option<String> = "query",
        attr tls: Option<YesNo> = "tls",
        attr tls_hostname: Option<String> = "tlsHostname",
        status_attr tls_from_config: Option<u32> = "tlsFromConfig",
        attr managed: Option<YesNo> = "managed",
        attr namespace: Option<u64> = "namespace",
        attr path: Option<String> = "path",
        attr fdgroup: Option<String> = "fdgroup",
        attr startup_policy: Option<StartupPolicy> = "startupPolicy",
        attr index: Option<u32> = "index",
        child hosts: Vec<StorageHost> = "host",
        child snapshot: Option<Named> = "snapshot",
        child config: Option<ConfigFile> = "config",
        child initiator: Option<Initiator> = "initiator",
        child ssl: Option<Ssl> = "ssl",
        child cookies: Option<Cookies> = "cookies",
        child readahead: Option<Readahead> = "readahead",
        child timeout: Option<Timeout> = "timeout",
        child known_hosts: Option<KnownHosts> = "knownHosts",
        custom identity: Option<Box<Identity>> = "identity",
        child reconnect: Option<Reconnect> = "reconnect",
        child address: Option<Box<NvmeAddress>> = "address",
        child slices: Option<Slices> = "slices",
        child seclabels: Vec<DeviceSeclabel> = "seclabel",
        child auth: Option<Box<Auth>> = "auth",
        child encryption: Option<Box<Encryption>> = "encryption",
        child reservations: Option<Box<Reservations>> = "reservations",
        child data_store: Option<Box<DataStore>> = "dataStore",
        status private: Option<Box<Tree>> = "privateData"
    }
}

element! {
    /// `<dataStore>`: where a qcow2 image keeps its data.
    pub struct DataStore {
        attr kind: Option<StorageType> = "type",
        child format: Option<Format> = "format",
        child source: Option<StorageSource> = "source"
    }
}

spellings! {
    /// `type` of a source that is not a file: an NVMe device or a vhost-user socket.
    pub enum SourceKind { Pci = "pci", Unix = "unix" }
}

/// The PCI address of an NVMe device.
pub type NvmeAddress = SourcePciAddress;

/// `<address type='pci' …/>` inside a `<source>`: a device of the host.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SourcePciAddress {
    /// Whether `type='pci'` is spelt out.
    pub typed: bool,
    pub pci: PciAddress,
}

impl crate::reader::Element for SourcePciAddress {
    const SHAPE: &'static crate::schema::Shape = <PciAddress as crate::reader::Element>::SHAPE;
    fn read(node: crate::reader::Node<'_>) -> Result<Self> {
        Ok(Self { typed: node.attr("type").is_some(), pci: PciAddress::read(node)? })
    }
    fn write(&self, tag: &str, out: &mut crate::writer::Writer) {
        use crate::reader::Part;
        out.start(tag);
        if self.typed {
            out.attr_text("type", "pci");
        }
        self.pci.write_attrs(out);
        out.end(tag);
    }
}

element! {
    /// `<host>`: one server of a network image.
    pub struct StorageHost {
        attr name: Option<String> = "name",
        attr port: Option<String> = "port",
        attr transport: Option<Transport> = "transport",
        attr socket: Option<String> = "socket"
    }
}

element! {
    /// An element whose only content is `name='…'`.
    pub struct Named { required name: String = "name" }
}

element! {
    /// `<config file='…'/>` of an rbd image.
    pub struct ConfigFile { required file: String = "file" }
}

element! {
    /// `<initiator>` of an iSCSI image.
    pub struct Initiator { child iqn: Option<Named> = "iqn" }
}

element! {
    /// `<slices>`.
    pub struct Slices { child slice: Vec<Slice> = "slice" }
}

element! {
    /// `<slice>`: the part of the source that is used.
    pub struct Slice {
        attr kind: SliceType = "type",
        required offset: u64 = "offset",
        required size: u64 = "size"
    }
}

spellings! {
    /// What a slice is cut from.
    pub enum SliceType { Storage = "storage" }
}

element! {
    /// `<reservations>`: SCSI persistent reservations.
    pub struct Reservations {
        attr managed: Option<YesNo> = "managed",
        child source: Option<UnixSource> = "source"
    }
}

element! {
    /// `<source type='unix' path='…' mode='client'/>`.
    pub struct UnixSource {
        attr kind: Option<String> = "type",
        attr path: Option<String> = "path",
        attr mode: Option<String> = "mode",
        child reconnect: Option<Reconnect> = "reconnect"
    }
}

element! {
    /// `<auth>`: who opens the image or the pool. Only a pool has a type.
    pub struct Auth {
        attr kind: Option<AuthType> = "type",
        required username: String = "username",
        child secret: Option<Secret> = "secret"
    }
}

spellings! {
    /// How a storage pool authenticates.
    pub enum AuthType { None = "none", Chap = "chap", Ceph = "ceph" }
}

element! {
    /// `<secret>`: which secret of the secret driver is meant.
    pub struct Secret {
        attr kind: Option<String> = "type",
        attr uuid: Option<Uuid> = "uuid",
        attr usage: Option<String> = "usage"
    }
}

shapes! {
    /// The secret of an image: by its UUID or by what it is for.
    ImageSecret {
        required kinds::ImageSecret = "type",
        attr Uuid = "uuid",
        attr String = "usage"
    }
}

spellings! {
    /// How an image is encrypted.
    pub enum EncryptionFormat {
        Default = "default", Qcow = "qcow", Luks = "luks", Luks2 = "luks2", LuksAny = "luks-any",
    }
}

spellings! {
    /// Who decrypts.
    pub enum EncryptionEngine { Qemu = "qemu", Librbd = "librbd" }
}

element! {
    /// `<encryption>`.
    pub struct Encryption {
        required format: EncryptionFormat = "format",
        attr engine: Option<EncryptionEngine> = "engine",
        child secrets: Vec<Secret> = "secret",
        child cipher: Option<Cipher> = "cipher",
        child ivgen: Option<Ivgen> = "ivgen"
    }
    schema {
        many ImageSecret = "secret"
    }
}

element! {
    /// `<cipher>` of an encrypted image.
    pub struct Cipher {
        required name: String = "name",
        attr size: Option<u32> = "size",
        attr mode: Option<String> = "mode",
        attr hash: Option<String> = "hash"
    }
}

element! {
    /// `<ivgen>`: how initialisation vectors are made.
    pub struct Ivgen {
        required name: String = "name",
        attr hash: Option<String> = "hash"
    }
}

element! {
    /// `<ssl verify='yes'/>`.
    pub struct Ssl { attr verify: Option<YesNo> = "verify" }
}

element! {
    /// `<cookies>` of an http image.
    pub struct Cookies { child cookie: Vec<Cookie> = "cookie" }
}

element! {
    /// One cookie.
    pub struct Cookie {
        required name: String = "name",
        text value: String
    }
}

element! {
    /// `<readahead size='…'/>`.
    pub struct Readahead { attr size: u64 = "size" }
}

element! {
    /// `<timeout seconds='…'/>`.
    pub struct Timeout { attr seconds: u64 = "seconds" }
}

element! {
    /// `<knownHosts path='…'/>` of an ssh image.
    pub struct KnownHosts { required path: String = "path" }
}

element! {
    /// `<identity>`: as whom an nfs or ssh image is opened.
    pub struct Identity {
        attr user: Option<String> = "user",
        attr group: Option<String> = "group",
        attr username: Option<String> = "username",
        attr agentsock: Option<String> = "agentsock",
        attr keyfile: Option<String> = "keyfile"
    }
}

element! {
    /// `<reconnect>`: what happens when a peer goes away.
    pub struct Reconnect {
        attr enabled: Option<YesNo> = "enabled",
        attr timeout: Option<u32> = "timeout",
        attr delay: Option<u32> = "delay"
    }
}

element! {
    /// `<format type='qcow2'/>` of a backing image or a mirror.
    pub struct Format {
        required kind: ImageFormat = "type",
        child metadata_cache: Option<MetadataCache> = "metadata_cache"
    }
}

element! {
    /// `<metadata_cache>`.
    pub struct MetadataCache { child max_size: Option<Bytes> = "max_size" }
}

element! {
    /// `<backingStore>`: the image below; empty: there is none.
    pub struct BackingStore {
        attr kind: Option<StorageType> = "type",
        attr index: Option<u32> = "index",
        child format: Option<Format> = "format",
        child source: Option<StorageSource> = "source",
        child backing_store: Option<Box<BackingStore>> = "backingStore"
    }
}

impl Secret {
    /// Refuses a secret that is named in no way, or in two.
    pub fn check(&self) -> Result<()> {
        match (&self.uuid, &self.usage) {
            (None, None) => Err(xml_error("missing auth secret uuid or usage attribute")),
            (Some(_), Some(_)) => Err(xml_error("either auth secret uuid or usage expected")),
            _ => Ok(()),
        }
    }
}

impl Encryption {
    /// Refuses what is encrypted in no way that could be undone.
    pub fn check(&self) -> Result<()> {
        for secret in &self.secrets {
            match secret.kind.as_deref() {
                Some("passphrase") => secret.check()?,
                None => return Err(xml_error("unknown volume encryption secret type")),
                Some(kind) => {
                    return Err(unsupported(format!(
                        "unknown volume encryption secret type {kind}: only 'passphrase' is known"
                    )));
                }
            }
        }
        if self.cipher.as_ref().is_some_and(|cipher| cipher.size.is_none()) {
            return Err(xml_error("Missing required attribute 'size' in element 'cipher'"));
        }
        if self.ivgen.is_some() && self.cipher.is_none() {
            return Err(xml_error("ivgen element found, but cipher is missing"));
        }
        Ok(())
    }
}

impl Protocol {
    /// The port where a server of the protocol usually listens.
    #[must_use]
    pub fn usual_port(self) -> Option<&'static str> {
        Some(match self {
            Self::Nbd => "10809",
            Self::Sheepdog => "7000",
            Self::Gluster => "24007",
            Self::Iscsi => "3260",
            Self::Http => "80",
            Self::Https => "443",
            Self::Ftp => "21",
            Self::Ftps => "990",
            Self::Tftp => "69",
            Self::Ssh => "22",
            Self::Vxhs => "9999",
            Self::Rbd | Self::Nfs => return None,
        })
    }
}

impl StorageSource {
    /// A user name alone is not written, as libvirt does not: it came out of an image's backing string.
    fn identity(&self, tag: &str, out: &mut crate::writer::Writer) {
        let named = |identity: &Identity| Identity { username: None, ..identity.clone() };
        let told = self.identity.as_ref().filter(|all| named(all) != Identity::default());
        crate::slot::ChildSlot::write(&told.cloned(), tag, out);
    }

    /// Whether nothing says where the image is: an empty drive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Drops the attributes that have no meaning for `kind`.
    pub fn keep_only(&mut self, kind: StorageType) {
        use StorageType as T;
        if kind != T::File && self.actual_type.is_none() {
            self.file = None;
        }
        if !matches!(kind, T::Block | T::VhostVdpa) && self.actual_type.is_none() {
            self.dev = None;
        }
        if kind != T::Dir {
            self.dir = None;
        }
        if kind != T::Network {
            (self.protocol, self.name, self.query) = (None, None, None);
        }
        if kind != T::Volume {
            (self.pool, self.volume, self.mode) = (None, None, None);
        }
    }

    /// Names the logical unit of an iSCSI target that has none: the first.
    pub fn settle_unit(&mut self) {
        if self.protocol == Some(Protocol::Iscsi)
            && let Some(name) = self.name.as_mut().filter(|name| !name.contains('/'))
        {
            name.push_str("/0");
        }
    }

    /// Names the port of each TCP host that has none, where the protocol has a usual one.
    pub fn settle_ports(&mut self) {
        let Some(usual) = self.protocol.and_then(Protocol::usual_port) else { return };
        for host in &mut self.hosts {
            if matches!(host.transport, None | Some(Transport::Tcp)) && host.socket.is_none() {
                host.port.get_or_insert_with(|| usual.to_owned());
            }
        }
    }

    /// The file or device on this host, if the source is one.
    #[must_use]
    pub fn local_path(&self) -> Option<&str> {
        self.file.as_deref().or(self.dev.as_deref()).or(self.dir.as_deref())
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a plan needs to know beyond the definition and QEMU's capabilities.
//!
//! Everything that depends on the host or on what was opened before is a value in here, so that a plan stays a
//! pure function. Descriptors are opened by the launcher: [`super::descriptors`] lists which, under which
//! [`FdKey`]; their numbers come back in [`Context::fds`]. A number is the descriptor's number in QEMU.

use std::collections::BTreeMap;

use virtus_api::{Error, ErrorCode, Result};

/// The surroundings of one start of one guest.
#[derive(Debug, Clone)]
pub struct Context {
    /// The id of the running guest; -1 where nothing is started (a conversion, a dry run).
    pub id: i32,
    /// The driver's folders.
    pub dirs: Dirs,
    /// The keys of `qemu.conf` that shape a command line.
    pub config: Config,
    /// Mounted huge page file systems.
    pub hugetlbfs: Vec<HugePages>,
    /// Descriptors that are open already.
    pub fds: BTreeMap<FdKey, Vec<i32>>,
    /// Values of secrets, encrypted with the guest's master key, by the id of their QEMU object.
    pub secrets: BTreeMap<String, Sealed>,
    /// Block devices that are CD-ROM drives of the host.
    pub host_cdroms: Vec<String>,
    /// The host's name of each `<hostdev>` and of each emulated TPM's socket, by alias.
    pub peers: BTreeMap<String, String>,
    /// The host's architecture, by libvirt's name.
    pub host_arch: String,
    /// Descriptors of images that clients have passed, by the name of their group.
    pub fd_groups: BTreeMap<String, FdGroup>,
    /// Whether even a raw image has a node of its format, because block jobs of this QEMU need one.
    pub format_nodes: bool,
    /// What nbdkit serves, where the configuration wants it to.
    pub nbdkit: Option<NbdkitServer>,
    /// Host nodes for `placement='auto'`.
    pub auto_nodes: Vec<u32>,
    /// The node of each processor of the host; empty where it is unknown.
    pub cpu_nodes: BTreeMap<u32, u32>,
    /// From where the guest comes when it does not begin here, as `-incoming` takes it: `fd:7`, `defer`.
    pub incoming: Option<String>,
    /// `PIPEWIRE_RUNTIME_DIR` of the daemon, for audio back ends that do not say where PipeWire is.
    pub pipewire_dir: Option<String>,
    /// Seconds since 1970.
    pub now: i64,
    /// How far local time is ahead of UTC, in seconds.
    pub zone_seconds: i64,
}

/// Folders of the driver.
#[derive(Debug, Clone, Default)]
pub struct Dirs {
    /// `/var/lib/libvirt/qemu`.
    pub lib: String,
    /// `/run/libvirt/qemu/channel`.
    pub channel: String,
    /// `/var/lib/libvirt/qemu/ram`.
    pub ram: String,
    /// `/var/lib/libvirt/qemu/nvram`.
    pub nvram: String,
    /// `/run/libvirt/qemu/dbus`.
    pub dbus: String,
    /// `/run/libvirt/qemu/passt`.
    pub passt: String,
}

/// Keys of `qemu.conf`, under the names that they have there.
#[derive(Debug, Clone)]
pub struct Config {
    pub vnc_listen: String,
    pub vnc_auto_unix_socket: bool,
    pub vnc_tls: bool,
    pub vnc_tls_x509_cert_dir: String,
    pub vnc_tls_x509_verify: bool,
    pub vnc_tls_x509_secret_uuid: Option<String>,
    pub vnc_password: Option<String>,
    pub vnc_sasl: bool,
    pub vnc_sasl_dir: Option<String>,
    pub vnc_allow_host_audio: bool,
    pub spice_listen: String,
    pub spice_auto_unix_socket: bool,
    pub spice_tls: bool,
    pub spice_tls_x509_cert_dir: String,
    pub spice_password: Option<String>,
    pub spice_sasl: bool,
    pub spice_sasl_dir: Option<String>,
    pub chardev_tls: bool,
    pub chardev_tls_x509_cert_dir: String,
    pub chardev_tls_x509_verify: bool,
    pub chardev_tls_x509_secret_uuid: Option<String>,
    pub nbd_tls: bool,
    pub nbd_tls_x509_cert_dir: String,
    pub nbd_tls_x509_secret_uuid: Option<String>,
    pub nographics_allow_host_audio: bool,
    pub dump_guest_core: bool,
    pub seccomp_sandbox: Option<bool>,
    pub log_timestamp: bool,
    pub clear_emulator_capabilities: bool,
    pub deprecation_behavior: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        let pki = |kind: &str| format!("/etc/pki/libvirt-{kind}");
        Self {
            vnc_listen: "127.0.0.1".to_owned(),
            vnc_auto_unix_socket: false,
            vnc_tls: false,
            vnc_tls_x509_cert_dir: pki("vnc"),
            vnc_tls_x509_verify: false,
            vnc_tls_x509_secret_uuid: None,
            vnc_password: None,
            vnc_sasl: false,
            vnc_sasl_dir: None,
            vnc_allow_host_audio: false,
            spice_listen: "127.0.0.1".to_owned(),
            spice_auto_unix_socket: false,
            spice_tls: false,
            spice_tls_x509_cert_dir: pki("spice"),
            spice_password: None,
            spice_sasl: false,
            spice_sasl_dir: None,
            chardev_tls: false,
            chardev_tls_x509_cert_dir: pki("chardev"),
            chardev_tls_x509_verify: false,
            chardev_tls_x509_secret_uuid: None,
            nbd_tls: false,
            nbd_tls_x509_cert_dir: pki("nbd"),
            nbd_tls_x509_secret_uuid: None,
            nographics_allow_host_audio: false,
            dump_guest_core: false,
            seccomp_sandbox: None,
            log_timestamp: true,
            clear_emulator_capabilities: true,
            deprecation_behavior: None,
        }
    }
}

/// One mounted huge page file system.
#[derive(Debug, Clone)]
pub struct HugePages {
    /// Where it is mounted.
    pub mount: String,
    /// The size of its pages.
    pub size_kib: u64,
    /// Whether it is taken when no size is asked for.
    pub default: bool,
}

/// A secret's value as `-object secret` takes it.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The encrypted value, base64.
    pub data: String,
    /// The initialisation vector, base64.
    pub iv: String,
}

/// Descriptors through which one image is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FdGroup {
    /// Their numbers in QEMU; QEMU takes the one with the mode that it needs.
    pub fds: Vec<i32>,
    /// Whether the first of them may be written to.
    pub writable: bool,
}

/// The nbdkit of this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NbdkitServer {
    /// The plugins that are installed: `curl`, `ssh`.
    pub plugins: Vec<String>,
    /// The folder of the sockets at which it serves this guest's images.
    pub dir: String,
}

/// What a descriptor is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FdKey {
    /// The listening socket of the monitor.
    Monitor,
    /// The queues of a tap or macvtap device, by the interface's alias.
    Tap(String),
    /// `/dev/vhost-net`, once for each queue, by the interface's alias.
    VhostNet(String),
    /// A vDPA device, by the interface's alias or the path of the disk's source.
    Vdpa(String),
    /// The listening socket of a character device, by the device's alias.
    Listen(String),
    /// The file that a character device writes to, by the device's alias.
    File(String),
    /// The log of a character device, by the device's alias.
    Log(String),
    /// `/dev/vhost-vsock`.
    VhostVsock,
    /// `/dev/vhost-scsi`, by the host device's alias.
    VhostScsi(String),
    /// The TPM of the host.
    Tpm,
    /// The file that cancels a command of the host's TPM.
    TpmCancel,
    /// The socket to the process that draws for a vhost-user video card, by the card's alias.
    VhostUserVideo(String),
}

impl Context {
    /// The descriptor of a socket or file that the launcher opens where there is one; without, QEMU opens it
    /// by its path.
    #[must_use]
    pub fn opened(&self, key: &FdKey) -> Option<i32> {
        self.fds.get(key)?.first().copied()
    }

    /// The one descriptor under `key`.
    pub fn fd(&self, key: &FdKey) -> Result<i32> {
        self.fds(key)?.first().copied().ok_or_else(|| unopened(key))
    }

    /// The descriptors under `key`.
    pub fn fds(&self, key: &FdKey) -> Result<&[i32]> {
        self.fds.get(key).map(Vec::as_slice).ok_or_else(|| unopened(key))
    }

    /// The folder that belongs to this run of the guest.
    #[must_use]
    pub fn domain_dir(&self, name: &str) -> String {
        format!("{}/domain-{}", self.dirs.lib, short_name(self.id, name))
    }
}

fn unopened(key: &FdKey) -> Error {
    Error::new(
        ErrorCode::InternalError,
        format!("the descriptor {key:?} was not opened before the start"),
    )
}

/// `1-guest`: the id and the first characters of the name, as they stand in paths that belong to one run.
#[must_use]
pub fn short_name(id: i32, name: &str) -> String {
    let mut short = String::new();
    for c in name.chars() {
        if short.len() + c.len_utf8() > 20 {
            break;
        }
        short.push(c);
    }
    format!("{id}-{short}")
}

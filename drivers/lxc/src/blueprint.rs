// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All that a controller needs to build and run one container: plain data, computed by the driver from a
//! definition, read by the controller from a descriptor.
//!
//! Paths are the host's unless they say otherwise. A [`Descriptor`] is the number under which the controller
//! inherits something that the daemon has opened (`Spawn::inherit` gives it).

mod capability;
mod limits;
mod storage;

use std::collections::BTreeSet;
use std::os::fd::RawFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use capability::Capability;
pub use limits::{Limits, allowed_devices};
pub use storage::{Mount, Source};

/// The number of an inherited descriptor.
pub type Descriptor = RawFd;

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blueprint {
    /// Its name, for messages.
    pub name: String,
    /// Where the controller listens for daemons: `/run/libvirt/lxc/NAME.sock`.
    pub socket: PathBuf,
    /// Any existing folder; the new root is put together on top of it, in namespaces where only the
    /// controller sees that.
    pub staging: PathBuf,
    /// The root file system; its target is `/`.
    pub root: Mount,
    /// What is mounted below it, in this order. Nothing below `/proc` and `/sys`.
    pub mounts: Vec<Mount>,
    /// The network namespace.
    pub network: Namespace,
    /// The namespace of System V IPC and POSIX queues.
    pub ipc: Namespace,
    /// The namespace of the host name.
    pub uts: Namespace,
    /// Who the container's users are on the host; with it there is a user namespace.
    pub id_map: Option<IdMap>,
    /// Network devices that move into the container. Needs [`Namespace::Own`].
    pub links: Vec<Link>,
    /// The host's ends of its consoles (pty masters). The first is the container's `/dev/console`, `/dev/tty1`
    /// and init's standard descriptors; without any, those are `/dev/null`.
    pub consoles: Vec<Descriptor>,
    /// What is in `/dev` besides links and consoles: start from [`DeviceNode::standard`].
    pub devices: Vec<DeviceNode>,
    /// Its first process.
    pub init: Init,
    /// The capabilities that any process in it can have.
    pub capabilities: BTreeSet<Capability>,
    /// Whether system calls that only serve to break out, or to change the host's kernel, are refused.
    pub call_filter: bool,
    /// Its control group, below that in which the controller is started (the daemon's): see
    /// `virtus_host::cgroup::machine_group`.
    pub cgroup: String,
    /// What it may use.
    pub limits: Limits,
    /// Its host name, where its namespace is its own.
    pub hostname: Option<String>,
    /// The security label of its processes.
    pub label: Option<String>,
    /// What follows when it reboots.
    pub on_reboot: OnReboot,
}

/// Whose namespace a container uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Namespace {
    /// A new one.
    Own,
    /// The host's.
    Host,
    /// That of another container or a named one, opened by the daemon.
    Shared(Descriptor),
}

/// Users and groups inside a container, and who they are outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// Users.
    pub users: Vec<IdRange>,
    /// Groups.
    pub groups: Vec<IdRange>,
}

impl IdMap {
    /// Who the container's root is outside: user and group.
    #[must_use]
    pub fn root(&self) -> (u32, u32) {
        let outside = |ranges: &[IdRange]| {
            ranges.iter().find(|range| range.inside == 0).map_or(0, |range| range.outside)
        };
        (outside(&self.users), outside(&self.groups))
    }
}

/// `count` ids from `inside` on are those from `outside` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// The first in the container.
    pub inside: u32,
    /// The first on the host.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// A network device that moves into the container: one end of a veth pair, a macvlan, a device of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its name on the host; it exists.
    pub host_name: String,
    /// Whether it comes back when the container ends, as a device of the host does; otherwise it goes with the
    /// container, and with one end of a veth pair the other. In both cases it survives a reboot.
    pub of_host: bool,
    /// Its name in the container (`eth0`).
    pub name: String,
    /// Its hardware address, where it is to change.
    pub mac: Option<[u8; 6]>,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// Routes through it.
    pub routes: Vec<Route>,
    /// Whether it is switched on.
    pub up: bool,
}

/// An address in a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub address: std::net::IpAddr,
    /// How many leading bits are the network's.
    pub prefix: u8,
    /// The other end of a point-to-point link.
    pub peer: Option<std::net::IpAddr>,
}

/// A way to other networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The first address of the network that is reached.
    pub network: std::net::IpAddr,
    /// How many leading bits are the network's; 0 is the default route.
    pub prefix: u8,
    /// Through whom.
    pub gateway: std::net::IpAddr,
    /// Its cost; lower is preferred.
    pub metric: Option<u32>,
}

/// A device file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceNode {
    /// Its path below `/dev` (`net/tun`).
    pub path: PathBuf,
    /// A disk; otherwise a character device.
    pub block: bool,
    /// The device's major number.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Whether nothing can be written to it. A daemon from before there were such devices does not say.
    #[serde(default)]
    pub read_only: bool,
    /// The device file of the host that the controller keeps open as long as the container may use the device: a loop
    /// device goes with its last user.
    pub held: Option<PathBuf>,
}

impl DeviceNode {
    /// The devices that every container has.
    #[must_use]
    pub fn standard() -> Vec<Self> {
        let devices = [
            ("null", 1, 3),
            ("zero", 1, 5),
            ("full", 1, 7),
            ("random", 1, 8),
            ("urandom", 1, 9),
            ("tty", 5, 0),
            ("fuse", 10, 229),
        ];
        let node = |(path, major, minor): (&str, u32, u32)| Self {
            path: path.into(),
            block: false,
            major,
            minor,
            mode: 0o666,
            read_only: false,
            held: None,
        };
        devices.into_iter().map(node).collect()
    }
}

/// The first process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Init {
    /// Its program, in the container.
    pub program: PathBuf,
    /// What follows the program's path on its command line.
    pub args: Vec<String>,
    /// All of its environment.
    pub env: Vec<(String, String)>,
    /// The folder in which it starts, in the container; `/` by itself.
    pub folder: Option<PathBuf>,
    /// Its user; root by itself.
    pub user: Option<Account>,
    /// Its group.
    pub group: Option<Account>,
    /// What it inherits from descriptor 3 on.
    pub descriptors: Vec<Descriptor>,
}

/// A user or group of the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Account {
    /// By number.
    Id(u32),
    /// By its name in the container's `/etc/passwd` or `/etc/group`.
    Name(String),
}

/// What follows when a container reboots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnReboot {
    /// The controller starts it again, and tells of its new init.
    Restart,
    /// It ends; the controller says that it was for a reboot.
    End,
}

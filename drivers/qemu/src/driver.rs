// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The driver: `qemu:///system` and `qemu:///session`.
//!
//! [`Qemu`] is what its machines share: folders, configuration, what QEMU binaries can do. [`DRIVER`] is
//! how a daemon starts it.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use tokio::task::spawn_blocking;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::events::Hub;
use virtus_core::{BoxFuture, Driver, DriverEntry, Environment, Paths, Peers, Uri};
use virtus_domain::routes::{HasMachines, HasNode};
use virtus_domain::{Local, Machine, MachineHooks, Machines, SharedAnswer, started};
use virtus_host::blocking;
use virtus_host::cgroup::Cgroups;
use virtus_host::node::Node;
use virtus_host::process::find_program;
use virtus_host::user::Identity;

use crate::caps::{Cache, Capabilities};
use crate::config::{self, Config};
use crate::cpu::Cpus;
use crate::given::GivenFiles;
use crate::paths::Places;
use crate::ports::Ports;
use crate::{rehearsal, routes};

/// The driver as the table of daemons lists it.
pub const DRIVER: DriverEntry = DriverEntry {
    name: "QEMU",
    for_users: true,
    conf: Some(&config::MANUAL),
    calls: || routes::routes().calls(),
    start,
    rehearse: rehearsal::rehearse,
};

/// What all guests of this driver share.
pub(crate) struct Qemu {
    pub(crate) hooks: MachineHooks,
    pub(crate) paths: Paths,
    pub(crate) places: Places,
    config: RwLock<Arc<Config>>,
    pub(crate) caps: Cache,
    pub(crate) ports: Ports,
    pub(crate) given: GivenFiles,
    pub(crate) hub: Arc<Hub>,
    pub(crate) cgroups: Cgroups,
    pub(crate) peers: Peers,
    pub(crate) node: Node,
    /// Read when somebody first asks; the start does, once its machines are there.
    pub(crate) cpus: LazyLock<Cpus>,
}

impl Qemu {
    /// A driver to which no guest is known yet.
    pub(crate) fn new(
        environment: Environment,
        places: Places,
        config: Config,
        caps: Cache,
    ) -> Self {
        let Environment { paths, peers } = environment;
        Self {
            hooks: MachineHooks::new(&paths, Self::NAME),
            paths,
            places,
            config: RwLock::new(Arc::new(config)),
            caps,
            ports: Ports::default(),
            given: GivenFiles::default(),
            hub: Arc::new(Hub::new()),
            cgroups: Cgroups::detect(),
            peers,
            node: Node::new(),
            cpus: LazyLock::new(|| Cpus::of_this_host(&Node::new())),
        }
    }

    /// The configuration as it is now.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The binary for an architecture, looked for as libvirt does.
    pub(crate) fn binary_for(arch: &str) -> Option<PathBuf> {
        let target = match arch {
            "i686" => "i386",
            "armv7l" | "armv6l" => "arm",
            "ppc64le" => "ppc64",
            arch => arch,
        };
        let own = find_program(Path::new(&format!("qemu-system-{target}")));
        let native = || {
            (arch == virtus_host::node::arch())
                .then(|| {
                    ["qemu-kvm", "/usr/libexec/qemu-kvm"]
                        .iter()
                        .find_map(|name| find_program(Path::new(name)))
                })
                .flatten()
        };
        own.or_else(native)
    }

    /// The binaries of this host for all architectures.
    pub(crate) fn binaries() -> Vec<(&'static str, PathBuf)> {
        ARCHITECTURES.iter().filter_map(|arch| Some((*arch, Self::binary_for(arch)?))).collect()
    }

    /// What a binary can do, asking it if nobody has yet.
    pub(crate) async fn capabilities(&self, binary: &Path) -> Result<Arc<Capabilities>> {
        if find_program(binary).is_none() {
            return Err(no_emulator(binary));
        }
        self.caps.get(binary).await
    }

    /// What a binary can do, for the pure planner: mostly known since the driver started. A binary that a
    /// definition names for the first time is asked now.
    pub(crate) fn known_capabilities(&self, binary: &Path) -> Result<Arc<Capabilities>> {
        if find_program(binary).is_none() {
            return Err(no_emulator(binary));
        }
        if let Some(known) = self.caps.known(binary) {
            return Ok(known);
        }
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(self.caps.get(binary))
        })
    }
}

/// The answer where a QEMU binary is not there.
pub(crate) fn no_emulator(binary: &Path) -> Error {
    let text = format!("Cannot find suitable emulator: '{}' is not there", binary.display());
    Error::new(ErrorCode::ConfigUnsupported, text)
        .in_domain(ErrorDomain::Qemu)
        .hint("install QEMU for this architecture, or correct <emulator> in the domain XML")
}

/// The architectures that QEMU has binaries for, by libvirt's names.
pub(crate) const ARCHITECTURES: &[&str] = &[
    "x86_64",
    "i686",
    "aarch64",
    "armv7l",
    "ppc64",
    "ppc64le",
    "s390x",
    "riscv64",
    "riscv32",
    "loongarch64",
    "alpha",
    "hppa",
    "m68k",
    "microblaze",
    "mips",
    "mips64",
    "mips64el",
    "mipsel",
    "or32",
    "ppc",
    "sh4",
    "sh4eb",
    "sparc",
    "sparc64",
    "xtensa",
    "xtensaeb",
];

/// The driver as its routes see it.
pub(crate) struct QemuDriver {
    pub(crate) qemu: Arc<Qemu>,
    machines: Arc<Machines<Qemu>>,
    /// The document of this host's capabilities.
    pub(crate) document: SharedAnswer<String>,
}

impl HasMachines for QemuDriver {
    type Machine = Qemu;

    fn machines(&self) -> &Arc<Machines<Qemu>> {
        &self.machines
    }
}

impl HasNode for QemuDriver {
    fn node(&self) -> &Node {
        &self.qemu.node
    }
}

fn start(environment: Environment) -> BoxFuture<Result<Arc<dyn Driver>>> {
    Box::pin(async move {
        let (config, places) = prepare(environment.paths.clone()).await?;
        let identity =
            Some(config.identity.clone()).filter(|identity| *identity != Identity::current());
        let cache = Cache::new(places.cache.join("capabilities"), identity);
        let qemu = Arc::new(Qemu::new(environment, places, config, cache));
        // Ask the usual binaries before somebody needs the answer; whoever needs it earlier waits for it.
        for (_, binary) in Qemu::binaries() {
            let qemu = qemu.clone();
            tokio::spawn(async move {
                if let Err(error) = qemu.capabilities(&binary).await {
                    tracing::warn!("{error}");
                }
            });
        }
        let machines = Machines::open(qemu.clone(), qemu.hub.clone(), &qemu.paths).await?;
        let early = qemu.clone();
        spawn_blocking(move || {
            let _known = LazyLock::force(&early.cpus);
        });
        let of_document = qemu.clone();
        let document = SharedAnswer::new("the host's capabilities", move || {
            routes::capabilities::document(of_document.clone())
        });
        Ok(started(QemuDriver { qemu, machines, document }, routes::routes()))
    })
}

/// Reads the configuration and makes the folders.
async fn prepare(paths: Paths) -> Result<(Config, Places)> {
    blocking::run("preparing the driver", move || {
        let config = Config::load(&paths)?;
        let places = Places::new(&paths);
        for (folder, mode, owned) in places.standing() {
            make_folder(&folder, mode, owned.then_some(&config.identity))?;
        }
        Ok((config, places))
    })
    .await
}

/// Makes a folder; the mode of one that is there is set too, as its content depends on it.
fn make_folder(folder: &Path, mode: u32, owner: Option<&Identity>) -> Result<()> {
    let explain =
        |cause| Error::system(format!("cannot create folder '{}'", folder.display()), &cause);
    if let Some(parent) = folder.parent() {
        // What leads there must be passable for the QEMU user.
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(explain)?;
    }
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(folder).map_err(explain)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).map_err(explain)?;
    let current = Identity::current();
    if let Some(owner) = owner.filter(|owner| current.is_root() && owner.uid != current.uid) {
        std::os::unix::fs::chown(folder, Some(owner.uid), Some(owner.gid)).map_err(explain)?;
    }
    Ok(())
}

impl Local for QemuDriver {
    const ENTRY: DriverEntry = DRIVER;

    fn serves(&self, uri: &Uri) -> Result<bool> {
        if uri.path == "/embed" {
            return Ok(false);
        }
        let local = uri.is_local("qemu", "qemu", self.qemu.paths.system);
        local.map_err(|error| error.in_domain(ErrorDomain::Qemu))
    }

    fn default_uri(&self) -> Uri {
        let path = if self.qemu.paths.system { "/system" } else { "/session" };
        Uri { scheme: "qemu".to_owned(), path: path.to_owned(), ..Uri::default() }
    }

    fn reload(self: Arc<Self>) -> BoxFuture<Result<()>> {
        Box::pin(async move {
            let (config, _) = prepare(self.qemu.paths.clone()).await?;
            *self.qemu.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
            Ok(())
        })
    }
}

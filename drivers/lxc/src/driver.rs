// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The driver: `lxc:///system`.
//!
//! [`Lxc`] is what all containers share: folders, configuration, control groups. [`DRIVER`] is how a daemon
//! starts it.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use virtus_api::{Error, ErrorDomain, Result};
use virtus_core::events::Hub;
use virtus_core::{BoxFuture, Driver, DriverEntry, Environment, Paths, Peers, Uri, store};
use virtus_domain::routes::{HasMachines, HasNode};
use virtus_domain::{Local, Machine, MachineHooks, Machines, SharedAnswer, started};
use virtus_host::blocking;
use virtus_host::cgroup::Cgroups;
use virtus_host::node::Node;

use crate::config::{self, Config};
use crate::container::Container;
use crate::paths::Places;
use crate::{rehearsal, routes};

/// The driver as the table of daemons lists it.
pub const DRIVER: DriverEntry = DriverEntry {
    name: "LXC",
    for_users: false,
    conf: Some(&config::MANUAL),
    calls: || routes::routes().calls(),
    start,
    rehearse: rehearsal::rehearse,
};

/// What all containers of this driver share.
pub(crate) struct Lxc {
    pub(crate) paths: Paths,
    pub(crate) places: Places,
    pub(crate) cgroups: Cgroups,
    pub(crate) peers: Peers,
    pub(crate) hooks: MachineHooks,
    config: RwLock<Arc<Config>>,
    /// By name: who shares a namespace with another names it so.
    running: Mutex<HashMap<String, Weak<Container>>>,
}

impl Lxc {
    /// A driver to which no container is known yet.
    pub(crate) fn new(environment: Environment, config: Config) -> Self {
        let Environment { paths, peers } = environment;
        Self {
            places: Places::new(&paths),
            hooks: MachineHooks::new(&paths, Self::NAME),
            paths,
            cgroups: Cgroups::detect(),
            peers,
            config: RwLock::new(Arc::new(config)),
            running: Mutex::default(),
        }
    }

    /// The configuration as it is now.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes a container that runs.
    pub(crate) fn note(&self, container: &Arc<Container>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, known| known.strong_count() > 0);
        running.insert(container.name.clone(), Arc::downgrade(container));
    }

    /// The running container of this name.
    pub(crate) fn running(&self, name: &str) -> Option<Arc<Container>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).get(name)?.upgrade()
    }
}

/// The driver as its routes see it.
pub(crate) struct LxcDriver {
    pub(crate) lxc: Arc<Lxc>,
    pub(crate) node: Node,
    machines: Arc<Machines<Lxc>>,
    /// The document of this host's capabilities.
    pub(crate) document: SharedAnswer<String>,
}

impl HasMachines for LxcDriver {
    type Machine = Lxc;

    fn machines(&self) -> &Arc<Machines<Lxc>> {
        &self.machines
    }
}

impl HasNode for LxcDriver {
    fn node(&self) -> &Node {
        &self.node
    }
}

fn start(environment: Environment) -> BoxFuture<Result<Arc<dyn Driver>>> {
    Box::pin(async move {
        let config = prepare(environment.paths.clone()).await?;
        let lxc = Arc::new(Lxc::new(environment, config));
        let machines = Machines::open(lxc.clone(), Arc::new(Hub::new()), &lxc.paths).await?;
        let document = SharedAnswer::new("the host's capabilities", routes::capabilities::document);
        Ok(started(LxcDriver { lxc, node: Node::new(), machines, document }, routes::routes()))
    })
}

/// Reads the configuration and makes the folders.
async fn prepare(paths: Paths) -> Result<Config> {
    let prepare = move || {
        let config = Config::load(&paths)?;
        for (folder, mode) in Places::new(&paths).standing() {
            make_folder(&folder, mode)?;
        }
        Ok(config)
    };
    blocking::run("preparing the driver", prepare).await
}

/// Makes a folder; the mode of one that is there is set too, as its content depends on it.
fn make_folder(folder: &Path, mode: u32) -> Result<()> {
    store::make_folder(folder, mode)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).map_err(|cause| {
        Error::system(format!("cannot set the mode of folder '{}'", folder.display()), &cause)
    })
}

impl Local for LxcDriver {
    const ENTRY: DriverEntry = DRIVER;

    fn serves(&self, uri: &Uri) -> Result<bool> {
        // There is only one place, which older clients name so.
        let short =
            uri.scheme == "lxc" && uri.server.is_none() && matches!(uri.path.as_str(), "" | "/");
        let local = if short { Ok(true) } else { uri.is_local("lxc", "LXC", true) };
        local.map_err(|error| error.in_domain(ErrorDomain::Lxc))
    }

    fn default_uri(&self) -> Uri {
        Uri { scheme: "lxc".to_owned(), path: "/system".to_owned(), ..Uri::default() }
    }

    fn reload(self: Arc<Self>) -> BoxFuture<Result<()>> {
        Box::pin(async move {
            let config = prepare(self.lxc.paths.clone()).await?;
            *self.lxc.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
            Ok(())
        })
    }
}

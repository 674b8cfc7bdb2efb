// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a daemon is there for: drivers, or one program of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::{error, warn};
use virtus_api::{Program, Result};
use virtus_core::{Driver, Environment, Paths, Role};
use virtus_rpc::Serving;

use crate::config::Config;
use crate::elsewhere;
use crate::own::Keeper;
use crate::peers::Household;
use crate::proxy::Neighbours;
use crate::reexec::Inheritance;
use crate::table::{Daemon, Deployment};

/// How long one part may take to read its configuration, or to stop.
const GRACE: Duration = Duration::from_secs(10);

/// The parts of a daemon that runs.
pub(crate) enum Work {
    Drivers(Vec<Arc<dyn Driver>>),
    Own(Program, Arc<dyn Keeper>),
}

impl Work {
    /// Starts what the daemon is there for.
    pub(crate) async fn start(
        daemon: &Daemon,
        paths: &Paths,
        config: &Config,
        left: Option<&Inheritance>,
    ) -> Result<Self> {
        if let Some(own) = &daemon.own {
            return Ok(Self::Own(
                own.program,
                (own.start)(paths, &config.file, left.map(Inheritance::state))?,
            ));
        }
        let mut drivers = Vec::new();
        let household = Household::new(paths, daemon.socket);
        for entry in daemon.drivers.iter().filter(|entry| paths.system || entry.for_users) {
            let environment = Environment { paths: paths.clone(), peers: household.peers() };
            let started = (entry.start)(environment).await;
            let driver =
                started.map_err(|error| error.context(format!("driver {}", entry.name)))?;
            household.add(&driver);
            drivers.push(driver);
        }
        // The daemon of all drivers is not there together with those of one.
        if daemon.deployment == Deployment::Modular
            && drivers.iter().any(|driver| driver.role() == Role::Hypervisor)
        {
            drivers.extend(elsewhere::drivers(paths, daemon.socket));
        }
        Ok(Self::Drivers(drivers))
    }

    /// Who answers the clients.
    pub(crate) fn serving(&self, daemon: &Daemon, paths: &Paths) -> Serving {
        match self {
            Self::Drivers(drivers) if daemon.forwards => {
                Serving::Others(Arc::new(Neighbours::new(paths)), drivers.clone())
            }
            Self::Drivers(drivers) => Serving::Drivers(drivers.clone()),
            Self::Own(program, keeper) => Serving::Own(*program, keeper.clone().responder()),
        }
    }

    /// How many things keep the daemon from ending when it has no clients.
    pub(crate) fn busy(&self) -> usize {
        match self {
            Self::Drivers(drivers) => drivers.iter().map(|driver| driver.busy()).sum(),
            Self::Own(_, keeper) => keeper.busy(),
        }
    }

    /// Starts what is marked for start at boot; the daemon serves meanwhile.
    pub(crate) fn autostart(&self) {
        if let Self::Drivers(drivers) = self {
            drivers.iter().for_each(|driver| drop(tokio::spawn(driver.autostart())));
        }
    }

    /// Lets every part read its configuration anew; `config` is the daemon's, if there is no mistake in it.
    pub(crate) async fn reload(&self, config: Option<&Config>) {
        match self {
            Self::Drivers(drivers) => {
                for driver in drivers {
                    let name = driver.name();
                    match timeout(GRACE, driver.reload()).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => {
                            error!("driver {name}: the configuration stays as it was: {error}");
                        }
                        Err(_) => warn!("driver {name} did not reload in time"),
                    }
                }
            }
            Self::Own(_, keeper) => {
                if let Some(Err(error)) = config.map(|config| keeper.reload(&config.file)) {
                    error!("the configuration stays as it was: {error}");
                }
            }
        }
    }

    /// Who keeps what there is to keep, if the daemon has a program of its own.
    pub(crate) fn keeper(&self) -> Option<&Arc<dyn Keeper>> {
        match self {
            Self::Drivers(_) => None,
            Self::Own(_, keeper) => Some(keeper),
        }
    }

    /// The daemon is about to disconnect its clients.
    pub(crate) fn end(&self) {
        if let Self::Own(_, keeper) = self {
            keeper.end();
        }
    }

    /// Lets every part finish.
    pub(crate) async fn stop(&self) {
        match self {
            Self::Drivers(drivers) => {
                for driver in drivers {
                    if timeout(GRACE, driver.stop()).await.is_err() {
                        warn!("driver {} did not stop in time", driver.name());
                    }
                }
            }
            Self::Own(_, keeper) => {
                if timeout(GRACE, keeper.stop()).await.is_err() {
                    warn!("not everything was written in time");
                }
            }
        }
    }
}

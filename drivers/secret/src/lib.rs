// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The driver of secrets: passphrases and keys that disks, volumes and pools need. The smallest complete driver:
//! read it first.
//!
//! A driver says how it is started and which URIs are its own ([`DRIVER`], [`Driver`]), holds what it serves (here
//! [`Secrets`], from the crate that all such drivers share), and answers calls by a table of routes, here as they
//! are for every driver of secrets.
//!
//! Invariants: definitions are `secrets/UUID.xml`, values `secrets/UUID.base64`, which only the daemon's user may
//! read; what a client was told is kept survives the daemon, and what is ephemeral never reaches a disk.

use std::sync::Arc;

use virtus_api::{ConnectGetType, ErrorDomain, Result};
use virtus_core::events::Hub;
use virtus_core::{
    BoxFuture, Driver, DriverEntry, Environment, Responder, Role, Routes, Service, Session,
    Starting, Uri,
};
use virtus_objects::Shelf;
use virtus_objects::secret::{HasSecrets, Secrets, routes};

/// The driver as the table of daemons lists it.
pub const DRIVER: DriverEntry = DriverEntry {
    name: "secret",
    for_users: true,
    conf: None,
    calls: || answers().calls(),
    start,
    // No document of a domain is for this driver.
    rehearse: |_, _| Box::pin(async { Ok(None) }),
};

/// The driver as its routes see it.
struct SecretDriver(Arc<Secrets>);

impl HasSecrets for SecretDriver {
    fn secrets(&self) -> &Arc<Secrets> {
        &self.0
    }
}

/// What the driver answers: the calls about secrets, and what it is.
fn answers() -> Routes<SecretDriver> {
    routes().on(|_, _, _: ConnectGetType| async { Ok(DRIVER.name.to_owned()) })
}

/// The started driver.
struct Started {
    system: bool,
    responder: Arc<dyn Responder>,
}

fn start(environment: Environment) -> Starting {
    Box::pin(async move {
        let paths = environment.paths;
        let shelf = Shelf::folder(&paths, "secrets");
        let driver = Arc::new(SecretDriver(Secrets::open(shelf, Arc::new(Hub::new())).await?));
        let responder = Service::new(driver, answers(), |driver, session| {
            driver.0.hub().session_closed(session)
        });
        Ok(Arc::new(Started { system: paths.system, responder }) as Arc<dyn Driver>)
    })
}

impl Driver for Started {
    fn name(&self) -> &'static str {
        DRIVER.name
    }

    fn role(&self) -> Role {
        Role::Companion
    }

    fn serves(&self, uri: &Uri) -> Result<bool> {
        uri.is_local("secret", "secret", self.system)
            .map_err(|error| error.in_domain(ErrorDomain::Secret))
    }

    fn open(&self, _: &Arc<Session>) -> BoxFuture<Result<Arc<dyn Responder>>> {
        let responder = self.responder.clone();
        Box::pin(async { Ok(responder) })
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a daemon asks of every local hypervisor's driver. [`Local`] says what tells one from another; the rest
//! follows from its machines.

use std::sync::Arc;

use virtus_api::Result;
use virtus_core::{BoxFuture, Driver, DriverEntry, Responder, Role, Routes, Service, Session, Uri};

use crate::HasMachines;

/// What tells the driver of one local hypervisor from another's.
pub trait Local: HasMachines {
    /// The driver as the table of daemons lists it.
    const ENTRY: DriverEntry;

    /// Whether connections to `uri` are its own.
    ///
    /// # Errors
    /// Why a URI of its scheme is wrong.
    fn serves(&self, uri: &Uri) -> Result<bool>;

    /// The URI meant by a client that names none.
    fn default_uri(&self) -> Uri;

    /// Reads the configuration anew.
    fn reload(self: Arc<Self>) -> BoxFuture<Result<()>>;
}

/// A started driver, which answers by `routes`.
#[must_use]
pub fn started<D: Local>(driver: D, routes: Routes<D>) -> Arc<dyn Driver> {
    let driver = Arc::new(driver);
    let responder = Service::new(driver.clone(), routes, |driver, session| {
        driver.machines().session_closed(session);
    });
    Arc::new(Started { driver, responder })
}

struct Started<D> {
    driver: Arc<D>,
    responder: Arc<dyn Responder>,
}

impl<D: Local> Driver for Started<D> {
    fn name(&self) -> &'static str {
        D::ENTRY.name
    }

    fn role(&self) -> Role {
        Role::Hypervisor
    }

    fn serves(&self, uri: &Uri) -> Result<bool> {
        self.driver.serves(uri)
    }

    fn default_uri(&self) -> Option<Uri> {
        Some(self.driver.default_uri())
    }

    fn open(&self, _: &Arc<Session>) -> BoxFuture<Result<Arc<dyn Responder>>> {
        let responder = self.responder.clone();
        Box::pin(async { Ok(responder) })
    }

    fn busy(&self) -> usize {
        self.driver.machines().active().len()
    }

    fn autostart(&self) -> BoxFuture<()> {
        let machines = self.driver.machines().clone();
        Box::pin(async move { machines.autostart().await })
    }

    fn reload(&self) -> BoxFuture<Result<()>> {
        self.driver.clone().reload()
    }

    fn stop(&self) -> BoxFuture<()> {
        let machines = self.driver.machines().clone();
        Box::pin(async move { machines.let_go().await })
    }
}

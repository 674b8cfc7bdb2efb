// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changes of interfaces that can be taken back all at once: begin, then commit or rollback.

use std::sync::{Arc, PoisonError};

use virtus_api::{InterfaceChangeBegin, InterfaceChangeCommit, InterfaceChangeRollback, Result};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::HostInterface;

use super::{HasInterfaces, InterfaceBackend, Interfaces};
use crate::object::Snapshot;
use crate::step::refuse;

/// All interfaces as they were.
pub(super) type Before = Vec<Arc<Snapshot<HostInterface>>>;

impl<B: InterfaceBackend> Interfaces<B> {
    /// Begins changes if none have begun.
    fn begin(&self) -> Result<()> {
        let now = self.collection.select(|_| true);
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        if before.is_some() {
            return refuse("there is another transaction running.".to_owned());
        }
        *before = Some(now);
        Ok(())
    }

    /// Ends changes: answers how the interfaces were when they began.
    fn end(&self, what_for: &str) -> Result<Before> {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).take();
        before.map_or_else(|| refuse(format!("no transaction running, nothing to {what_for}.")), Ok)
    }

    /// Makes everything as it was.
    async fn restore(self: &Arc<Self>, before: Before, name: &'static str) -> Result<()> {
        for (_, iface) in self.collection.all() {
            if !before.iter().any(|old| old.name == iface.name) {
                self.undefine(&iface.name, name).await?;
            }
        }
        for old in before {
            if let Some(def) = &old.persistent {
                self.define((**def).clone(), name).await?;
            }
            let active = self.collection.lookup_name(&old.name)?.1.is_active();
            if active != old.is_active() {
                self.set_active(&old.name, old.is_active(), name).await?;
            }
        }
        Ok(())
    }
}

pub(super) async fn begin<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    request: InterfaceChangeBegin,
) -> Result<()> {
    check_flags(request.flags, 0, "virInterfaceChangeBegin")?;
    driver.interfaces().begin()
}

pub(super) async fn commit<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    request: InterfaceChangeCommit,
) -> Result<()> {
    check_flags(request.flags, 0, "virInterfaceChangeCommit")?;
    driver.interfaces().end("be committed").map(drop)
}

pub(super) async fn rollback<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    request: InterfaceChangeRollback,
) -> Result<()> {
    const NAME: &str = "virInterfaceChangeRollback";
    check_flags(request.flags, 0, NAME)?;
    let before = driver.interfaces().end("rollback")?;
    driver.interfaces().clone().restore(before, NAME).await
}
